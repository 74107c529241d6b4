"""Make a store of this version, to be opened by all later ones: `python -m tests.store.make_version`.

It writes `versions/NNNN.db`, the spool that a killed process of this version left beside it, and what this very version
answers when it is asked, as JSON. Run it once, with the last code before the schema changes; what it made is then never
made again. It uses nothing but what the oldest version has, so that it ran there too.
"""

import json
import os
import shutil
import sqlite3
import sys
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tc_core.model import ids
from tc_core.model.event import EventRecord, TrackingEvent
from tc_core.model.ports import Batch, Link, SpoolMark
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.model.scope import Scope
from tc_core.model.usage import Usage
from tc_core.record.enrich import METERING
from tc_core.record.recorder import Recorder
from tc_core.record.spool import Spool
from tc_core.runtime import recorders  # noqa: F401  # whoever opens a store takes over what dead processes left
from tc_core.store.engine import migrate
from tc_core.store.storages import SQLiteStorage

HERE = Path(__file__).parent / "versions"

START = datetime(2026, 1, 30, 22, 15, tzinfo=UTC)
SPOOL_FILE = "fixture.spool"

QUESTIONS: list[tuple[list[str], dict[str, object]]] = [
    ([], {}),
    (["model"], {}),
    (["event_type"], {}),
    (["provider", "agent_id"], {"environment": "production"}),
    (["day"], {}),
    (["month", "model"], {}),
    (["hour"], {"agent_id": ["writer", None]}),
    (["user_id"], {}),
    (["labels.odd 'na\"me"], {}),
    (["user_id", "agent_id"], {}),
    (["status"], {}),
    (["workflow_id", "session_id"], {"user_id": None}),
]


def make(path: Path) -> None:
    """Record one of everything that this version knows into a new store."""
    with SQLiteStorage(path) as store:
        _save_by_hand(store)
        _record(store)
        _relate(store)
        _leave_a_spool(store, path)


def answers(store: SQLiteStorage) -> dict[str, object]:
    """Return what a store knows, as plain JSON values."""
    events = store.query_events()
    roots = [run.event.event_id for run in store.runs(limit=1000, single_calls=True)]
    return _plain(
        {
            "events": [event.to_dict() | {"root_id": event.root_id, "depth": event.depth} for event in events],
            "totals": [
                sorted(([*key, _sums(total)] for key, total in store.totals(group_by, filters).items()), key=repr)
                for group_by, filters in QUESTIONS
            ],
            "relations": [_relation(relation) for relation in store.relationships(hints=True)],
            "runs": [[run.event.event_id, run.events, _sums(run.totals)] for run in store.runs(single_calls=True)],
            "trees": {root: [event.event_id for event in store.tree(root)[0]] for root in roots},
            "attempts": {event.event_id: found for event in events if (found := _attempts(store, event.event_id))},
            "faults": store.faults(),
            "marks": {file: store.sink.position(file) for file in ("done.spool", SPOOL_FILE)},
        }
    )


def _id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def _save_by_hand(store: SQLiteStorage) -> None:
    priced = {"model": "gpt-4o", "provider": "openai", "input_tokens": 1200, "output_tokens": 34, "cost": 0.00334}
    store.save_events(
        [
            TrackingEvent(
                event_id="req_1",
                timestamp=START,
                served_model="gpt-4o-2024-08-06",
                cached_tokens=1024,
                reasoning_tokens=7,
                cache_write_tokens=3,
                audio_input_tokens=2,
                audio_output_tokens=1,
                latency_ms=812.5,
                agent_id="writer",
                agent_type="author",
                task_type="drafting",
                intent="please",
                session_id="s1",
                environment="production",
                labels={"user_id": "u1", "odd 'na\"me": "välue\n😀", "x.y": ""},
                metadata={"deep": {"list": [1, 2.5, None, "ü"]}},
                **priced,
            ),
            TrackingEvent(event_id="req_2", timestamp=START + timedelta(hours=3), parent_id="req_1", **priced),
            TrackingEvent(event_id="lost", timestamp=START + timedelta(days=2), parent_id="never recorded", **priced),
            TrackingEvent(
                event_id=_id("unpriced"),
                timestamp=START + timedelta(days=3, microseconds=1),
                model="no-such-model",
                input_tokens=5,
                output_tokens=None,
                labels={"user_id": "u2"},
                environment="production",
            ),
            TrackingEvent(
                event_id=_id("failed"),
                timestamp=START + timedelta(days=3, minutes=1),
                model="gpt-4o",
                status="error",
                error_type="RateLimitError",
                latency_ms=30,
                metadata={"deep": {"list": [1, 2.5, None, "ü"]}},
            ),
            TrackingEvent(
                event_id=_id("embedding"),
                timestamp=START + timedelta(days=40),
                event_type="embedding",
                model="text-embedding-3-small",
                input_tokens=9,
                output_tokens=0,
                cost=0.0,
                usage_source="exact",
            ),
        ]
    )


