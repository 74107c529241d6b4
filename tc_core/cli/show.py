"""`token-calc show`: one event in full."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.content import print_content
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.tracker import GIVEN
from tc_core.ledger.content import content_of
from tc_core.lineage import find
from tc_core.meter import recorded
from tc_core.model.event import TrackingEvent
from tc_core.model.ports import CostPart
from tc_core.record.reports import BILLED


def show(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="`last`, an event's id, or the end of one.")],
    tz: common.ZoneOption = None,
    content: Annotated[bool, typer.Option("--content", help="Also what was sent and answered.")] = False,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show everything that is known of one event, with the parts of its cost.

    With --content the parts of its prompt and answer, and their texts where `capture_content` is on.

    Example: token-calc show 9d3e21aa
    """
    with common.told():
        source = common.open_store(store)
        found = find.event(source, event)
        relations = source.relationships(event_id=found.event_id, hints=True)
        attempts = source.attempts(found.event_id)
        parts = (
            [] if found.cost_nanos is not None and found.price_source in GIVEN - {BILLED} else recorded.parts_of(found)
        )
        if as_json:
            plain = {**found.to_dict(), "relations": [relation.to_dict() for relation in relations]}
            plain["attempts"] = [attempt._asdict() for attempt in attempts]
            plain["cost_parts"] = [part._asdict() for part in parts]
            if content:
                plain["content"] = content_of(source, found).to_dict()
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
        if content:
            print_content(content_of(source, found))


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


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return text.EMPTY if value is None else str(value)
