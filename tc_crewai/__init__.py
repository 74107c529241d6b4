"""CrewAI, recorded by its own event bus.

>>> import tc_crewai
>>> tc_crewai.instrument()  # every crew, flow, agent and model call, from now on

`track` gives labels to one crew, `TrackingInterceptor` and `tracked_embedder` make exact what events do not tell.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tc_crewai.embedder import tracked_embedder
    from tc_crewai.host import HOST_NAMES
    from tc_crewai.install import instrument, uninstrument, works_after_fork
    from tc_crewai.interceptor import TrackingInterceptor
    from tc_crewai.listener import TokenCalculatorListener
    from tc_crewai.runs import current
    from tc_crewai.tracking import track

FRAMEWORK = "crewai"
"""The package without which there is nothing to record."""

TESTED = ("1.15.25", "1.15")
"""The lowest and the highest version of it that the tests have run with, as docs/versions.md has them."""

_HOMES = {
    "HOST_NAMES": "host",
    "TokenCalculatorListener": "listener",
    "TrackingInterceptor": "interceptor",
    "current": "runs",
    "instrument": "install",
    "track": "tracking",
    "tracked_embedder": "embedder",
    "uninstrument": "install",
    "works_after_fork": "install",
}

__all__ = [
    "FRAMEWORK",
    "HOST_NAMES",
    "TESTED",
    "TokenCalculatorListener",
    "TrackingInterceptor",
    "current",
    "instrument",
    "track",
    "tracked_embedder",
    "uninstrument",
    "works_after_fork",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"tc_crewai.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("crewai"):
            raise ImportError("CrewAI is not installed: pip install 'token-calculator-suite[crewai]'") from error
        raise
