"""GraphML, as Gephi, yEd and `networkx.read_graphml` read it."""

import re
from xml.etree import ElementTree as ET

from tc_core.lineage.export.picture import REPLACED, Attribute, Picture

_NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold, however they are written."""


def write(drawn: Picture) -> str:
    """Write a picture; edges lead from the older to the newer."""
    root = ET.Element("graphml", xmlns=_NAMESPACE)
    names = _names(drawn)
    for number, (name, kind) in enumerate(names.items()):
        ET.SubElement(root, "key", {"id": f"d{number}", "for": "node", "attr.name": name, "attr.type": kind})
    ET.SubElement(root, "key", {"id": "relation", "for": "edge", "attr.name": "relation", "attr.type": "string"})
    graph = ET.SubElement(root, "graph", edgedefault="directed")
    keys = {name: f"d{number}" for number, name in enumerate(names)}
    for box in drawn.boxes:
        node = ET.SubElement(graph, "node", id=_xml(box.id))
        for name, value in {**box.attributes, "label": box.name}.items():
            ET.SubElement(node, "data", key=keys[name]).text = _xml(str(value))
    for number, line in enumerate(drawn.lines):
        ends = {"source": _xml(drawn.boxes[line.older].id), "target": _xml(drawn.boxes[line.newer].id)}
        edge = ET.SubElement(graph, "edge", {"id": f"e{number}", **ends})
        ET.SubElement(edge, "data", key="relation").text = line.relation
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _names(drawn: Picture) -> dict[str, str]:
    found = {"label": "string"}
    for box in drawn.boxes:
        for name, value in box.attributes.items():
            found[name] = _kind(value)
    return found


def _kind(value: Attribute) -> str:
    return {int: "long", float: "double"}.get(type(value), "string")


def _xml(text: str) -> str:
    return _NO_XML.sub(REPLACED, text)