def _record(store: SQLiteStorage) -> None:
    """Write as the recorder does: trees, revisions, statuses of every kind, faults, and the mark of a spool file."""
    scope = Scope(agent_id="planner", workflow_id="nightly", environment="production", labels={"user_id": "u1"})
    at_us = round((START + timedelta(hours=5)).timestamp() * 1_000_000)

    def record(which: str, event_type: str = "llm_call", parent: str | None = None, **facts: object) -> EventRecord:
        parent_id = None if parent is None else ids.from_text(_id(parent))
        facts = {"scope": scope, "model": "claude-sonnet-4-5" if event_type == "llm_call" else None} | facts
        return EventRecord(ids.from_text(_id(which)), event_type, at_us, parent_id, **facts)  # type: ignore[arg-type]

    known = {"usage": Usage(100, 20, cached_tokens=50), "usage_source": "provider", "cost_nanos": 1}
    store.sink.write(
        Batch(
            [
                record("run", "workflow", status="open", name="nightly"),
                record("agent", "agent", "run", status="open", name="planner"),
                record("first", parent="agent", status="abandoned"),
                record("open", parent="agent", status="open"),
                record("tool", "tool", "agent", status="ok", name="search", latency_us=1500),
                record("child comes first", parent="parent comes later", status="ok", **known),
            ]
        )
    )
    ended = record("run", "workflow", status="ok", name="nightly", latency_us=5_000_000)
    batch = Batch(
        [
            ended,
            record("agent", "agent", "run", status="cancelled", name="planner"),
            record("first", parent="agent", status="ok", latency_us=10, price_source="genai-prices", **known),
            record("streamed", parent="agent", status="closed", usage=Usage(7, 2), usage_source="estimate"),
            record("counted", parent="agent", status="ok", usage=Usage(7, 2), usage_source="proxy", cost_nanos=2**40),
            record("parent comes later", "agent", "run", status="ok", name="helper"),
        ],
        [Link(ids.from_text(_id("streamed")), "retry_of", ids.from_text(_id("first")), "content", 0.75)],
        faults={"a hook: KeyError": 3},
    )
    if hasattr(batch, "attempts"):
        from tc_core.model.attempt import Attempt

        first = ids.from_text(_id("first"))
        batch.attempts = [(first, Attempt(1, 0, 500, 70)), (first, Attempt(2, 1, 200, 90, 100, 20))]
        batch.records.append(
            record("tiered", parent="agent", status="ok", service_tier="flex", **known | {"usage": _longest_usage()})
        )
    if hasattr(ended, "charges"):
        charged = {"charges": {"web_searches": 2, "audio_seconds": 1.5}, "charges_nanos": 20_000_000}
        batch.records.append(record("charged", parent="agent", status="ok", **known | charged | {"cost_nanos": 2**25}))
    store.sink.write(batch, SpoolMark("done.spool", 12_345))


def _longest_usage() -> Usage:
    return Usage(*range(900, 900 + len(Usage._fields)))


def _relate(store: SQLiteStorage) -> None:
    store.save_relationship(ProvenanceRelationship("req_2", "req_1", "derived_from", "user", 1.0, {"why": "read it"}))
    store.save_relationship(ProvenanceRelationship(_id("failed"), "req_2", "triggered_by", "framework", 0.9))


def _leave_a_spool(store: SQLiteStorage, path: Path) -> None:
    """Leave what a killed process leaves: ends that are written, ends that are not, and a run that is open."""
    folder = path.with_name(f"{path.name}.spool")
    recorder = Recorder(store.sink, parts=[METERING], spool=Spool(folder))
    recorder.writer.wake = lambda: None  # type: ignore[method-assign]

    def call(name: str, **labels: object) -> None:
        recorder.start("llm_call", key=name, event_id=_id(name), model="no-such-model", labels=labels)
        recorder.finish(name, usage=Usage(40, 2))

    call("spooled and written", user_id="u1")
    assert recorder.drain()
    call("spooled alone", user_id="u3", agent_id="writer")
    if hasattr(EventRecord, "charges"):
        from tc_core.meter.usage import usage_part

        recorder.start("llm_call", key="charged", event_id=_id("spooled and charged"), model="no-such-model")
        body = {"usage": {"input_tokens": 9, "output_tokens": 8, "server_tool_use": {"web_search_requests": 3}}}
        recorder.finish("charged", report=usage_part(body))
    recorder.start("agent", key="spooled agent", event_id=_id("spooled agent"), name="left open")
    recorder.link("spooled alone", "fallback_for", "spooled and written")
    (file,) = recorder.writer.spool.files  # type: ignore[union-attr]
    used = file.size
    file.close()
    os.truncate(file.path, used)  # it is a megabyte of zeros
    file.path.rename(folder / SPOOL_FILE)
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE spool SET file = ? WHERE file = ?", (SPOOL_FILE, file.name))
    recorder.writer.spool.detach()  # type: ignore[union-attr]
    recorder.writer._queue.clear()


def _shrink(path: Path) -> None:
    """Take small pages: most of a small store are empty ones."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("journal_mode=DELETE", "page_size=1024"):
        connection.execute(f"PRAGMA {statement}")
    connection.execute("VACUUM")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _attempts(store: SQLiteStorage, event_id: str) -> list[list[object]]:
    return [list(attempt) for attempt in store.attempts(event_id)] if hasattr(store, "attempts") else []


def _relation(relation: ProvenanceRelationship) -> list[object]:
    ends = (relation.source_id, relation.target_id)
    return [*ends, relation.relation, relation.source, relation.confidence, dict(relation.metadata)]


def _sums(total: object) -> dict[str, int]:
    return {name: value for name in total.__slots__ if (value := getattr(total, name))}  # type: ignore[attr-defined]


def _plain(value: object) -> dict[str, object]:
    plain: dict[str, object] = json.loads(json.dumps(value, default=dict))
    return plain


def _main() -> None:
    name = HERE / migrate.HEAD
    if name.with_suffix(".db").exists():
        sys.exit(f"{name}.db exists: what an older version made is never made again")
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "made.db", Path(folder) / "copy.db"
        make(path)
        _shrink(path)
        shutil.copy(path, name.with_suffix(".db"))
        shutil.copy(path.with_name("made.db.spool") / SPOOL_FILE, name.with_suffix(".spool"))
        shutil.copy(path, copy)
        shutil.copytree(path.with_name("made.db.spool"), copy.with_name("copy.db.spool"))
        with SQLiteStorage(copy) as store:
            found = answers(store)
    name.with_suffix(".json").write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    _main()
