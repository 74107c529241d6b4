"""One page that shows a lineage: a row for each event, how it hangs together, what it cost and when it ran.

The page has all it needs in itself: no script, no font, no request. Everything that was recorded is escaped.
"""

from collections import Counter
from collections.abc import Iterator
from html import escape

from tc_core.lineage.export.colours import EDGE, FILL, OF_STATUS
from tc_core.lineage.export.picture import PARENT, Box, Line, Picture, caption, printable, seconds, usd

_ROW = 26
_INDENT = 18
_TOP = 34
_LEFT = 12
_ARCS = 150
_TIME = 420
_CHARACTER = 6.7
"""How wide a character of 12 pixels is, at most about."""
_MOST_INDENTS = 40

_STYLE = """
body{font:14px system-ui,sans-serif;margin:24px;color:#1d1d1f;background:#fff}
h1{font-size:18px;margin:0 0 4px}p{margin:0 0 12px;color:#555}
svg text{font:12px system-ui,sans-serif;fill:#1d1d1f}svg .dim{fill:#6b6b70}svg .head{font-weight:600}
svg .said{font-size:10px;fill:#8a3ffc}svg .wrong{fill:#c62828}
.key span{display:inline-block;padding:1px 8px;margin:0 6px 6px 0;border-radius:4px;border:1px solid #777}
"""


def write(drawn: Picture) -> str:
    """Write a picture."""
    return "".join(_page(drawn))


def _page(drawn: Picture) -> Iterator[str]:
    title = escape(printable(drawn.title))
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>\n'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
    yield f"<title>{title}</title>\n<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
    if drawn.note:
        yield f"<p>{escape(printable(drawn.note))}</p>\n"
    yield '<p class="key">'
    for kind in dict.fromkeys(box.kind for box in drawn.boxes):
        yield f'<span style="background:{FILL[kind]}">{escape(printable(kind.replace("_", " ")))}</span>'
    yield "</p>\n"
    yield from _Drawing(drawn).svg()
    yield "\n</body></html>\n"


