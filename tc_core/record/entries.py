"""What stands in the spool: one entry says that a run has begun, has ended, or is related to another.

An entry is JSON on one line, and its scope (dimensions and labels) on the next. It holds ids, names, counts and
labels; of texts only their length.
"""

import json
from datetime import date
from typing import Any

import orjson

from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.ports import Link, SpoolMark
from tc_core.model.scope import DIMENSIONS, EMPTY_SCOPE, Scope
from tc_core.model.usage import Usage
from tc_core.record.pending import Item, LooseLink, PendingEvent

_FORGET = b'["forget","'


def _encode(value: object) -> bytes:
    try:
        return orjson.dumps(value, str)
    except orjson.JSONEncodeError:  # a lone surrogate, or a number beyond 64 bits
        return json.dumps(value, default=str, separators=(",", ":")).encode()


class EntryWriter:
    """Writes entries; what all events of a scope share is put together once."""

    def __init__(self) -> None:
        self._scopes: dict[Scope, bytes] = {}

    def start(self, record: EventRecord) -> bytes:
        """Write that a run has begun."""
        facts = [
            "start",
            record.id.hex(),
            record.event_type,
            record.at_us,
            record.parent_id.hex() if record.parent_id is not None else None,
            record.name,
            record.model,
            record.provider,
        ]
        return _encode(facts) + (self._scopes.get(record.scope) or self._scope(record.scope))

    def end(self, call: PendingEvent) -> bytes:
        """Write all facts of a run that has ended."""
        record = call.record
        facts = [
            "end",
            record.id.hex(),
            record.event_type,
            record.at_us,
            record.parent_id.hex() if record.parent_id is not None else None,
            record.name,
            record.model,
            record.provider,
            record.served_model,
            record.status,
            record.error_type,
            record.latency_us,
            tuple(record.usage) if record.usage is not None else call.report,
            record.usage_source,
            call.input_characters,
            call.output_characters,
        ]
        if _has_rare(call):
            facts.append(_rare(call))
        return _encode(facts) + (self._scopes.get(record.scope) or self._scope(record.scope))

    def forget(self, id_: EventId) -> bytes:
        """Write that a run which has begun is none."""
        return _FORGET + id_.hex().encode() + b'"]\n'

    def link(self, link: Link) -> bytes:
        """Write a relation that was observed by itself."""
        return _encode(["link", *_link_values(link)]) + b"\n"

    def _scope(self, scope: Scope) -> bytes:
        if len(self._scopes) >= 256:
            self._scopes.clear()
        dimensions = [getattr(scope, name) for name in DIMENSIONS]
        line = self._scopes[scope] = b"\n" + _encode([*dimensions, dict(scope.labels)])
        return line


def forgotten(payload: bytes) -> EventId | None:
    """Return the id of the run that an entry takes back, or None for another kind of entry."""
    return bytes.fromhex(payload[len(_FORGET) : len(_FORGET) + 32].decode()) if payload.startswith(_FORGET) else None


def read_item(payload: bytes, mark: SpoolMark) -> Item:
    """Read an entry as what the queue would hold; a run that only began comes back open and without its mark.

    Raises ValueError for anything else.
    """
    line, _, scope_line = payload.partition(b"\n")
    kind, *facts = json.loads(line)
    if kind == "link":
        return LooseLink(_read_link(facts), mark, held_bytes=0)
    if kind not in ("start", "end"):
        raise ValueError(f"unknown entry {kind!r}")
    *dimensions, labels = json.loads(scope_line)
    dimensions += [None] * (len(DIMENSIONS) - len(dimensions))  # an older version knew fewer
    scope = Scope.of(dimensions, labels) if labels or any(dimensions) else EMPTY_SCOPE
    id_, event_type, at_us, parent, name, model, provider, *ended = facts
    parent_id = None if parent is None else bytes.fromhex(parent)
    record = EventRecord(bytes.fromhex(id_), event_type, at_us, parent_id, scope, name, model, provider)
    call = PendingEvent(record.id, record, held_bytes=0)
    if kind == "end":
        _read_end(call, *ended)
        call.spooled = mark
    return call


def _read_end(
    call: PendingEvent,
    served_model: str | None,
    status: Any,
    error_type: str | None,
    latency_us: int | None,
    usage: list[int | None] | dict[str, Any] | None,
    usage_source: Any,
    input_characters: int | None,
    output_characters: int | None,
    rare: dict[str, Any] | None = None,
) -> None:
    record = call.record
    record.served_model, record.status, record.error_type = served_model, status, error_type
    record.latency_us, record.usage_source = latency_us, usage_source
    if isinstance(usage, dict):
        call.report = usage
    elif usage is not None:
        record.usage = Usage(*usage)
    call.input_characters, call.output_characters = input_characters, output_characters
    if rare:
        call.links = [_read_link(values) for values in rare["links"]]
        call.attempts = [Attempt(*values) for values in rare.get("attempts", ())]
        call.attempt_reports = rare.get("reports", [])
        record.service_tier = rare.get("service_tier")
        record.metadata, record.cost_nanos, record.external_id = (
            rare["metadata"],
            rare["cost"],
            rare["external_id"],
        )
        record.price_source = rare["price_source"]
        record.price_date = rare["price_date"] and date.fromisoformat(rare["price_date"])
        record.charges, record.charges_nanos = rare.get("charges"), rare.get("charges_nanos")


def _has_rare(call: PendingEvent) -> bool:
    record = call.record
    return bool(
        call.links
        or call.attempts
        or record.metadata
        or record.charges
        or record.service_tier is not None
        or record.cost_nanos is not None
        or record.external_id is not None
    )


def _rare(call: PendingEvent) -> dict[str, Any]:
    record = call.record
    return {
        "links": [_link_values(link) for link in call.links],
        "attempts": [tuple(attempt) for attempt in call.attempts],
        "reports": call.attempt_reports,
        "service_tier": record.service_tier,
        "metadata": record.metadata,
        "charges": record.charges,
        "cost": record.cost_nanos,
        "charges_nanos": record.charges_nanos,
        "price_source": record.price_source,
        "price_date": record.price_date and record.price_date.isoformat(),
        "external_id": record.external_id,
    }


def _link_values(link: Link) -> list[Any]:
    return [link.source.hex(), link.relation, link.target.hex(), link.origin, link.confidence]


def _read_link(values: list[Any]) -> Link:
    source, relation, target, origin, confidence = values
    return Link(bytes.fromhex(source), relation, bytes.fromhex(target), origin, confidence)
