"""`token-calc tree`: what hung under what, with tokens and cost at each step."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.lineage import find
from tc_core.lineage.tree import Node, tree
from tc_core.model.attempt import Attempt
from tc_core.model.event import TrackingEvent

SHORT_ID = 8
"""Digits at the end of an id that tell it from others: its beginning is the time."""

MARKS = {"error": "✗", "cancelled": "✗", "closed": "◌", "abandoned": "?", "open": "…"}
_BELOW = {"": "", "├─ ": "│  ", "└─ ": "   "}
"""What leads the lines below a branch."""
_RELATIONS = {
    "retry_of": "↻ retry of",
    "fallback_for": "⇢ fallback for",
    "continuation_of": "… continues",
    "derived_from": "← derived from",
    "triggered_by": "← triggered by",
    "enhancement_of": "↑ enhances",
    "validation_of": "✓ validates",
    "part_of": "∈ part of",
}


def show_tree(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="`last`, an id, the end of one, or a name that `runs` shows.")
    ] = "last",
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show a run's lineage, with tokens and cost at each step.

    Example: token-calc tree last
    """
    with common.told():
        source = common.open_store(store)
        found = find.run_id(source, run)
        root, attempts = tree(*source.tree(found)), source.attempts_in(found)
        if as_json:
            text.print_json(root.to_dict())
        else:
            print_tree(root, attempts)
            days = {node.event.timestamp.date() for node in root.walk()}
            common.print_removed(
                {day: events for day, events in source.removals().items() if day in days}, "Of its days"
            )


_NO_ATTEMPTS: Mapping[str, Sequence[Attempt]] = {}


def print_tree(root: Node, attempts: Mapping[str, Sequence[Attempt]] = _NO_ATTEMPTS) -> None:
    """Print a run: its answer in the first line, its steps below, each with its short id, tokens and cost.

    `attempts` are the HTTP requests of calls, by their ids.
    """
    console = text.console()
    console.print(text.one_line(headline(root, attempts)))
    sheet = sheet_of(root, attempts)
    sheet.print(console)


def sheet_of(root: Node, attempts: Mapping[str, Sequence[Attempt]] = _NO_ATTEMPTS) -> Sheet:
    """Return what lies below a root as lines."""
    sheet = Sheet(
        Column(least=28),
        Column(goes=2, least=SHORT_ID),
        Column(is_number=True, goes=1),
        Column(goes=4, least=32),
        number(""),
        Column(goes=3, hangs=True),
    )
    decimals = text.column_decimals(node.totals.known_cost_nanos for node in root.walk())
    lines: list[tuple[Node, str, str]] = [(root, "", "")]
    while lines:
        node, lead, branch = lines.pop()
        if node is not root:
            sheet.add(
                Text(lead + branch, style="dim") + _label(node),
                Text(node.event.event_id[-SHORT_ID:], style="dim"),
                text.seconds(node.event.latency_ms),
                _tokens(node.event),
                _cost(node, decimals),
                _notes(node, root, attempts),
                lead=Text(f"{lead}{_BELOW[branch]}{_BELOW['├─ '] if node.children else '   '}", style="dim"),
            )
        below = lead + _BELOW[branch]
        last = len(node.children) - 1
        lines.extend(
            (child, below, "└─ " if place == last else "├─ ")
            for place, child in reversed(list(enumerate(node.children)))
        )
    return sheet


