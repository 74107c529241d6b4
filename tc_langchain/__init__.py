"""LangChain and LangGraph, recorded by their own callbacks.

>>> import tc_langchain
>>> tc_langchain.instrument()  # every run, in every thread and task, from now on

or, for one model or one call only, `TokenCalculatorCallback` in its `callbacks`. `TokenCalculatorMiddleware` lets
what is set up for a store swap the model of an agent, or answer in its place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tc_langchain.callback import TokenCalculatorCallback
    from tc_langchain.embeddings import TrackedEmbeddings
    from tc_langchain.host import HOST_NAMES
    from tc_langchain.install import instrument, uninstrument
    from tc_langchain.middleware import TokenCalculatorMiddleware
    from tc_langchain.runs import current

FRAMEWORK = "langchain_core"
"""The package without which there is nothing to record."""

TESTED = ("1.6", "1.8")
"""The lowest and the highest version of it that the tests have run with."""

_HOMES = {
    "HOST_NAMES": "host",
    "TokenCalculatorCallback": "callback",
    "TokenCalculatorMiddleware": "middleware",
    "TrackedEmbeddings": "embeddings",
    "current": "runs",
    "instrument": "install",
    "uninstrument": "install",
}

__all__ = [
    "FRAMEWORK",
    "HOST_NAMES",
    "TESTED",
    "TokenCalculatorCallback",
    "TokenCalculatorMiddleware",
    "TrackedEmbeddings",
    "current",
    "instrument",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"tc_langchain.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("langchain"):
            raise ImportError("LangChain is not installed: pip install 'token-calculator-suite[langchain]'") from error
        raise
