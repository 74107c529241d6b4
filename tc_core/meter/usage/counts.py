"""The counts of one usage by their names, and in the spelling that genai-prices reads."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tc_core.model.usage import MOST_TOKENS

Fields = Mapping[str, Any]

_EMPTY: Fields = {}


class Spelled(NamedTuple):
    """A usage in the spelling of one of genai-prices' tables."""

    provider: str
    flavor: str
    usage: dict[str, Any]
    is_inclusive: bool = True
    """Whether cached input is part of the input that is told, so that the total is input and output."""
    more: Mapping[str, int | None] = {}
    """What that table does not read, by its names of kinds."""


class Counts:
    """The counts of one usage by their names; what is no count is left out, and noted."""

    def __init__(self, usage: Fields, faults: list[str] | None = None) -> None:
        self.usage = usage
        self.faults: list[str] = [] if faults is None else faults

    def first(self, *names: str, of: str | None = None) -> int | None:
        """Return the first count of these names, directly in the usage or in one of its details."""
        place = self.usage if of is None else self.usage.get(of)
        if not place or type(place) is not dict:
            return None
        for name in names:
            value = place.get(name)
            if value is not None:
                if type(value) is int and 0 <= value <= MOST_TOKENS:  # `is_count`, without calling it
                    return value
                self.faults.append(f"{name} is not a count")
        return None

    def within(self, *names: str) -> "Counts":
        """Return the counts of the details at a path, none where there are no details."""
        fields = self.usage
        for name in names:
            inner = fields.get(name)
            fields = inner if isinstance(inner, dict) else _EMPTY
        return Counts(fields, self.faults)

    def has(self, *names: str) -> bool:
        """Tell whether the usage names one of these."""
        return not self.usage.keys().isdisjoint(names)

    def has_only(self, names: frozenset[str]) -> bool:
        """Tell whether the usage names nothing but these."""
        return self.usage.keys() <= names


def either(*counts: int | None) -> int | None:
    """Return the first count that is more than zero, else the first that is known."""
    least = None
    for count in counts:
        if count:
            return count
        least = count if least is None else least
    return least
