"""`track`: labels for one crew."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Self

from tc_core.adapter import attempt

_tracked: ContextVar[tuple[tuple[Any, Mapping[str, object]], ...]] = ContextVar("tc_crewai_tracked", default=())
"""The crews and their labels, the innermost block's last; CrewAI copies the context to its threads."""


class track:  # noqa: N801  # used like a function
    """Give labels to the runs of one crew, also of the copies that `kickoff_for_each` makes of it.

    >>> with tc_crewai.track(crew, workflow_id="nightly-report", customer="acme"):
    ...     crew.kickoff()

    Other crews in the block get none of them. It works as `async with` too, and may be entered again.
    """

    def __init__(self, crew: Any, workflow_id: str | None = None, **labels: object) -> None:
        self._entry = (crew, labels if workflow_id is None else {"workflow_id": workflow_id, **labels})

    def __enter__(self) -> Self:
        _tracked.set((*_tracked.get(), self._entry))
        return self

    def __exit__(self, *_error: object) -> None:
        entries = list(_tracked.get())
        for place in reversed(range(len(entries))):  # the object may be entered in several tasks at once
            if entries[place] is self._entry:
                del entries[place]
                break
        _tracked.set(tuple(entries))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_error: object) -> None:
        self.__exit__()


def labels_of(crew: Any, event_type: str) -> Mapping[str, object]:
    """Return the labels that a crew has where this is called."""
    tracked = _tracked.get()
    if not tracked or event_type != "crew_kickoff_started" or crew is None:
        return {}
    found: dict[str, object] = {}
    for each, labels in tracked:
        if each is crew or attempt(_is_copy, each, crew):
            found.update(labels)
    return found


def _is_copy(crew: Any, other: Any) -> bool:
    return bool(crew.key == other.key)
