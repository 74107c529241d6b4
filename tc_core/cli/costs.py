"""`token-calc costs`: what calls cost, by any dimension or label."""

import difflib
from collections.abc import Collection, Sequence
from datetime import UTC, tzinfo
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.plain_totals import FIELDS
from tc_core.costs.report import CostGroup, CostReport, report
from tc_core.costs.zones import TIME_UNITS
from tc_core.errors import ConfigurationError
from tc_core.model import clock
from tc_core.model.period import Period, period
from tc_core.model.ports import FilterValue
from tc_core.store.engine.wide_labels import meaning_of
from tc_core.store.read.filters import is_label, label_name
from tc_core.store.sql import SqlStore

MOST_GROUPS = 40
BAR = 12

_BEFORE = {
    "today": "yesterday",
    "this-week": "last week",
    "this-month": "last month",
    "this-year": "last year",
}


def costs(
    by: Annotated[
        str,
        typer.Option("--by", metavar="NAMES", help="Dimensions, labels, hour, day or month, with commas between."),
    ] = "model",
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show what calls cost.

    Example: token-calc costs --by agent,model --since this-week
    """
    with common.told():
        source = common.open_store(store)
        tzinfo = common.zone(tz)
        asked = period(since, until, tz=tzinfo)
        names = names_of(by)
        filters = filters_of(where or [])
        found = report(source, asked, group_by=names, filters=filters, tz=tzinfo)
        if as_json:
            text.print_json(found.to_dict())
        elif as_csv:
            _print_csv(found, names)
            if found.removed_events:
                text.console(stderr=True).print(_gone(found))
        else:
            is_compared = since in _BEFORE and until is None
            before = report(source, _so_far(str(since), asked, tzinfo), filters=filters) if is_compared else None
            print_report(found, names, title=_title(found, since, until, before, where or []))
            _print_wide(source, {*names, *filters})
            _print_hint(source, found, store)


def print_report(found: CostReport, names: Sequence[str], *, title: Text) -> None:
    """Print the answer, and below it the groups."""
    console = text.console()
    console.print(title)
    if found.removed_events:
        console.print(_gone(found))
    if not found.groups:
        return
    console.print()
    _sheet(found, names).print(console)
    for name in names:
        if name not in FIELDS and all(group.key[name] is None for group in found.groups):
            near = difflib.get_close_matches(name, [*FIELDS, *_SHORT, *TIME_UNITS], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            console.print(Text(f"\nNo call has a label {name!r}{hint}", style="yellow"))
    if len(found.groups) > MOST_GROUPS:
        console.print(Text(f"and {len(found.groups) - MOST_GROUPS:,} more (--csv shows all)", style="dim"))


def title_line(found: CostReport, when: str, comparison: str = "") -> Text:
    """Return the sentence that answers the question."""
    line = Text()
    line.append(text.usd(found.total_cost_nanos), style="bold")
    line.append(f"{when} in {text.plural(found.total_calls, 'call')}{comparison}.")
    if found.total_charges_nanos:
        line.append(f"  {text.usd(found.total_charges_nanos)} of it beside tokens.")
    doubts = [
        text.plural(found.unpriced_calls, "call") + " unpriced" if found.unpriced_calls else "",
        f"{found.estimated_calls:,} estimated" if found.estimated_calls else "",
        f"{found.errors:,} failed" if found.errors else "",
    ]
    said = ", ".join(doubt for doubt in doubts if doubt)
    if said:
        line.append(f"  {said}.", style="yellow" if found.unpriced_calls or found.estimated_calls else "")
    return line


def _gone(found: CostReport) -> Text:
    return Text(
        f"This leaves out up to {text.plural(found.removed_events, 'event')} that left the store: "
        f"its details are whole since {found.details_since:%Y-%m-%d} (UTC).",
        style="yellow",
    )


def _sheet(found: CostReport, names: Sequence[str]) -> Sheet:
    sheet = Sheet(
        *(Column(_heading(name)) for name in names),
        number("calls"),
        number("input", goes=4),
        number("cached", goes=2),
        number("output", goes=3),
        number("cost"),
        Column(goes=1, least=BAR),
        number("share", goes=5),
    )
    shown = found.groups[:MOST_GROUPS]
    decimals = text.column_decimals(group.cost_nanos for group in shown)
    whole = found.total_cost_nanos or 0
    for group in shown:
        part = group.cost_nanos or 0
        sheet.add(
            *(Text(group.key[name] or text.EMPTY, style="" if group.key[name] else "dim") for name in names),
            text.count(group.calls),
            text.count(group.input_tokens),
            text.percent(group.cached_tokens, group.input_tokens),
            text.count(group.output_tokens),
            text.cost_text(group.cost_nanos, decimals, is_doubtful=bool(group.estimated_calls)),
            f"{text.bar(part, whole, BAR):{BAR}}" if whole else "",
            text.percent(part, whole),
        )
    return sheet


def _title(
    found: CostReport, since: str | None, until: str | None, before: CostReport | None, where: Sequence[str]
) -> Text:
    if not found.total_calls:
        said = [_when(since, until), f"with {', '.join(where)}" if where else ""]
        return Text(f"No calls {' '.join(filter(None, said)) or 'recorded'}.")
    comparison = ""
    if since in _BEFORE and before is not None and before.total_cost_nanos and found.total_cost_nanos is not None:
        change = found.total_cost_nanos / before.total_cost_nanos - 1
        size = f"{abs(change):.0%} {'more' if change >= 0 else 'less'}".replace("%", " %")
        comparison = f", {size} than {_BEFORE[since]} by this time"
    when = _when(since, until)
    return title_line(found, f" {when}" if when else "", comparison)


def _so_far(since: str, asked: Period, tz: tzinfo) -> Period:
    """Return the part of the period before that had gone by when it was as old as this one is now."""
    before = period(_BEFORE[since].replace(" ", "-"), None, tz=tz)
    if before.start is None or before.end is None or asked.start is None:
        return before
    start, end = before.start.astimezone(UTC), before.end.astimezone(UTC)
    return Period(start, min(end, start + (clock.now() - asked.start.astimezone(UTC))))


def _when(since: str | None, until: str | None) -> str:
    if since is None and until is None:
        return ""
    if until is None:
        return f"since {since}" if since and since[:1].isdigit() else str(since).replace("-", " ")
    return f"from {since} to {until}" if since else f"until {until}"


def _print_wide(source: SqlStore, names: Collection[str]) -> None:
    """Say of which labels all events had to be read."""
    asked = {label_name(name) for name in names if is_label(name)}
    for label in sorted(asked & source.wide_labels().keys() if asked else ()):
        text.console().print(Text(f"\nNote: {meaning_of(label)}.", style="yellow"))


def _print_csv(found: CostReport, names: Sequence[str]) -> None:
    measures = [name for name in CostGroup.__slots__ if name != "key"]
    rows = [
        [*(group.key[name] for name in names), *(getattr(group, measure) for measure in measures)]
        for group in found.groups
    ]
    text.print_csv([*names, *measures], rows)


def _print_hint(source: SqlStore, found: CostReport, store: str | None) -> None:
    if not found.total_calls and not source.runs(limit=1, single_calls=True):
        common.print_hint("token-calc demo", "records a run to look at")
    elif source.runs(limit=1):
        common.print_hint("token-calc tree last", "shows where the last run's money went", store)
    else:
        common.print_hint("token-calc costs --by day", "shows it over time", store)


def _dimension(name: str) -> str:
    """Allow the short words that people say: agent, workflow, session, task."""
    return _SHORT.get(name, name)


def _heading(name: str) -> str:
    return next((short for short, long in _SHORT.items() if long == name), name)


_SHORT = {"agent": "agent_id", "workflow": "workflow_id", "session": "session_id", "task": "task_type"}


def names_of(written: str) -> list[str]:
    """Read names with commas between, short words allowed."""
    return [_dimension(name.strip()) for name in written.split(",") if name.strip()]


def filters_of(texts: Sequence[str]) -> dict[str, FilterValue]:
    """Read filters as people write them; raise ConfigurationError for what is none."""
    found: dict[str, list[str | None]] = {}
    for each in texts:
        name, separator, value = each.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"cannot read the filter {each!r}: use --filter NAME=VALUE")
        found.setdefault(_dimension(name), []).append(value or None)
    return dict(found)
