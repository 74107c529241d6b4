"""`token-calc provenance`: where one event comes from, and what came from it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.events import MARKS, RELATIONS, SHORT_ID
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.lineage import find
from tc_core.lineage.reads import reads
from tc_core.lineage.tree import Node, name_of
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.lineage.graph import LineageGraph

_NAMED = ("agent_id", "agent_type", "task_type", "intent", "workflow_id", "session_id", "environment")
_BACK = {
    "retry_of": "↻ retried by",
    "fallback_for": "⇢ replaced by",
    "continuation_of": "… continued by",
    "derived_from": "→ read by",
    "triggered_by": "→ triggered",
    "enhancement_of": "↑ enhanced by",
    "validation_of": "✓ validated by",
    "part_of": "∋ holds",
}


def provenance(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="`last`, an event's id, or the end of one.")],
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show where one call comes from: what holds it, what it came from, and what came from it.

    Example: token-calc provenance 9d3e21aa
    """
    with common.told():
        from tc_core.lineage.graph import LineageGraph  # brings networkx, which takes longer than most commands

        source = common.open_store(store)
        found = find.event(source, event)
        graph = LineageGraph(source, event_id=found.event_id)
        if as_json:
            text.print_json(_plain(source, found, graph))
        else:
            _print(source, found, graph, store)


def _plain(source: SqlStore, found: TrackingEvent, graph: "LineageGraph") -> dict[str, Any]:
    relations = source.relationships(event_id=found.event_id, hints=True)
    return {
        "event": found.to_dict(),
        "path": [each.event_id for each in _path(source, found)],
        "relations": [relation.to_dict() for relation in relations],
        "ancestors": graph.ancestors(found.event_id),
        "descendants": graph.descendants(found.event_id),
    }


def _print(source: SqlStore, found: TrackingEvent, graph: "LineageGraph", store: str | None) -> None:
    console = text.console()
    line = Text(name_of(found), style="bold")
    line.append(f"  {found.event_type.replace('_', ' ')} {found.event_id[-SHORT_ID:]}", style="dim")
    if found.status != "ok":
        line.append(f"  {MARKS[found.status]} {found.error_type or found.status}", style="red")
    if found.is_call and found.has_usage:
        line.append(f"  {text.count(found.input_tokens)} in  {text.count(found.output_tokens)} out")
        line.append(f"  {text.usd(found.cost_nanos)}", style="bold" if found.cost_nanos is not None else "yellow")
    console.print(text.one_line(line))
    console.print()
    path = [*_path(source, found), found]
    console.print(Text(f"{'path':20}", style="dim") + text.one_line(" › ".join(name_of(each) for each in path)))  # noqa: RUF001  # a sign that leads on
    for name in _NAMED:
        value = getattr(found, name)
        if value is not None:
            console.print(Text(f"{name.removesuffix('_id').replace('_', ' '):20}", style="dim") + text.one_line(value))
    _print_relations(source, found)
    ancestors, descendants = graph.ancestors(found.event_id), graph.descendants(found.event_id)
    counted = (
        f"comes from {text.plural(len(ancestors), 'event')}, {text.plural(len(descendants), 'event')} came from it"
    )
    console.print(f"\nIn all it {counted}.")
    if found.event_type == "llm_call":
        common.print_hint(f"token-calc waterfall {found.event_id[-SHORT_ID:]}", "shows what fills its prompt", store)


def _print_relations(source: SqlStore, found: TrackingEvent) -> None:
    relations = source.relationships(event_id=found.event_id, hints=True)
    if not relations:
        return
    console = text.console()
    console.print()
    own = [relation for relation in relations if relation.source_id == found.event_id]
    tokens = reads(source, [Node(found, relations=own)])
    sheet = Sheet(Column(least=16), Column(least=16), number("", goes=1), Column(goes=2))
    for relation in sorted(relations, key=lambda each: each.source_id != found.event_id):
        sheet.add(*_row(source, found, relation, tokens.get((relation.source_id, relation.target_id))))
    sheet.print(console)


def _row(
    source: SqlStore, found: TrackingEvent, relation: ProvenanceRelationship, tokens: int | None
) -> tuple[Text | str, ...]:
    is_own = relation.source_id == found.event_id
    words = RELATIONS if is_own else _BACK
    other_id = relation.target_id if is_own else relation.source_id
    other = source.get_event(other_id)
    named = other_id if other is None else f"{name_of(other)} ({other_id[-SHORT_ID:]})"
    sure = "" if relation.confidence == 1 else f", {relation.confidence:.2f}"
    how_much = "" if tokens is None else text.plural(tokens, "token")
    return Text(words[relation.relation], style="cyan"), named, how_much, Text(f"{relation.source}{sure}", style="dim")


def _path(source: SqlStore, found: TrackingEvent) -> list[TrackingEvent]:
    """Return what holds an event, the outermost first."""
    above: list[TrackingEvent] = []
    seen = {found.event_id}
    parent_id = found.parent_id
    while parent_id is not None and parent_id not in seen:
        seen.add(parent_id)
        parent = source.get_event(parent_id)
        if parent is None:
            break
        above.append(parent)
        parent_id = parent.parent_id
    return above[::-1]
