"""Graphviz: `dot -Tsvg lineage.dot`."""

from collections.abc import Iterator

from tc_core.lineage.export.colours import EDGE, FILL, OF_STATUS
from tc_core.lineage.export.picture import PARENT, Picture, caption, printable


def write(drawn: Picture) -> str:
    """Write a picture; a dashed arrow says what its tail is to its head."""
    return "\n".join(_lines(drawn)) + "\n"


def _lines(drawn: Picture) -> Iterator[str]:
    yield "digraph lineage {"
    title = [drawn.title, *([drawn.note] if drawn.note else [])]
    yield f"  graph [rankdir=LR, labelloc=t, label={_quoted(*title)}];"
    yield '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];'
    yield '  edge [fontname="sans-serif", fontsize=9];'
    for place, box in enumerate(drawn.boxes):
        label = _quoted(caption(f"{box.kind} {box.name}"), "  ".join(box.details))
        border = OF_STATUS.get(box.status, EDGE)
        yield f'  n{place} [label={label}, tooltip={_quoted(box.id)}, fillcolor="{FILL[box.kind]}", color="{border}"];'
    for line in drawn.lines:
        label = f"label={_quoted(line.label)}" if line.label else ""
        if line.relation == PARENT:
            yield f"  n{line.older} -> n{line.newer}" + (f" [{label}];" if label else ";")
        else:
            yield f"  n{line.newer} -> n{line.older} [style=dashed, constraint=false, {label}];"
    yield "}"


def _quoted(*lines: str) -> str:
    """Write a string: inside one, Graphviz reads a backslash, a quote and HTML's entities."""
    escaped = [
        printable(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines if line
    ]
    return '"' + "\\n".join(escaped) + '"'
