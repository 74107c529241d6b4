"""JSON as `networkx.node_link_graph` reads it."""

import json
from typing import Any

from tc_core.lineage.export.picture import Picture


def plain(drawn: Picture) -> dict[str, Any]:
    """Return plain JSON values; edges lead from the older to the newer, their key is `parent` or a relation."""
    ids = [box.id for box in drawn.boxes]
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"title": drawn.title},
        "nodes": [{"id": box.id, **box.attributes, "label": box.name} for box in drawn.boxes],
        "edges": [{"source": ids[line.older], "target": ids[line.newer], "key": line.relation} for line in drawn.lines],
    }


def write(drawn: Picture) -> str:
    """Write a picture."""
    return json.dumps(plain(drawn), indent=1, ensure_ascii=True) + "\n"
