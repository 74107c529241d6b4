"""`token-calc runs` and `show`: what ran, and one event in full."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.events import MARKS, SHORT_ID
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.tracker import GIVEN
from tc_core.lineage import find
from tc_core.lineage.tree import name_of
from tc_core.meter import recorded
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import CostPart
from tc_core.model.run import Run
from tc_core.record.reports import BILLED


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="How many.")] = 20,
    single_calls: Annotated[bool, typer.Option("--all", help="Also model calls that stand alone.")] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """List the latest runs of agents, graphs and workflows.

    Example: token-calc runs -n 5
    """
    with common.told():
        source = common.open_store(store)
        found = source.runs(limit=limit, single_calls=single_calls)
        if not found and not single_calls:
            found = source.runs(limit=limit, single_calls=True)
        if as_json:
            text.print_json([run.to_dict() for run in found])
        else:
            _print_runs(found, common.zone(tz), store)
            if len(found) < limit:
                common.print_removed(source.removals(), "Older runs are gone")


def show(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event's id, or the end of one.")],
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show everything that is known of one event, with the parts of its cost.

    Example: token-calc show 9d3e21aa
    """
    with common.told():
        source = common.open_store(store)
        found = find.event(source, event)
        relations = source.relationships(event_id=found.event_id)
        attempts = source.attempts(found.event_id)
        parts = (
            [] if found.cost_nanos is not None and found.price_source in GIVEN - {BILLED} else recorded.parts_of(found)
        )
        if as_json:
            plain = {**found.to_dict(), "relations": [relation.to_dict() for relation in relations]}
            plain["attempts"] = [attempt._asdict() for attempt in attempts]
            plain["cost_parts"] = [part._asdict() for part in parts]
            plain["cost_parts_nanos"] = recorded.total(parts) if parts else None
            text.print_json(plain)
            return
        console = text.console()
        written = {"timestamp": text.moment(found.timestamp, common.zone(tz)), "cost": text.usd(found.cost_nanos)}
        for name, value in (found.to_dict() | written).items():
            console.print(Text(f"{name:20}", style="dim") + text.one_line(_plain(value)))
        for relation in relations:
            other = relation.target_id if relation.source_id == found.event_id else relation.source_id
            word = relation.relation if relation.source_id == found.event_id else f"is {relation.relation} for"
            console.print(Text(f"{word:20}", style="dim") + Text(other))
        for attempt in attempts:
            took = "" if attempt.latency_us is None else f" after {text.seconds(attempt.latency_us / 1000)}"
            said = "no answer" if attempt.status is None else f"HTTP {attempt.status}"
            console.print(Text(f"{f'attempt {attempt.number}':20}", style="dim") + Text(f"{said}{took}"))
        if parts:
            _print_parts(found, parts)


def _print_parts(event: TrackingEvent, parts: Sequence[CostPart]) -> None:
    """Print the lines of a cost, under a sentence that says how they stand to what is booked."""
    console = text.console()
    sentence = _about_parts(event, parts)
    console.print(Text(f"\n{sentence}", style="" if event.cost_nanos is not None else "yellow"))
    sheet = Sheet(Column(), number(""), number(""))
    decimals = text.column_decimals(part.cost_nanos for part in parts)
    for part in parts:
        price = (
            Text("no price", style="yellow")
            if part.cost_nanos is None
            else text.usd(part.cost_nanos, decimals=decimals)
        )
        sheet.add(part.kind, text.count(part.count), price)
    sheet.print(console)


def _about_parts(event: TrackingEvent, parts: Sequence[CostPart]) -> str:
    now = recorded.total(parts)
    missing = " and ".join(dict.fromkeys(part.kind for part in parts if part.cost_nanos is None))
    of_what = " ".join(filter(None, (event.served_model or event.model, event.service_tier)))
    if event.cost_nanos is None:
        if missing:
            return f"Unpriced, since no price is known for {missing} of {of_what}:"
        return f"Unpriced when it was recorded; `token-calc reprice` would make it {text.usd(now)}:"
    if now == event.cost_nanos:
        return "The cost is the sum of:"
    booked = "The provider billed" if event.price_source == BILLED else "Booked is"
    otherwise = (
        f"the prices known now lack {missing}" if now is None else f"the prices known now make it {text.usd(now)}"
    )
    return f"{booked} {text.usd(event.cost_nanos)}; {otherwise}:"


def _print_runs(found: list[Run], tz: tzinfo, store: str | None) -> None:
    console = text.console()
    if not found:
        console.print("No runs recorded.")
        common.print_hint("token-calc demo", "records one to look at")
        return
    sheet = Sheet(
        Column("run", least=SHORT_ID),
        Column("started", least=len("2026-01-31 12:00:00"), goes=4),
        Column("what"),
        number("calls", goes=3),
        number("tokens", goes=2),
        number("cost"),
        number("time", goes=1),
        Column(least=40),
    )
    decimals = text.column_decimals(run.totals.known_cost_nanos for run in found)
    for run in found:
        event, totals = run.event, run.totals
        sheet.add(
            Text(event.event_id[-SHORT_ID:], style="dim"),
            text.moment(event.timestamp, tz),
            name_of(event),
            text.count(totals.calls),
            text.count(totals.input_tokens + totals.output_tokens),
            text.cost_text(totals.known_cost_nanos, decimals, is_doubtful=bool(totals.estimated)),
            text.seconds(event.latency_ms),
            _doubts(run),
        )
    sheet.print(console)
    latest = found[0].event.event_id[-SHORT_ID:]
    common.print_hint(f"token-calc tree {latest}", "shows what it did", store)


def _doubts(run: Run) -> Text:
    """Say what a run's cost leaves out, and how it ended where that was not well."""
    status, unpriced = run.event.status, run.totals.unpriced
    said = [f"{MARKS[status]} {status}" if status != "ok" else "", f"{unpriced:,} unpriced" if unpriced else ""]
    return Text(", ".join(filter(None, said)), style="yellow")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return text.EMPTY if value is None else str(value)