def headline(root: Node, attempts: Mapping[str, Sequence[Attempt]] = _NO_ATTEMPTS) -> Text:
    """Return the first line of a tree: what ran, how long, what it cost, and how it ended."""
    event = root.event
    line = Text(name_of(event), style="bold")
    line.append(f"  run {event.event_id[-SHORT_ID:]}", style="dim")
    if event.latency_ms is not None:
        line.append(f"  {text.seconds(event.latency_ms)}")
    cost = root.totals.known_cost_nanos
    line.append(f"  {text.usd(cost)}", style="bold" if cost is not None else "yellow")
    if event.is_call:
        line.append("  ").append_text(_tokens(event))
    else:
        line.append(f"  in {text.plural(root.totals.calls, 'call')}")
    line.append(
        f"  {event.status}", style="" if event.status == "ok" else "red" if event.status == "error" else "yellow"
    )
    if root.totals.unpriced:
        line.append(f"  {root.totals.unpriced:,} unpriced", style="yellow")
    if root.totals.estimated:
        line.append(f"  {root.totals.estimated:,} estimated", style="yellow")
    if again := _again(attempts.get(event.event_id, ())):
        line.append(f"  {again}", style="cyan")
    return line


def _label(node: Node) -> Text:
    event = node.event
    if event.is_call:
        return Text(name_of(event))
    kind = {"task": "step", "retrieval": "retriever"}.get(event.event_type, event.event_type)
    return Text(f"{kind} ", style="dim") + Text(event.name or "")


def name_of(event: TrackingEvent) -> str:
    """Return what people call an event: a call by its model."""
    if event.is_call:
        return event.served_model or event.model or event.event_type
    return event.name or event.event_type


def _tokens(event: TrackingEvent) -> Text:
    if not event.is_call or not event.has_usage:
        return Text()
    cached = (
        f" ({text.percent(event.cached_tokens, event.input_tokens)} cached)"
        if event.cached_tokens and event.input_tokens
        else ""
    )
    counted = Text(f"{text.count(event.input_tokens)} in{cached}  {text.count(event.output_tokens)} out")
    if event.usage_source != "provider":
        counted.stylize("yellow")
        counted.append("  estimated", style="yellow")
    return counted


def _cost(node: Node, decimals: int) -> Text:
    totals = node.totals
    if not totals.calls or (node.event.is_call and not node.event.has_usage and node.event.status == "error"):
        return Text()
    if totals.known_cost_nanos is None:
        return Text("unpriced", style="yellow")
    return text.cost_text(totals.known_cost_nanos, decimals, is_doubtful=bool(totals.estimated) and node.event.is_call)


def _again(attempts: Sequence[Attempt]) -> str:
    """Say how often the client library sent the request again, and what had come before."""
    if len(attempts) < 2:
        return ""
    before = Counter("no answer" if each.status is None else str(each.status) for each in attempts[:-1])
    said = ", ".join(status if count == 1 else f"{count} x {status}" for status, count in before.items())
    retries = len(attempts) - 1
    return f"↻ {retries} {'retry' if retries == 1 else 'retries'} inside ({said})"


def _notes(node: Node, root: Node, attempts: Mapping[str, Sequence[Attempt]]) -> Text:
    notes = Text()
    event = node.event
    if event.status != "ok":
        said = event.error_type or event.status
        notes.append(f"{MARKS[event.status]} {said} ", style="red" if event.status == "error" else "yellow")
    if again := _again(attempts.get(event.event_id, ())):
        notes.append(f"{again} ", style="cyan")
    for relation in node.relations:
        target = next((each for each in root.walk() if each.event.event_id == relation.target_id), None)
        if relation.relation == "triggered_by" and target is not None:
            continue  # a tool that the model above asked for: what everybody expects
        where = relation.target_id[-SHORT_ID:] if target is None else _pointer(node, target, root)
        notes.append(f"{_RELATIONS[relation.relation]} {where} ", style="cyan")
    notes.rstrip()
    return notes


def _pointer(node: Node, target: Node, root: Node) -> str:
    """Say which event is meant: the one right above, or by its name."""
    siblings = next((each.children for each in root.walk() if node in each.children), [])
    place = siblings.index(node) if node in siblings else 0
    if place and siblings[place - 1] is target:
        return "the call above"
    return f"{name_of(target.event)} ({target.event.event_id[-SHORT_ID:]})"
