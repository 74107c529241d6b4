"""What people write for names and filters, behind options and in addresses, and what no call has."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from tc_core.costs import names
from tc_core.costs.filters import NOT
from tc_core.errors import ConfigurationError
from tc_core.model.period import Period
from tc_core.model.ports import AggregateReader, FilterValue


def names_of(by: str) -> list[str]:
    """Read names with commas between them; the short words that people say are allowed: agent, user, session, task."""
    return [names.whole(name.strip()) for name in by.split(",") if name.strip()]


def filters_of(texts: Sequence[str]) -> dict[str, FilterValue]:
    """Read filters as people write them; raise ConfigurationError for what is none.

    `NAME=VALUE` may be given again for further values, `NAME=BEGINNING*` is for all that begin so, `NAME!=VALUE` leaves
    a value out, and `NAME=` is for what has none.
    """
    found: dict[str, list[str | None]] = {}
    for each in texts:
        name, separator, value = each.partition("=")
        if not separator or not name.removesuffix(NOT):
            raise ConfigurationError(f"cannot read the filter {each!r}: use --filter NAME=VALUE")
        is_not = name.endswith(NOT)
        meant = names.whole(name.removesuffix(NOT).strip()) + (NOT if is_not else "")
        found.setdefault(meant, []).append(value or None)
    return dict(found)


def unknown(reader: AggregateReader, asked: Iterable[str], period: Period) -> list[str]:
    """Return those names that are neither known nor the label of any call of a period."""
    found = []
    for name in dict.fromkeys(each.removesuffix(NOT) for each in asked):
        if name in names.known() or name.startswith("labels."):
            continue
        if reader.totals([name], None, period.start, period.end).keys() <= {(None,)}:
            found.append(name)
    return found


def not_known(name: str) -> str:
    """Say that no call has a name, and which is near."""
    near = difflib.get_close_matches(name, names.known(), n=1)
    return f"No call has a label {name!r}" + (f"; did you mean {near[0]}?" if near else "")


def written(filters: Mapping[str, FilterValue]) -> str:
    """Write filters for a sentence: `with model=gpt-4o`."""
    said = []
    for name, value in filters.items():
        values = [value] if value is None or isinstance(value, str) else value
        said += [f"{names.short(name)}={each or ''}" for each in values]
    return f"with {', '.join(said)}" if said else ""
