"""Who and what an event is booked under: its dimensions and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DIMENSIONS = (
    "agent_id",
    "agent_type",
    "task_type",
    "intent",
    "workflow_id",
    "session_id",
    "environment",
)
"""Names that fill a dimension when they come as a label."""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Dimensions and labels, shared by reference by all events that have the same."""

    agent_id: str | None = None
    agent_type: str | None = None
    task_type: str | None = None
    intent: str | None = None
    workflow_id: str | None = None
    session_id: str | None = None
    environment: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def extended(self, values: Mapping[str, object]) -> "Scope":
        """Return the scope with `values` laid over it: dimension names fill dimensions, the rest are labels.

        None leaves what is there. The same object comes back when nothing changes.
        """
        dimensions: dict[str, str] = {}
        labels: dict[str, str] = {}
        for name, value in values.items():
            if value is None:
                continue
            text = label_text(value)
            if name in DIMENSIONS:
                if getattr(self, name) != text:
                    dimensions[name] = text
            elif self.labels.get(name) != text:
                labels[label_text(name)] = text
        if labels:
            return self._with(dimensions, {**self.labels, **labels})
        return self._with(dimensions, self.labels) if dimensions else self

    @classmethod
    def of(cls, dimensions: Sequence[str | None], labels: Mapping[str, str]) -> "Scope":
        """Make a scope from its dimensions in the order of `DIMENSIONS`, and its labels."""
        return cls(**dict(zip(DIMENSIONS, dimensions, strict=True)), labels=labels)

    def _with(self, dimensions: Mapping[str, str], labels: Mapping[str, str]) -> "Scope":
        return Scope.of([dimensions.get(name) or getattr(self, name) for name in DIMENSIONS], labels)


EMPTY_SCOPE = Scope()


MOST_CHARACTERS = 600
"""How much of a label's text is kept: an index of PostgreSQL takes 2,704 bytes, and a character may have four."""


def bounded_text(value: object) -> str:
    """Return the text that a value is booked under, at most `MOST_CHARACTERS` of it; raise what its `str` raises."""
    text = value if type(value) is str else str(value)
    return label_text(str.__getitem__(text, slice(MOST_CHARACTERS)))  # of a subclass of str, this is a plain one


def label_text(value: object) -> str:
    """Return a label's text; NUL bytes and lone surrogates, which no database keeps, are replaced."""
    text = value if type(value) is str else str(value)
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
