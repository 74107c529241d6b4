"""Mermaid: what GitHub, GitLab and many editors draw inside a Markdown block."""

from collections.abc import Iterator

from tc_core.lineage.export.colours import FILL, OF_STATUS
from tc_core.lineage.export.picture import PARENT, Picture, caption, printable

_PLAIN = frozenset(" .,:_/+-=()$%*")


def write(drawn: Picture) -> str:
    """Write a picture; a dotted arrow says what its tail is to its head."""
    return "\n".join(_lines(drawn)) + "\n"


def _lines(drawn: Picture) -> Iterator[str]:
    yield "flowchart LR"
    if drawn.note:
        yield f'  note["{_escaped(drawn.note)}"]'
    kinds = {box.kind: f"k{number}" for number, box in enumerate({box.kind: box for box in drawn.boxes}.values())}
    for place, box in enumerate(drawn.boxes):
        details = f"<br/>{_escaped('  '.join(box.details))}" if box.details else ""
        yield f'  n{place}["{_escaped(caption(f"{box.kind} {box.name}"))}{details}"]:::{kinds[box.kind]}'
    for line in drawn.lines:
        label = f'|"{_escaped(line.label)}"|' if line.label else ""
        if line.relation == PARENT:
            yield f"  n{line.older} -->{label} n{line.newer}"
        else:
            yield f"  n{line.newer} -.->{label} n{line.older}"
    for kind, name in kinds.items():
        yield f"  classDef {name} fill:{FILL[kind]},stroke:#777,color:#111"
    for place, box in enumerate(drawn.boxes):
        if box.status in OF_STATUS:
            yield f"  style n{place} stroke:{OF_STATUS[box.status]},stroke-width:2px"


def _escaped(text: str) -> str:
    """Write all but letters, digits and plain signs by their numbers, which Mermaid takes for nothing but text."""
    return "".join(each if each.isalnum() or each in _PLAIN else f"#{ord(each)};" for each in printable(text))
