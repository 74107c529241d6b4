"""What the tables of genai-prices read in a usage: which provider counts what where, and what is part of what.

`genai_prices.extract_usage` walks the same tables in 50 us, a third of it for checks that are made here already, and
refuses a usage of which one count is absent. A test holds both against each other.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tc_core.meter import loading
from tc_core.meter.usage.counts import Fields, Spelled
from tc_core.model.usage import is_count

if TYPE_CHECKING:
    from genai_prices.types import ArrayMatch

    Path = tuple["str | ArrayMatch | _Item", ...]


def extract(spelled: Spelled) -> dict[str, int]:
    """Return the counts of a usage by genai-prices' names; one that lacks what it is made of is left out."""
    counts: dict[str, int] = {}
    absent = set()
    for path, kind, is_required in _table(spelled.provider, spelled.flavor):
        value: Any = spelled.usage
        for step in path:
            if not value:
                value = None
                break
            value = value.get(step) if isinstance(step, str) else step.extract(value)
        if value is not None:
            counts[kind] = counts.get(kind, 0) + value
        elif is_required:
            absent.add(kind)
    counts |= {kind: count for kind, count in spelled.more.items() if count is not None}
    if not absent and all(map(is_count, counts.values())):
        return counts
    return {kind: count for kind, count in counts.items() if kind not in absent and is_count(count)}


class _Item(NamedTuple):
    """The first item of a list that has a word in one of its fields."""

    field: str
    word: str

    def extract(self, items: Sequence[Fields]) -> Fields | None:
        for each in items:
            found = each.get(self.field)
            if type(found) is str and found.lower() == self.word:
                return each
        return None


@cache
def _table(provider: str, flavor: str) -> "tuple[tuple[Path, str, bool], ...]":
    """Return where a provider's API keeps which kind of count; nothing for one that this table does not know."""
    loading.load_prices()
    from genai_prices.data import providers

    extractors = next((each.extractors for each in providers if each.id == provider), None) or []
    mappings = next((each.mappings for each in extractors if each.api_flavor == flavor), [])
    return tuple(
        ((each.path,) if isinstance(each.path, str) else tuple(map(_step, each.path)), each.dest, each.required)
        for each in mappings
    )


def _step(given: "str | ArrayMatch") -> "str | ArrayMatch | _Item":
    word = None if isinstance(given, str) else getattr(given.match, "equals", None)
    return given if isinstance(given, str) or word is None else _Item(given.field, word.lower())
