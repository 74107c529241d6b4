"""What a refused call and a stream that is cut raise.

CrewAI lets nothing through that a hook raises but its own `HookAborted`. So what is raised is both that, and of the
refusal's own type, which the program may catch.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, cast

from crewai.hooks.dispatch import HookAborted

SOURCE = "token-calculator"


def aborted(refusal: Exception) -> HookAborted:
    """Return a refusal as an error that CrewAI lets through, and of the refusal's own type where that is possible."""
    kind = _kind(cast(Hashable, type(refusal)))
    if kind is None:
        return HookAborted(str(refusal), SOURCE)
    error: HookAborted = kind.__new__(kind, *refusal.args)
    error.__dict__.update(refusal.__dict__)
    error.reason, error.source = str(refusal), SOURCE
    return error


@lru_cache(maxsize=64)
def _kind(refusal: Any) -> type[HookAborted] | None:
    bases = (refusal,) if issubclass(refusal, HookAborted) else (HookAborted, refusal)
    try:
        return type(refusal.__name__, bases, {"__module__": refusal.__module__})
    except TypeError:  # two that are laid out differently
        return None
