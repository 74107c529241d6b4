"""Reading relations."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from tc_core.model import ids
from tc_core.model.provenance import FACT, ProvenanceRelationship
from tc_core.store.engine.database import chunks
from tc_core.store.read.filters import EVENT, ROOT
from tc_core.store.schema.tables import SEED, Dimension, ExternalId, MetadataBody, RelationRow, table

_RELATION = table(RelationRow)
_METADATA = table(MetadataBody)
_WORKFLOW = table(Dimension).alias("workflow")
_SOURCE, _TARGET = EVENT.alias("source_event"), EVENT.alias("target_event")
_SOURCE_ID, _TARGET_ID = table(ExternalId).alias("source_id"), table(ExternalId).alias("target_id")
_SEED_VALUES = {key: value for key, _, value in SEED}

_WHOLE = select(
    _RELATION,
    _SOURCE.c.id.label("source_uuid"),
    _TARGET.c.id.label("target_uuid"),
    _SOURCE_ID.c.value.label("source_text"),
    _TARGET_ID.c.value.label("target_text"),
    _METADATA.c.body,
).select_from(
    _RELATION.join(_SOURCE, _SOURCE.c.key == _RELATION.c.source)
    .join(_TARGET, _TARGET.c.key == _RELATION.c.target)
    .join(ROOT, ROOT.c.key == _SOURCE.c.root)
    .outerjoin(_SOURCE_ID, _SOURCE_ID.c.id == _SOURCE.c.id)
    .outerjoin(_TARGET_ID, _TARGET_ID.c.id == _TARGET.c.id)
    .outerjoin(_METADATA, _METADATA.c.id == _RELATION.c.details)
)


def relationships(
    connection: Connection, event_id: str | None, workflow_id: str | None, *, hints: bool
) -> list[ProvenanceRelationship]:
    """Return the relations that touch an event, the events of a workflow, or all; only facts without `hints`."""
    question = _WHOLE if hints else _WHOLE.where(_RELATION.c.confidence >= FACT)
    if event_id is not None:
        id_ = ids.from_text(event_id)
        question = question.where(or_(_SOURCE.c.id == id_, _TARGET.c.id == id_))
    if workflow_id is not None:
        key = select(_WORKFLOW.c.id).where(_WORKFLOW.c.kind == "workflow_id", _WORKFLOW.c.value == workflow_id)
        key_ = key.scalar_subquery()
        question = question.where(or_(_SOURCE.c.workflow_id == key_, _TARGET.c.workflow_id == key_))
    return _read(connection, question)


def within(connection: Connection, root_id: str) -> list[ProvenanceRelationship]:
    """Return the relations whose newer event lies in the tree of a root."""
    return _read(connection, _WHOLE.where(ROOT.c.id == ids.from_text(root_id)))


def of_sources(connection: Connection, keys: Sequence[int]) -> dict[int, list[ProvenanceRelationship]]:
    """Return the relations that lead from some events to older ones, by the keys of their rows."""
    found: dict[int, list[ProvenanceRelationship]] = {}
    for some in chunks(keys):
        for row in _rows(connection, _WHOLE.where(_RELATION.c.source.in_(some))):
            found.setdefault(row.source, []).append(_relation(row))
    return found


def leaving(connection: Connection, keys: Sequence[int]) -> dict[int, list[ProvenanceRelationship]]:
    """Return the relations that go when some events do: those from them, and those to them from events that stay."""
    found = of_sources(connection, keys)
    going = set(keys)
    for some in chunks(keys):
        for row in _rows(connection, _WHOLE.where(_RELATION.c.target.in_(some))):
            if row.source not in going:
                found.setdefault(row.target, []).append(_relation(row))
    return found


def _read(connection: Connection, question: Select[Any]) -> list[ProvenanceRelationship]:
    return [_relation(row) for row in _rows(connection, question)]


def _rows(connection: Connection, question: Select[Any]) -> Iterable[Row[Any]]:
    return connection.execute(question.order_by(_RELATION.c.source, _RELATION.c.relation, _RELATION.c.target))


def _relation(row: Row[Any]) -> ProvenanceRelationship:
    return ProvenanceRelationship(
        source_id=row.source_text or ids.to_text(row.source_uuid),
        target_id=row.target_text or ids.to_text(row.target_uuid),
        relation=_SEED_VALUES[row.relation],  # type: ignore[arg-type]  # the keys of relations are reserved
        source=_SEED_VALUES[row.origin],  # type: ignore[arg-type]  # the same
        confidence=row.confidence,
        metadata=json.loads(row.body) if row.body else {},
    )
