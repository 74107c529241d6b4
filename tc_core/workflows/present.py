"""A run drawn: a tree with a time line for the terminal, and the formats of other programs."""

import html
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from rich.cells import cell_len, set_cell_size

from tc_core.lineage.tree import Node
from tc_core.model import money
from tc_core.workflows.outcomes import OUTCOME
from tc_core.workflows.timing import Span, name_of, spans_of

Format = Literal["ascii", "mermaid", "dot", "html"]

LEAST_WIDTH = 40
_LEAST_BAR = 10
_GAP = "  "


def draw(root: Node, format: str, *, width: int) -> str:  # noqa: A002  # as the seed's users call it
    """Draw a run; ValueError for a format that there is not, or a width below 40."""
    if format not in _FORMATS:
        raise ValueError(f"format must be one of {', '.join(_FORMATS)}, not {format!r}")
    if width < LEAST_WIDTH:
        raise ValueError(f"width must be at least {LEAST_WIDTH}, not {width!r}")
    return _FORMATS[format](root, width)


def _ascii(root: Node, width: int) -> str:
    """Return a line for each event: where it stands, when it ran, how long, and what it cost with all that is in it."""
    spans, whole = spans_of(root), spans_of(root)[root.event.event_id]
    rows = [
        (
            lead + _label(node),
            _bar_span(spans[node.event.event_id], whole),
            _time(spans, node),
            _cost(node),
            _note(node),
        )
        for lead, node in _led(root)
    ]
    times, costs, notes = (max(map(cell_len, column)) for column in list(zip(*rows, strict=True))[2:])
    room = width - times - costs - notes - 4 * len(_GAP)
    labels = min(max(cell_len(row[0]) for row in rows), max(room - max(_LEAST_BAR, room // 3), _LEAST_BAR))
    bars = max(room - labels, _LEAST_BAR)
    return "\n".join(
        _GAP.join((_fit(label, labels), _bar(span, bars), time.rjust(times), cost.rjust(costs), note)).rstrip()
        for label, span, time, cost, note in rows
    )


def _mermaid(root: Node, _width: int) -> str:
    """Return a flow chart: what hangs under what, and dotted what came from what."""
    numbers = {node.event.event_id: number for number, node in enumerate(root.walk())}
    lines = ["flowchart TD"]
    for node in root.walk():
        said = "<br/>".join(map(_mermaid_text, _said(node)))
        lines.append(f'    n{numbers[node.event.event_id]}["{said}"]')
    lines += [f"    n{numbers[a]} --> n{numbers[b]}" for a, b in _edges(root)]
    lines += [f"    n{numbers[a]} -. {kind} .-> n{numbers[b]}" for a, kind, b in _relations(root, numbers)]
    return "\n".join(lines)


def _dot(root: Node, _width: int) -> str:
    """Return a graph for Graphviz."""
    numbers = {node.event.event_id: number for number, node in enumerate(root.walk())}
    lines = ["digraph workflow {", "    node [shape=box];"]
    for node in root.walk():
        said = "\\n".join(map(_dot_text, _said(node)))
        lines.append(f'    n{numbers[node.event.event_id]} [label="{said}"];')
    lines += [f"    n{numbers[a]} -> n{numbers[b]};" for a, b in _edges(root)]
    lines += [
        f'    n{numbers[a]} -> n{numbers[b]} [style=dashed, label="{kind}"];'
        for a, kind, b in _relations(root, numbers)
    ]
    return "\n".join([*lines, "}"])


def _html(root: Node, _width: int) -> str:
    """Return a page by itself, with a line for each event; it loads nothing and runs nothing."""
    spans = spans_of(root)
    whole = spans[root.event.event_id]
    rows = []
    for depth, node in _deep(root):
        start, end = _bar_span(spans[node.event.event_id], whole)
        texts = [_kind(node), name_of(node), _time(spans, node), _cost(node), _note(node)]
        kind, name, time, cost, note = (html.escape(_shown(text)) for text in texts)
        bar = f"margin-left:{start * 100:.2f}%;width:{max((end - start) * 100, 0.3):.2f}%"
        rows.append(
            f'<tr><td style="padding-left:{depth * 1.2:.1f}em"><small>{kind}</small> {name}</td>'
            f'<td class="line"><div style="{bar}"></div></td>'
            f'<td class="number">{time}</td><td class="number">{cost}</td><td>{note}</td></tr>'
        )
    title = html.escape(_shown(name_of(root)))
    return _PAGE.format(title=title, rows="\n".join(rows))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: 0.15em 0.8em; text-align: left; vertical-align: middle; }}
tr:nth-child(even) {{ background: #f4f4f4; }}
small {{ color: #666; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.line {{ width: 45%; }}
.line div {{ background: #3b6ea5; height: 0.8em; border-radius: 2px; }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
<thead><tr><th>step</th><th>when</th><th class="number">time</th><th class="number">cost</th><th></th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""

_FORMATS: Mapping[str, Callable[[Node, int], str]] = {"ascii": _ascii, "mermaid": _mermaid, "dot": _dot, "html": _html}


# What is said of an event


def _label(node: Node) -> str:
    kind = _kind(node)
    return _shown(f"{kind} {name_of(node)}" if kind else name_of(node))


def _kind(node: Node) -> str:
    if node.event.is_call:
        return ""
    return {"task": "step", "retrieval": "retriever"}.get(node.event.event_type, node.event.event_type)


def _said(node: Node) -> list[str]:
    """Return the lines in a box."""
    event = node.event
    took = "" if event.latency_ms is None else _duration(event.latency_ms)
    figures = ", ".join(filter(None, (took, _cost(node))))
    return [line for line in (_label(node), figures, _note(node)) if line]


def _note(node: Node) -> str:
    event = node.event
    said = [] if event.status == "ok" else [f"{event.status} {event.error_type}" if event.error_type else event.status]
    said += ["retry" for relation in node.relations if relation.relation == "retry_of"]
    return _shown(", ".join(said))


def _cost(node: Node) -> str:
    if not node.totals.calls:
        return ""
    nanos = node.totals.known_cost_nanos
    return "unpriced" if nanos is None else f"${money.to_decimal(nanos):.6f}"


def _time(spans: Mapping[str, Span], node: Node) -> str:
    return "" if node.event.event_type == OUTCOME else _duration(spans[node.event.event_id].length_us / 1000)


def _duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else f"{milliseconds / 60_000:.1f} min"


# The tree and its lines


def _led(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield each event with the branches that lead to it."""
    waiting = [(root, "", "")]
    below = {"": "", "├─ ": "│  ", "└─ ": "   "}
    while waiting:
        node, lead, branch = waiting.pop()
        yield lead + branch, node
        last = len(node.children) - 1
        waiting.extend(
            (child, lead + below[branch], "└─ " if place == last else "├─ ")
            for place, child in reversed(list(enumerate(node.children)))
        )


def _deep(root: Node) -> Iterator[tuple[int, Node]]:
    waiting = [(0, root)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting.extend((depth + 1, child) for child in reversed(node.children))


def _edges(root: Node) -> Iterator[tuple[str, str]]:
    for node in root.walk():
        for child in node.children:
            yield node.event.event_id, child.event.event_id


def _relations(root: Node, known: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    for node in root.walk():
        for relation in node.relations:
            if relation.target_id in known:
                yield relation.target_id, relation.relation, node.event.event_id


def _bar_span(span: Span, whole: Span) -> tuple[float, float]:
    """Return where a bar begins and ends, as shares of the whole."""
    length = whole.length_us or 1
    start = min(max((span.start_us - whole.start_us) / length, 0.0), 1.0)
    return start, min(max((span.end_us - whole.start_us) / length, start), 1.0)


def _bar(span: tuple[float, float], width: int) -> str:
    start, end = (round(share * width) for share in span)
    start = min(start, width - 1)
    end = max(end, start + 1)
    return " " * start + "█" * (end - start) + " " * (width - end)


def _fit(text: str, width: int) -> str:
    """Return a text exactly so many cells wide: wide characters take two."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


# What others would take for a command


def _shown(text: str) -> str:
    """Return a text in one line, without what would command a terminal."""
    return "".join(" " if each.isspace() else "\ufffd" if _commands(each) else each for each in text)


def _commands(character: str) -> bool:
    return character != "\u200d" and unicodedata.category(character).startswith(
        "C"
    )  # a joiner makes one emoji of several


def _mermaid_text(text: str) -> str:
    """Return a text with all that Mermaid or a browser would take for markup as its number."""
    return "".join(
        each if each.isalnum() or each in " .,:;$-_/()" or ord(each) > 127 else f"#{ord(each)};" for each in text
    )


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
