"""How a cost report looks in the terminal: the answer first, then its groups."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from tc_core.cli import text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs import names
from tc_core.costs.headline import gone
from tc_core.costs.report import CostGroup, CostReport
from tc_core.costs.zones import TIME_UNITS

MOST_GROUPS = 40
BAR = 12

Extra = Mapping[str, str]
"""What is told of a group beside its figures, by its value."""


class ExtraColumn(NamedTuple):
    """A column that one kind of view has more."""

    heading: str
    values: Extra


def print_report(
    found: CostReport,
    by: Sequence[str],
    *,
    title: Text,
    extra: Sequence[ExtraColumn] = (),
    console: Console | None = None,
) -> None:
    """Print the answer, and below it the groups."""
    console = console or text.console()
    console.print(title)
    if found.removed_events:
        console.print(gone(found))
    if not found.groups:
        return
    console.print()
    shown, left_out = _shown(found, by)
    _sheet(found, shown, by, extra).print(console)
    if left_out:
        console.print(Text(f"and {left_out} (--csv shows all)", style="dim"))


def _shown(found: CostReport, by: Sequence[str]) -> tuple[list[CostGroup], str]:
    """Return the groups for which there is room, the latest of those by time, and how many are left out."""
    more = len(found.groups) - MOST_GROUPS
    if more <= 0:
        return found.groups, ""
    if any(name in TIME_UNITS for name in by):
        return found.groups[-MOST_GROUPS:], f"{more:,} earlier"
    return found.groups[:MOST_GROUPS], f"{more:,} more"


def _sheet(found: CostReport, shown: Sequence[CostGroup], by: Sequence[str], extra: Sequence[ExtraColumn]) -> Sheet:
    spreads = list(found.percentiles.cost_nanos) if found.percentiles is not None else []
    times = list(found.percentiles.latency_ms) if found.percentiles is not None else []
    sheet = Sheet(
        *(Column(names.short(name)) for name in by),
        number("calls"),
        number("input", goes=4),
        number("cached", goes=2),
        number("output", goes=3),
        number("cost"),
        *(number(f"cost {name}") for name in spreads),
        *(number(f"time {name}") for name in times),
        *(number(f"per {unit}") for unit in found.per),
        Column(goes=1, least=BAR),
        number("share", goes=6),
        *(Column(each.heading, goes=5, least=12) for each in extra),
    )
    rows: list[CostGroup] = [*shown, *([found.rest] if found.rest is not None else [])]
    decimals = text.column_decimals(group.cost_nanos for group in rows)
    for group in rows:
        is_rest = group is found.rest
        first = ",".join(group.key[name] or "" for name in by) if not is_rest else ""
        values = [
            Text(group.key[name] or text.EMPTY, style="" if group.key[name] else "dim") for name in by if not is_rest
        ]
        if is_rest:
            values = [Text(text.plural(found.rest_groups, "other"), style="dim"), *(Text() for _ in by[1:])]
        sheet.add(
            *values,
            *_figures(group, decimals),
            *(text.usd(_nanos(group, name)) for name in spreads),
            *(_time(group, name) for name in times),
            *(text.usd(group.per[unit].cost_nanos) if unit in group.per else "" for unit in found.per),
            *_share(found, group),
            *("" if is_rest else each.values.get(first, "") for each in extra),
        )
    return sheet


def _figures(group: CostGroup, decimals: int) -> list[Text | str]:
    return [
        text.count(group.calls),
        text.count(group.input_tokens),
        text.percent(group.cached_tokens, group.input_tokens),
        text.count(group.output_tokens),
        text.cost_text(group.cost_nanos, decimals, is_doubtful=bool(group.estimated_calls)),
    ]


def _share(found: CostReport, group: CostGroup) -> list[str]:
    part, whole = group.cost_nanos or 0, found.total_cost_nanos or 0
    share = "" if group.cost_nanos is None else text.percent(part, whole)  # what it costs is unknown, not nothing
    return [f"{text.bar(part, whole, BAR):{BAR}}" if whole else "", share]


def _nanos(group: CostGroup, name: str) -> int | None:
    return None if group.percentiles is None else group.percentiles.cost_nanos.get(name)


def _time(group: CostGroup, name: str) -> str:
    return text.seconds(None if group.percentiles is None else group.percentiles.latency_ms.get(name))
