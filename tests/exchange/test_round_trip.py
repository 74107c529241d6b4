"""Whatever is recorded, written to a file and read into an empty store, is the same there."""

import itertools
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tc_core import InMemoryStorage, StoreKeeper
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.event import MOST_CHARGED, MOST_COST_NANOS, STATUSES, USAGE_SOURCES, EventRecord, to_us
from tc_core.model.ports import Batch
from tc_core.model.provenance import RELATION_SOURCES, RELATIONS, ProvenanceRelationship
from tc_core.model.scope import DIMENSIONS, Scope
from tc_core.model.usage import MOST_TOKENS, Usage

START = to_us(datetime(2026, 11, 20, tzinfo=UTC))

texts = st.one_of(
    st.sampled_from(["", "'", "=1+1", "+a", "-b", "@c", "\tx", "\rx", "\nx", "a\r\nb", '"', "a,b;c", "\0", "\ud800"]),
    st.text(max_size=12),
)
maybe = st.one_of(st.none(), texts)
counts = st.one_of(st.none(), st.integers(0, MOST_TOKENS))
charged = st.one_of(st.integers(0, MOST_CHARGED), st.floats(0, MOST_CHARGED))
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
event_ids = st.one_of(
    st.integers(0, 20).map(lambda number: f"req_{number}"),
    st.uuids().map(str),
    texts.filter(bool),
)


def has_usage(usage):
    """Whether somebody must have said where the counts come from."""
    return usage.input_tokens is not None or usage.output_tokens is not None


@st.composite
def records(draw):
    text, parent = draw(event_ids), draw(st.one_of(st.none(), event_ids))
    usage = draw(st.one_of(st.none(), st.builds(Usage, *[counts] * len(Usage._fields))))
    return EventRecord(
        id=ids.from_text(text),
        external_id=text if ids.is_external(text) else None,
        parent_id=None if parent is None else ids.from_text(parent),
        parent_external_id=parent if parent is not None and ids.is_external(parent) else None,
        event_type=draw(st.sampled_from(["llm_call", "embedding", "tool", "agent", "workflow_start"])),
        at_us=START + draw(st.integers(0, 10**12)),
        scope=Scope.of(
            [draw(maybe) for _ in DIMENSIONS],
            draw(st.dictionaries(texts.filter(lambda name: name not in DIMENSIONS), texts, max_size=3)),
        ),
        name=draw(maybe),
        model=draw(maybe),
        provider=draw(maybe),
        served_model=draw(maybe),
        service_tier=draw(maybe),
        status=draw(st.sampled_from(STATUSES)),
        error_type=draw(maybe),
        latency_us=draw(st.one_of(st.none(), st.integers(0, 10**12))),
        usage=None if usage == Usage() else usage,
        usage_source=draw(st.sampled_from(USAGE_SOURCES)) if usage and has_usage(usage) else None,
        cost_nanos=draw(st.one_of(st.none(), st.integers(0, MOST_COST_NANOS))),
        price_source=draw(maybe),
        price_date=draw(st.one_of(st.none(), st.dates(date(1970, 1, 1)))),
        charges=draw(st.dictionaries(texts, charged, max_size=3)) or None,
        charges_nanos=draw(st.one_of(st.none(), st.integers(0, MOST_COST_NANOS))),
        metadata=draw(st.one_of(st.none(), st.dictionaries(texts, json_values, max_size=3))),
    )


attempts = st.builds(
    Attempt, st.integers(1, 3), st.integers(0, 3), st.one_of(st.none(), st.integers(100, 599)), counts, counts, counts
)
relations = st.tuples(
    st.integers(0, 100), st.integers(0, 100), st.sampled_from(RELATIONS), st.sampled_from(RELATION_SOURCES),
    st.floats(0, 1), st.dictionaries(texts, json_values, max_size=2),
)  # fmt: skip


def filled(recorded, linked, attempted):
    store = InMemoryStorage()
    store.sink.write(
        Batch(recorded, attempts=[(recorded[place % len(recorded)].id, each) for place, each in attempted])
    )
    known = [event.event_id for event in store.query_events()]
    store.relate(
        ProvenanceRelationship(known[source % len(known)], known[target % len(known)], *rest)
        for source, target, *rest in linked
    )
    return store