class _Drawing:
    """Where everything stands: the tree, arcs for relations, figures, and bars in time."""

    def __init__(self, drawn: Picture) -> None:
        self.drawn = drawn
        self.widths = [_width(box) for box in drawn.boxes]
        ends = [self._left(box) + width for box, width in zip(drawn.boxes, self.widths, strict=True)]
        self.tree_ends = max(ends, default=0)
        self.arcs = [line for line in drawn.lines if not self._is_tree(line)]
        self.drawn_before: Counter[frozenset[int]] = Counter()
        self.figures = self.tree_ends + (_ARCS if self.arcs else 24)
        self.time = self.figures + 250
        self.lasts_ms = max((box.ends_ms or 0 for box in drawn.boxes), default=0)
        self.width = self.time + (_TIME + 70 if self.lasts_ms else 0)
        self.height = _TOP + _ROW * len(drawn.boxes) + 10

    def svg(self) -> Iterator[str]:
        yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:.0f}" height="{self.height}" role="img">\n'
        yield (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#8a3ffc"/></marker></defs>\n'
        )
        yield from self._headings()
        for line in self.drawn.lines:
            if self._is_tree(line):
                yield self._elbow(line)
        for line in self.arcs:
            yield self._arc(line)
        for place, box in enumerate(self.drawn.boxes):
            yield from self._row(place, box)
        yield "</svg>"

    def _headings(self) -> Iterator[str]:
        columns = [(80, "in"), (145, "out"), (225, "cost")]
        if any("events" in box.attributes for box in self.drawn.boxes):
            columns.insert(0, (20, "events"))
        for right, said in columns:
            yield f'<text class="head" x="{self.figures + right:.0f}" y="18" text-anchor="end">{said}</text>'
        if self.lasts_ms:
            yield f'<text class="dim" x="{self.time:.0f}" y="18">0 s</text>'
            end = seconds(self.lasts_ms)
            yield f'<text class="dim" x="{self.time + _TIME:.0f}" y="18" text-anchor="end">{end}</text>\n'

    def _row(self, place: int, box: Box) -> Iterator[str]:
        left, y = self._left(box), _TOP + place * _ROW
        border = OF_STATUS.get(box.status, "#777")
        more = "; ".join([printable(box.id), *box.details])
        yield f"<g><title>{escape(more)}</title>"
        yield (
            f'<rect x="{left:.0f}" y="{y}" width="{self.widths[place]:.0f}" height="20" rx="4" fill="{FILL[box.kind]}" '
            f'stroke="{border}" stroke-width="{2 if box.status in OF_STATUS else 1}"/>'
        )
        yield f'<text x="{left + 7:.0f}" y="{y + 14}">{escape(_label(box))}</text></g>'
        for right, said in self._figures(box):
            yield f'<text x="{self.figures + right:.0f}" y="{y + 14}" text-anchor="end">{escape(said)}</text>'
        yield from self._bar(box, y)
        yield "\n"

    def _figures(self, box: Box) -> Iterator[tuple[int, str]]:
        if "events" in box.attributes:
            yield 20, f"{box.attributes['events']:,}"
        for right, name in ((80, "input_tokens"), (145, "output_tokens")):
            if name in box.attributes:
                yield right, f"{box.attributes[name]:,}"
        if "input_tokens" in box.attributes:
            yield 225, usd(box.attributes.get("cost_nanos")) or "unpriced"

    def _bar(self, box: Box, y: int) -> Iterator[str]:
        if box.begins_ms is None or not self.lasts_ms:
            return
        ends_ms = box.begins_ms if box.ends_ms is None else box.ends_ms
        left = self.time + _TIME * box.begins_ms / self.lasts_ms
        width = max(2.0, _TIME * (ends_ms - box.begins_ms) / self.lasts_ms)
        colour = "#c62828" if box.status == "error" else "#3367d6" if box.is_critical else "#b9c4d6"
        yield f'<rect x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="12" rx="2" fill="{colour}"/>'
        if box.ends_ms is not None:
            took = seconds(ends_ms - box.begins_ms)
            yield f'<text class="dim" x="{left + width + 5:.1f}" y="{y + 14}">{took}</text>'

    def _elbow(self, line: Line) -> str:
        above, below = self.drawn.boxes[line.older], self.drawn.boxes[line.newer]
        x, top = self._left(above) + 8, _TOP + line.older * _ROW + 20
        y, right = _TOP + line.newer * _ROW + 10, self._left(below)
        drawn = f'<path d="M{x:.0f} {top}V{y}H{right:.0f}" fill="none" stroke="{EDGE}"/>'
        return f"{drawn}\n"

    def _arc(self, line: Line) -> str:
        """Draw what the newer event is to the older one, from its right edge to the other's."""
        begins = self._left(self.drawn.boxes[line.newer]) + self.widths[line.newer]
        ends = self._left(self.drawn.boxes[line.older]) + self.widths[line.older]
        top, bottom = _TOP + line.newer * _ROW + 8, _TOP + line.older * _ROW + 14
        pair = frozenset((line.newer, line.older))
        beside, self.drawn_before[pair] = self.drawn_before[pair], self.drawn_before[pair] + 1
        away = self.tree_ends + min(90, 20 + 6 * abs(line.newer - line.older) + 16 * beside)
        said = escape(line.label or "holds")
        path = f"M{begins:.0f} {top}C{away:.0f} {top} {away:.0f} {bottom} {ends:.0f} {bottom}"
        drawn = f'<path d="{path}" fill="none" stroke="#8a3ffc" stroke-dasharray="4 3" marker-end="url(#tip)"/>'
        middle = (begins + 6 * away + ends) / 8
        height = (top + bottom) / 2 + 3 + 11 * beside
        return f'{drawn}<text class="said" x="{middle + 3:.0f}" y="{height:.0f}">{said}</text>\n'

    def _is_tree(self, line: Line) -> bool:
        return line.relation == PARENT and self.drawn.boxes[line.newer].above == line.older

    def _left(self, box: Box) -> float:
        return _LEFT + _INDENT * min(box.depth, _MOST_INDENTS)


def _label(box: Box) -> str:
    name = box.name if box.kind in ("llm_call", "embedding") else f"{box.kind.replace('_', ' ')} {box.name}"
    loops = box.attributes.get("loops")
    short = caption(name)
    return f"{short}  ↻ {loops:,}" if loops else short


def _width(box: Box) -> float:
    return 14 + _CHARACTER * len(_label(box))
