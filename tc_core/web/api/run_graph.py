"""Run: the graph of agents, tools and models below what is selected, with the critical path."""

from collections.abc import Mapping
from typing import Any

from tc_core.lineage.groups import Group, GroupGraph, GroupNode, grouped
from tc_core.model import written
from tc_core.web.api.run import asked_run, path_of
from tc_core.web.asked import Asked
from tc_core.web.table import Table

MOST_NODES, MOST_EDGES = 24, 36
"""So many groups and ways are shown without being asked for, however many hops that are."""

HOPS = ("1", "2", "3", "all")


def view(asked: Asked) -> Mapping[str, Any]:
    """Return the graph, and the same as a table."""
    run = asked_run(asked)
    place = run.place_of(event) if (event := asked.text("below")) else 0
    pieces = run.waited_for(place or 0)
    whole = grouped(run, place or 0, pieces)
    around = _group(whole, asked.text("around"))
    hops = asked.choice("hops", HOPS)
    wanted = (
        whole.hops_that_fit(around, MOST_NODES, MOST_EDGES) if hops is None else None if hops == "all" else int(hops)
    )
    shown = whole.around(around, wanted)
    return {
        "path": path_of(run, place or 0, pieces),
        "of": run.names[place or 0],
        "around": around.key,
        "hops": hops or "",
        "note": shown.left_out,
        "nodes": [_node(shown, node) for node in shown.nodes.values()],
        "edges": [
            {"from": edge.source.key, "to": edge.target.key, "kind": edge.kind, "times": edge.times,
             "text": written.count(edge.times), "critical": edge.is_critical}
            for edge in shown.edges.values()
        ],
        "table": _table(shown),
    }  # fmt: skip


def _group(graph: GroupGraph, key: str | None) -> Group:
    return next((group for group in graph.nodes if group.key == key), graph.root)


def _node(graph: GroupGraph, node: GroupNode) -> Mapping[str, Any]:
    return {
        "key": node.group.key,
        "kind": node.group.kind,
        "name": node.group.name,
        "text": _said(node),
        "waited": written.seconds(node.waited_us / 1000) if node.waited_us else "",
        "share": node.waited_us / graph.total_us if graph.total_us else 0,
        "failed": node.failed,
        "again": node.again,
    }


def _said(node: GroupNode) -> str:
    parts = [f"{node.times:,} x"]
    if node.cost_nanos is not None and node.group.kind == "model":
        parts.append(written.usd(node.cost_nanos))
    if node.waited_us:
        parts.append(written.seconds(node.waited_us / 1000))
    return "  ".join(parts)


def _table(graph: GroupGraph) -> Mapping[str, Any]:
    nodes = sorted(graph.nodes.values(), key=lambda node: (-node.waited_us, -(node.cost_nanos or 0), node.group.key))
    table = Table(label="Agents, tools and models")
    table.names("kind", [node.group.kind for node in nodes], tones=["nothing"] * len(nodes))
    table.names("name", [node.group.name for node in nodes])
    table.numbers("times", [node.times for node in nodes])
    table.numbers("in one", [node.most_in_one for node in nodes], goes=2)
    table.numbers("in itself", [node.again for node in nodes], goes=3, tones=_quiet(node.again for node in nodes))
    table.numbers(
        "failed",
        [node.failed for node in nodes],
        goes=1,
        tones=["over" if node.failed else "nothing" for node in nodes],
    )
    costs = [node.cost_nanos for node in nodes]
    decimals = written.column_decimals(costs)
    table.numbers(
        "cost",
        costs,
        [written.usd(nanos, decimals=decimals) for nanos in costs],
        tones=["doubt" if _is_unpriced(node) else "" if node.cost_nanos else "nothing" for node in nodes],
    )
    table.numbers(
        "waited for",
        [node.waited_us for node in nodes],
        [written.seconds(node.waited_us / 1000) if node.waited_us else written.EMPTY for node in nodes],
    )
    table.shares("of the time", [node.waited_us for node in nodes], graph.total_us)
    return table.to_dict()


def _is_unpriced(node: GroupNode) -> bool:
    return node.cost_nanos is None and node.group.kind == "model"


def _quiet(counts: Any) -> list[str]:
    return ["" if count else "nothing" for count in counts]