def content(store):
    events = store.query_events()
    by_id = {event.event_id: event for event in events}
    assert len(by_id) == len(events)
    return (
        by_id,
        {event.event_id: (event.root_id, event.depth) for event in events},
        sorted(map(repr, store.relationships(hints=True))),
        {event.event_id: store.attempts(event.event_id) for event in events},
        store.totals(["hour", "event_type", "model", "agent_id"]),
        store.totals(["status"]),
    )


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(records(), min_size=1, max_size=8),
    st.lists(relations, max_size=5),
    st.lists(st.tuples(st.integers(0, 100), attempts), max_size=4),
)
def test_what_is_exported_is_imported_as_it_was(tmp_path, ending, recorded, linked, attempted):
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    above = [(event.id, event.parent_id) for event in recorded if event.parent_id is not None]
    assume(nx.is_directed_acyclic_graph(nx.DiGraph(above)))  # which one of a circle is the root, their order decides
    store, other = filled(recorded, linked, attempted), InMemoryStorage()
    path = tmp_path / f"events.{ending}"
    exported = StoreKeeper(store).export_events(path)
    done = StoreKeeper(other).import_events(path)
    assert done.is_whole, done
    assert (done.written, done.relations) == (exported, len(store.relationships(hints=True)))
    assert content(other) == content(store)
    again = StoreKeeper(other).import_events(path)
    assert (again.written, again.unchanged, again.is_whole) == (0, exported, True)
    assert content(other) == content(store)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_thousands_of_events_in_any_order_of_parents(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    chain = [
        EventRecord(
            ids.from_text(f"e{n}"),
            "llm_call",
            START - n,
            external_id=f"e{n}",
            status="ok",
            usage=Usage(n, 1),
            usage_source="provider",
        )
        for n in range(2500)
    ]
    for above, record in itertools.pairwise(chain):
        record.parent_id, record.parent_external_id = above.id, above.external_id
    store, other = InMemoryStorage(), InMemoryStorage()
    store.sink.write(Batch(chain))
    store.save_relationship(ProvenanceRelationship("e2400", "e3", "derived_from"))
    StoreKeeper(store).export_events(tmp_path / f"e.{ending}")
    StoreKeeper(other).import_events(tmp_path / f"e.{ending}")
    assert content(other) == content(store)


def test_one_kind_of_store_takes_what_another_had(tmp_path, each_store):
    store, other = filled([*some_records()], [(0, 1, "retry_of", "user", 0.5, {"why": "\0"})], []), InMemoryStorage()
    StoreKeeper(store).export_events(tmp_path / "there.jsonl")
    assert StoreKeeper(each_store).import_events(tmp_path / "there.jsonl").is_whole
    assert content(each_store) == content(store)
    StoreKeeper(each_store).export_events(tmp_path / "back.csv", filters={"labels.team": ["a", None]})
    assert StoreKeeper(other).import_events(tmp_path / "back.csv").is_whole
    assert content(other) == content(store)
    again = StoreKeeper(each_store).import_events(tmp_path / "back.csv")
    assert (again.written, again.unchanged, again.is_whole) == (0, 1500, True)


def some_records():
    for n in range(1500):
        name = f"e{n}"
        yield EventRecord(
            id=ids.from_text(name),
            external_id=name,
            event_type="llm_call",
            at_us=START + n // 3,
            status="ok",
            scope=Scope(agent_id=f"a{n % 7}", labels={"team": "a"} if n % 2 else {}),
            usage=Usage(n, 1),
            usage_source="provider",
            cost_nanos=n,
            metadata={"n": n, "text": "\ud800\0"} if n % 5 else None,
        )


def test_an_import_holds_no_more_than_a_batch_in_memory(tmp_path):
    import tracemalloc

    line = '{"event_id":"e%d","timestamp":"2026-11-20T12:00:00+00:00","model":"gpt-4o","input_tokens":1}\n'
    peaks = []
    for size in (1_000, 8_000):
        path = tmp_path / f"{size}.jsonl"
        path.write_text("".join(line % n for n in range(size)))
        store = StoreKeeper(tmp_path / f"{size}.db")
        tracemalloc.start()
        store.import_events(path)
        store.export_events(tmp_path / "out.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 1_000_000


def test_the_file_of_the_package_token_calculator_is_read(tmp_path):
    path = tmp_path / "usage.db"
    made_by_token_calculator(path)
    store = InMemoryStorage()
    done = StoreKeeper(store).import_events(path, "token-calculator", tz="Europe/Berlin")
    assert (done.written, done.malformed) == (3, 1)
    assert done.problems == ["line 4: timestamp must be a time like 2026-01-31T12:30:00+00:00, not 'soon'"]
    call = store.get_event("7f9c2ba4-0000-4000-8000-000000000001")
    assert call.timestamp == datetime(2026, 7, 1, 8, 30, 0, 250000, tzinfo=UTC)  # Berlin is two hours ahead in summer
    assert (call.model, call.input_tokens, call.output_tokens, call.cost_nanos) == ("gpt-4", 1000, 500, 60_000_000)
    assert (call.agent_id, call.labels, call.price_source) == (
        "rag", {"agent_id": "rag", "user_id": "7"}, "token-calculator",
    )  # fmt: skip
    assert store.get_event("7f9c2ba4-0000-4000-8000-000000000002").parent_id == call.event_id
    ended = store.get_event("7f9c2ba4-0000-4000-8000-000000000003")
    assert (ended.event_type, ended.model, ended.cost, ended.input_tokens) == ("workflow_end", None, None, None)
    again = StoreKeeper(store).import_events(path, "token-calculator", tz="Europe/Berlin")
    assert (again.written, again.unchanged) == (0, 3)


def made_by_token_calculator(path):
    """The schema and the way of writing of its version 2.2.0."""
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE events (event_id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, event_type TEXT NOT NULL, "
        "model TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost REAL NOT NULL, "
        "parent_id TEXT, labels TEXT, metadata TEXT)"
    )
    first = "7f9c2ba4-0000-4000-8000-000000000001"
    labels = '{"agent_id": "rag", "user_id": 7}'
    rows = [
        (first, "2026-07-01T10:30:00.250000", "llm_call", "gpt-4", 1000, 500, 0.06, None, labels, "{}"),
        (first[:-1] + "2", "2026-12-01T10:30:00", "llm_call", "gpt-4", 1, 1, 0.0, first, None, '{"a": [1]}'),
        (first[:-1] + "3", "2026-12-01T10:30:00", "workflow_end", "", 0, 0, 0.0, first, "{}", "{}"),
        (first[:-1] + "4", "soon", "llm_call", "gpt-4", 1, 1, 0.0, None, "{}", "{}"),
    ]
    connection.executemany(f"INSERT INTO events VALUES ({', '.join('?' * 10)})", rows)
    connection.commit()
    connection.close()


def test_without_pyarrow_parquet_says_what_installs_it(run_python):
    program = """
import sys
sys.modules["pyarrow"] = None
from tc_core import InMemoryStorage, StoreKeeper
try: StoreKeeper(InMemoryStorage()).export_events("e.parquet")
except ImportError as error: print(error)
"""
    assert run_python(program).strip() == "Parquet needs pyarrow: pip install 'token-calculator-suite[parquet]'"


def test_an_export_is_private_and_leaves_no_half_file(tmp_path, monkeypatch):
    keeper = StoreKeeper(InMemoryStorage())
    path = tmp_path / "e.jsonl"
    keeper.export_events(path)
    assert path.stat().st_mode & 0o777 == 0o600

    def broken(*_):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(keeper.storage, "records", broken)
    with pytest.raises(Exception, match=r"e\.jsonl cannot be written: No space left"):
        keeper.export_events(path)
    assert [each.name for each in tmp_path.iterdir()] == ["e.jsonl"]


def test_whoever_stops_reading_the_output_ends_the_export_quietly(tmp_path):
    store = StoreKeeper(tmp_path / "s.db").storage
    store.sink.write(Batch([EventRecord(ids.new_id(), "llm_call", START + n, status="ok") for n in range(3000)]))
    store.close()
    command = f"{sys.executable} -m tc_core.cli export - --store {tmp_path}/s.db | head -n 1"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
    )
    assert result.stdout.startswith('{"event_id"')
    assert result.stderr == ""
