"""W3C PROV-JSON: events are activities, what they put out are entities, agents are agents.

https://www.w3.org/submissions/prov-json/
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from tc_core.lineage.export.picture import PARENT, Attribute, Box, Line, Picture

_OURS = "urn:token-calculator:"
_OUTPUT = {"derived_from": None, "continuation_of": None, "enhancement_of": "prov:Revision"}
"""Relations between what two events have put out, and PROV's own name for them."""


def write(drawn: Picture) -> str:
    """Write a picture."""
    return json.dumps(plain(drawn), indent=1, ensure_ascii=True) + "\n"


def plain(drawn: Picture) -> dict[str, Any]:
    """Return plain JSON values.

    What hangs under an event was started by it; one whose output another is derived from, continues or enhances is
    linked by their outputs; other relations are communication, with their name as `tc:relation`.
    """
    ids = [_id("event", box.id) for box in drawn.boxes]
    agents = sorted({str(box.attributes["agent_id"]) for box in drawn.boxes if "agent_id" in box.attributes})
    by_output = [line for line in drawn.lines if line.relation in _OUTPUT]
    with_output = sorted({place for line in by_output for place in (line.older, line.newer)})
    found: dict[str, dict[str, Any]] = {
        "prefix": {"tc": _OURS, "prov": "http://www.w3.org/ns/prov#", "xsd": "http://www.w3.org/2001/XMLSchema#"},
        "activity": {id_: _activity(box) for id_, box in zip(ids, drawn.boxes, strict=True)},
        "agent": {
            _id("agent", each): {"prov:type": _qname("prov:SoftwareAgent"), "prov:label": each} for each in agents
        },
        "entity": {_id("output", drawn.boxes[place].id): {} for place in with_output},
        "wasAssociatedWith": {
            f"_:a{place}": {"prov:activity": ids[place], "prov:agent": _id("agent", str(box.attributes["agent_id"]))}
            for place, box in enumerate(drawn.boxes)
            if "agent_id" in box.attributes
        },
        "wasGeneratedBy": {
            f"_:g{place}": {"prov:entity": _id("output", drawn.boxes[place].id), "prov:activity": ids[place]}
            for place in with_output
        },
        "wasStartedBy": {},
        "wasInformedBy": {},
        "wasDerivedFrom": {},
    }
    for number, line in enumerate(drawn.lines):
        kind, said = _relation(line, drawn, ids)
        found[kind][f"_:r{number}"] = said
    return {kind: members for kind, members in found.items() if members}


def _relation(line: Line, drawn: Picture, ids: list[str]) -> tuple[str, dict[str, Any]]:
    if line.relation == PARENT:
        return "wasStartedBy", {"prov:activity": ids[line.newer], "prov:starter": ids[line.older]}
    named = {"tc:relation": line.relation}
    if line.relation not in _OUTPUT:
        return "wasInformedBy", {"prov:informed": ids[line.newer], "prov:informant": ids[line.older], **named}
    kind = _OUTPUT[line.relation]
    typed = {} if kind is None else {"prov:type": _qname(kind)}
    ends = {
        "prov:generatedEntity": _id("output", drawn.boxes[line.newer].id),
        "prov:usedEntity": _id("output", drawn.boxes[line.older].id),
    }
    return "wasDerivedFrom", {**ends, **typed, **named}


def _activity(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = {"prov:label": box.name, "prov:type": _qname(f"tc:{quote(box.kind, safe='')}")}
    began = box.attributes.get("timestamp")
    if isinstance(began, str):
        found["prov:startTime"] = began
        took = box.attributes.get("latency_ms")
        if isinstance(took, (int, float)):
            ended = datetime.fromisoformat(began) + timedelta(milliseconds=took)
            found["prov:endTime"] = ended.isoformat()
    return found | dict(_further(box))


def _further(box: Box) -> Iterator[tuple[str, Attribute]]:
    for name, value in box.attributes.items():
        if name not in ("timestamp", "event_type", "agent_id"):
            yield f"tc:{name}", value


def _id(kind: str, text: str) -> str:
    """Make a qualified name: all that may not stand in one is written as in an address."""
    return f"tc:{kind}/{quote(text, safe='', errors='replace')}"


def _qname(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}
