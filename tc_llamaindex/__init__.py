"""LlamaIndex, recorded by its own instrumentation.

>>> import tc_llamaindex
>>> tc_llamaindex.instrument()  # every run, in every thread and task, from now on

or, with labels of its own, a `TokenCalculatorHandler`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tc_llamaindex.handler import TokenCalculatorHandler
    from tc_llamaindex.host import HOST_NAMES
    from tc_llamaindex.install import instrument, uninstrument
    from tc_llamaindex.spans import current

FRAMEWORK = "llama_index_instrumentation"
"""The package without which there is nothing to record."""

PACKAGE = "llama-index-core"
"""The distribution whose version says what was tested."""

TESTED = ("0.14.3", "0.14")
"""The lowest and the highest version of it that the tests have run with, as docs/versions.md has them."""

AWAITED = ("llama_index.core",)
"""What else is waited for: the package above is imported in the midst of that one, which is not whole then."""

ADVICE = [
    (
        "streams, which agents use unless streaming=False, tell their tokens only when asked to: "
        "OpenAI(..., additional_kwargs={'stream_options': {'include_usage': True}}); else they are estimated"
    ),
    (
        "structured predictions of GoogleGenAI, Anthropic and OpenAIResponses tell no tokens by any hook: they are "
        "estimated, and their streams have no tokens; with tracking_client() those of GoogleGenAI and OpenAIResponses "
        "are exact (docs/frameworks.md)"
    ),
]
"""What `token-calc doctor` tells users of it."""

_HOMES = {
    "HOST_NAMES": "host",
    "TokenCalculatorHandler": "handler",
    "current": "spans",
    "instrument": "install",
    "uninstrument": "install",
}

__all__ = [
    "ADVICE",
    "AWAITED",
    "FRAMEWORK",
    "HOST_NAMES",
    "PACKAGE",
    "TESTED",
    "TokenCalculatorHandler",
    "current",
    "instrument",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"tc_llamaindex.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("llama_index"):
            raise ImportError(
                "LlamaIndex is not installed: pip install 'token-calculator-suite[llamaindex]'"
            ) from error
        raise
