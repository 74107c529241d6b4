"""Filters as people say them: several values, beginnings (`gpt-4*`), and what is left out (`model!`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

from tc_core.costs.zones import TIME_UNITS
from tc_core.errors import ConfigurationError
from tc_core.model.period import Period
from tc_core.model.ports import AggregateReader, Filters, FilterValue
from tc_core.model.scope import label_text

ANY, NOT = "*", "!"


def resolved(reader: AggregateReader, filters: Filters, period: Period) -> Filters:
    """Return filters that name each value, which is what stores know.

    A text that ends in `*` stands for all values of the period that begin so, `*` alone for every value there is. A
    name that ends in `!` leaves its values out. Raises ConfigurationError for a beginning of a time,
    ValueError for what is no filter.
    """
    plain: dict[str, FilterValue] = {}
    for name, value in _checked(filters).items():
        wanted = _as_list(value)
        is_not = name.endswith(NOT) and len(name) > 1
        bare = name.removesuffix(NOT) if is_not else name
        if is_not or any(each is not None and each.endswith(ANY) for each in wanted):
            if bare in TIME_UNITS:
                raise ConfigurationError(f"cannot filter by {name}={value}: limit the period by its start and end")
            there = [key for (key,) in reader.totals([bare], None, period.start, period.end)]
            condition = Condition.of(name, wanted)
            wanted = [each for each in there if condition.holds(each)]
        if bare in plain:
            wanted = [each for each in _as_list(plain[bare]) if each in wanted]
        plain[bare] = wanted
    return plain


def _checked(filters: object) -> Filters:
    if not isinstance(filters, Mapping):
        raise ValueError(f"filters map names to values, such as {{'model': 'gpt-4o'}}, not {filters!r}")
    for name in filters:
        if not isinstance(name, str) or not name.removesuffix(NOT):
            raise ValueError(f"calls are filtered by names, not by {name!r}")
    return filters


def _as_list(value: object) -> Sequence[str | None]:
    """Return the values that are meant; a number is meant as its label was written."""
    several = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return [None if each is None else label_text(each) for each in several]


class Condition(NamedTuple):
    """What one filter says, for calls that are looked at one by one."""

    name: str
    """Without what says that values are left out."""
    values: frozenset[str | None]
    beginnings: tuple[str, ...]
    is_not: bool

    @classmethod
    def of(cls, name: str, value: object) -> Self:
        """Return what a filter of this name says; raise ValueError for what is none."""
        _checked({name: value})
        wanted, is_not = _as_list(value), name.endswith(NOT)
        beginnings = tuple(each.removesuffix(ANY) for each in wanted if each is not None and each.endswith(ANY))
        return cls(name.removesuffix(NOT), frozenset(wanted), beginnings, is_not)

    def holds(self, value: str | None) -> bool:
        """Tell whether a call that has this value counts; None is a call without one."""
        is_meant = value in self.values or (value is not None and value.startswith(self.beginnings))
        return is_meant != self.is_not
