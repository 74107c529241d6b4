"""What is particular to PostgreSQL: a server that goes away, several hosts, roles, and other people's tables."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from sqlalchemy.engine import make_url

from benchmarks.servers import OwnServer
from tc_core import CostTracker, PostgreSQLStorage, create_storage, flush
from tc_core.errors import ConfigurationError, StorageError
from tc_core.model import ids
from tc_core.model.event import EventRecord
from tc_core.model.ports import Batch, SpoolMark
from tc_core.model.scope import Scope
from tc_core.record.guard import faults
from tc_core.runtime.recorders import recorder_for, spool_folder
from tc_core.store.engine import migrate
from tc_core.store.engine.postgresql import PostgreSQL
from tests.conftest import ROOT
from tests.store.contract import RevisionContract, StorageContract, call


class TestPostgreSQL(StorageContract, RevisionContract):
    @pytest.fixture
    def store(self, url):
        with PostgreSQLStorage(url) as store:
            yield store


@pytest.fixture
def url(postgresql):
    with postgresql.database() as url:
        yield url


@pytest.fixture
def own_server():
    """A server that the test may stop."""
    server = OwnServer(flushes=False)
    yield server
    server.close()


def recorded(url):
    """The sums that a new look at the database gives, by rows and by roll-up."""
    with PostgreSQLStorage(url) as store:
        by_rollup = store.totals()[()]
        assert sum(total.calls for total in store.totals(["name"]).values()) == by_rollup.calls
        return by_rollup


# Names


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_opens_the_store(url, scheme):
    with create_storage(url.replace("postgresql", scheme, 1)) as store:
        assert isinstance(store, PostgreSQLStorage)


def test_parts_of_an_address_open_the_store(url, monkeypatch):
    address = make_url(url)
    monkeypatch.setenv("TOKEN_CALC_STORAGE", "postgresql")
    monkeypatch.setenv("TOKEN_CALC_PG_HOST", address.query.get("host") or address.host)
    monkeypatch.setenv("TOKEN_CALC_PG_PORT", str(address.port or 5432))
    monkeypatch.setenv("TOKEN_CALC_PG_USER", address.username)
    monkeypatch.setenv("TOKEN_CALC_PG_PASSWORD", "p@ss/word")
    monkeypatch.setenv("TOKEN_CALC_PG_DATABASE", address.database)
    tracker = CostTracker()
    tracker.track_call("gpt-4o", 10, 1)
    assert isinstance(tracker.storage, PostgreSQLStorage)
    flush()
    assert recorded(url).calls == 1
    assert "word" not in repr(tracker.storage)
    with create_storage("postgresql", database=address.database) as store:
        assert store.identity == tracker.storage.identity


def test_an_option_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="colour"):
        create_storage("postgresql", colour="red")


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h:port/db", "postgresql://u:hunter2@h:5432x/db"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url):
    with pytest.raises(ConfigurationError) as refused:
        create_storage(url)
    assert "hunter2" not in f"{refused.value!r}{refused.value.__cause__!r}"
    assert refused.value.__suppress_context__


def test_a_password_is_in_no_message(url, caplog):
    address = make_url(url)
    wrong = address.set(password="hunter2", database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(StorageError, match="nowhere") as refused:
        PostgreSQLStorage(wrong)
    away = "postgresql://u:hunter2@127.0.0.1:9/db?sslpassword=hunter2&password=hunter2"
    store = PostgreSQLStorage(away)
    with pytest.raises(StorageError) as unreachable:
        store.query_events()
    said = f"{refused.value}{unreachable.value}{store!r}{store.identity}{spool_folder(store)}{caplog.text}"
    assert "127.0.0.1:9" in said
    assert "hunter2" not in said


def test_without_psycopg_the_line_that_installs_it_is_given(run_python):
    program = (
        "import sys; sys.modules['psycopg'] = None; import tc_core\n"
        "try: tc_core.create_storage('postgresql://localhost/x')\n"
        "except ImportError as error: print(error)"
    )
    assert "pip install 'token-calculator-suite[postgres]'" in run_python(program)


# The schema


def columns(server, url):
    return server.run(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY table_name, column_name",
        url,
    ), server.run("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname", url)


def test_a_new_store_is_what_the_migrations_make(postgresql, url):
    PostgreSQLStorage(url).close()
    migrated = postgresql.new_database()
    database = PostgreSQL(migrated)
    with database.writing() as connection:
        migrate._upgrade(connection, database)
    database.close()
    assert columns(postgresql, migrated) == columns(postgresql, url)
    with PostgreSQLStorage(migrated) as store:
        store.save_event(call(agent_id="a", labels={"l": "v"}))
        assert store.aggregate("calls", ["agent_id"]) == {("a",): 1}


def test_other_tables_may_be_beside_ours(postgresql, url):
    postgresql.run("CREATE TABLE customers (id int)", url)
    with PostgreSQLStorage(url) as store:
        store.save_event(call())
    assert postgresql.run("SELECT count(*) FROM customers", url) == [(0,)]


def test_a_table_of_somebody_elses_in_our_place_is_left_alone(postgresql, url):
    postgresql.run("CREATE TABLE event (id int)", url)
    with pytest.raises(StorageError, match="not a Token Calculator store"):
        PostgreSQLStorage(url)
    assert postgresql.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", url) == [(1,)]


def test_a_store_of_a_newer_version_is_left_alone(postgresql, url):
    PostgreSQLStorage(url).close()
    postgresql.run("UPDATE token_calculator_version SET version_num = '9999'", url)
    with pytest.raises(StorageError, match="newer version"):
        PostgreSQLStorage(url)


def test_many_threads_open_a_new_store_at_once(url):
    failures = []

    def work():
        try:
            with PostgreSQLStorage(url) as store:
                store.save_event(call())
        except Exception as error:  # asserted below: a thread's would be lost
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert recorded(url).calls == 8


def test_the_view_reads_like_the_table_of_the_seed(postgresql, url):
    with PostgreSQLStorage(url) as store:
        store.save_event(
            call(event_id="req_1", parent_id="req_0", agent_id="a", labels={"user": "u"}, metadata={"a": 1})
        )
        store.save_event(call(event_id="01890a5d-ac96-774b-bcce-b302099a8057"))
    rows = postgresql.run("SELECT * FROM events ORDER BY event_id DESC", url)
    assert rows[0][:2] == ("req_1", "2026-11-20T12:00:00.000000+00:00")
    assert (rows[0][7], json.loads(rows[0][8]), json.loads(rows[0][9])) == (
        "req_0",
        {"user": "u", "agent_id": "a"},
        {"a": 1},
    )
    assert (float(rows[0][6]), rows[0][10]) == (0.001, 1_000_000)
    assert rows[1][0] == "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.swallows
def test_tables_that_were_emptied_are_noticed(postgresql, url):
    with PostgreSQLStorage(url) as store:
        store.save_event(call(agent_id="before"))
        tables = ", ".join(
            name for (name,) in postgresql.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", url)
        )
        postgresql.run(f"DROP TABLE {tables} CASCADE", url)
        with suppress(StorageError):  # who asks first, which may be a chore, finds gone what is made anew for the next
            store.save_event(call(agent_id="between"))
        store.save_event(call(agent_id="after"))
        found = store.aggregate("calls", ["agent_id"])
    assert found.pop(("between",), 1) == 1
    assert found == {("after",): 1}


# Roles


def test_a_role_that_may_only_read_answers_questions_and_refuses_to_write(postgresql, url):
    with PostgreSQLStorage(url) as store:
        store.save_event(call())
    role = f"reader_{os.getpid()}"
    postgresql.run(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    postgresql.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", url)
    with PostgreSQLStorage(
        make_url(url).set(username=role, password="x").render_as_string(hide_password=False)
    ) as store:
        assert store.read_only
        assert store.aggregate("calls") == {(): 1}
        with pytest.raises(StorageError, match="can only be read"):
            store.save_event(call())
        with pytest.raises(StorageError, match="can only be read"):
            CostTracker(store).track_call("gpt-4o", 1, 1)
    postgresql.run(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}", url)
    postgresql.run(f"DROP ROLE {role}")


def test_a_replica_answers_questions_and_refuses_to_write(own_server, run_command):
    with own_server.replica() as replica:
        with pytest.raises(StorageError, match="no up-to-date schema and can only be read"):
            PostgreSQLStorage(replica.url)
        with PostgreSQLStorage(own_server.url) as store:
            store.save_event(call(event_id="before"))
            follower = PostgreSQL(replica.url)
            wait_for(lambda: "event" in follower.tables())
            follower.discard()
            with PostgreSQLStorage(replica.url) as copied:
                store.save_event(call(event_id="after"))
                wait_for(lambda: copied.get_event("after") is not None)
                assert copied.read_only
                assert copied.totals(["agent_id"]) == store.totals(["agent_id"])
                assert copied.tree("after") == store.tree("after")
                assert copied.runs(single_calls=True) == store.runs(single_calls=True)
                with pytest.raises(StorageError, match="can only be read"):
                    copied.save_event(call())
        (said,) = json.loads(run_command("costs", "--store", replica.url, "--json").stdout)["groups"]
        assert said["calls"] == 2


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


# Several writers

HOST = """
import sys
from tc_core import PostgreSQLStorage, CostTracker, labels, session
store = PostgreSQLStorage(sys.argv[1])
number, calls = int(sys.argv[2]), int(sys.argv[3])
tracker = CostTracker(store)
for call in range(calls):
    with labels(user_id=f"u{call % 7}", host=str(number)), session(f"s{call % 11}"):
        # each host's calls hang under one that another host records
        tracker.track_call(f"model-{call % 5}", 100, 10, event_id=f"{number}-{call}",
                           parent_id=f"{(number + 1) % 3}-{call}" if number else None, agent_id=f"a{call % 3}")
store.close()
"""


def test_several_hosts_write_at_once(tmp_path, url):
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, url, str(number), "120"],
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path / f"host{number}")},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for host in hosts:
        assert host.wait(120) == 0, host.stderr.read()
        host.stderr.close()
    with PostgreSQLStorage(url) as store:
        assert store.aggregate("calls") == {(): 360}
        assert store.aggregate("input_tokens", ["host"]) == {(str(n),): 12_000 for n in range(3)}
        assert store.aggregate("calls", ["user_id"]) == {(f"u{n}",): 3 * len(range(n, 120, 7)) for n in range(7)}
        assert store.faults() == {}
        # host 0 records roots, host 2 what hangs under them, host 1 what hangs under that
        depths = {event.event_id: event.depth for event in store.query_events()}
        assert {depths[f"{number}-{n}"] for number, n in [(0, 5), (0, 119)]} == {0}
        assert {depths[f"2-{n}"] for n in range(120)} == {1}
        assert {depths[f"1-{n}"] for n in range(120)} == {2}


def record(number, **facts):
    return EventRecord(
        ids.from_text(f"e{number}"), "llm_call", 1_000_000 * number, model="gpt-4o", status="ok",
        scope=Scope(labels={"user": str(number % 5)}), **facts,
    )  # fmt: skip


def test_the_same_events_by_two_writers_count_once(url):
    batch = [record(number, cost_nanos=1) for number in range(200)]
    stores = [PostgreSQLStorage(url) for _ in range(4)]
    errors = []

    def write(store, order):
        try:
            for _ in range(3):
                store.sink.write(Batch(sorted(batch, key=lambda each: order * each.at_us)))
        except Exception as error:  # asserted below: a thread's would be lost
            errors.append(error)

    threads = [threading.Thread(target=write, args=(store, 1 - 2 * (n % 2))) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    total = recorded(url)
    assert (total.calls, total.cost_nanos) == (200, 200)
    for store in stores:
        store.close()


def test_a_child_process_records_too(url, in_a_child):
    store = PostgreSQLStorage(url)
    tracker = CostTracker(store)
    tracker.track_call("gpt-4o", 1, 1)
    for _ in range(3):  # each without the exit handlers, as multiprocessing's children: the spool has it
        assert in_a_child(lambda: tracker.track_call("gpt-4o", 1, 1)) == 0
    tracker.track_call("gpt-4o", 1, 1)
    assert store.aggregate("calls") == {(): 5}
    store.close()


# A server that goes away


def test_the_spool_of_a_server_lies_in_the_users_data_directory(tmp_path, url):
    address = make_url(url)
    with (
        PostgreSQLStorage(url) as store,
        PostgreSQLStorage(address.set(password="other").render_as_string(hide_password=False)) as same,
    ):
        assert spool_folder(store).parent == tmp_path / "data" / "token-calculator"
        assert spool_folder(store) == spool_folder(same)
        assert recorder_for(store) is recorder_for(same)


@pytest.mark.swallows
def test_what_is_recorded_while_the_server_is_away_comes_in_later(own_server):
    url = own_server.new_database()
    store = PostgreSQLStorage(url)
    recorder, ended, stop = recorder_for(store), [0] * 3, threading.Event()

    def work(place):
        while not stop.is_set():
            recorder.start("llm_call", key=(place, ended[place]), model="gpt-4o")
            recorder.finish((place, ended[place]))
            ended[place] += 1
            time.sleep(0.001)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    own_server.stop("immediate")
    while_away = sum(ended)
    time.sleep(1.0)
    assert sum(ended) > while_away + 100
    with pytest.raises(StorageError, match="cannot read postgresql://"):
        store.totals()
    own_server.start()
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 20
    while not recorder.drain() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert store.totals()[()].calls == sum(ended)
    assert set(faults.counts) <= {name for name in faults.counts if name.startswith("store")}
    store.close()
    assert not spool_folder(store).exists()


RECORD_AND_DIE = """
import os, signal, sys, tc_core
from tc_core.runtime.recorders import recorder_for
from tests.told import wait_until_told
tc_core.instrument(sys.argv[1], frameworks=[])
recorder = recorder_for()
for number in range(50):
    recorder.start("llm_call", key=number, model="gpt-4o")
    recorder.finish(number, usage=tc_core.Usage(10, 1))
wait_until_told(recorder, recorder.start("llm_call", key="open", model="gpt-4o"))
print("recorded", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_commands_say_in_one_sentence_that_a_server_is_away(run_command):
    away = "postgresql://u:hunter2@127.0.0.1:9/db"
    costs = run_command("costs", "--store", away)
    assert (costs.returncode, costs.stdout) == (3, "")
    assert " ".join(costs.stderr.split()).startswith("cannot read postgresql://u@127.0.0.1:9/db: connection failed")
    doctor = run_command("doctor", "--quick", "--store", away)
    assert doctor.returncode == 1
    assert "fault   store" in doctor.stdout
    assert "hunter2" not in f"{costs}{doctor.stdout}{doctor.stderr}".replace(repr(away), "")


@pytest.mark.swallows
def test_a_process_that_never_saw_the_server_leaves_its_calls_to_the_next(own_server):
    url = own_server.new_database()
    own_server.stop()
    result = subprocess.run(
        [sys.executable, "-c", RECORD_AND_DIE, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (result.stdout, result.returncode) == ("recorded\n", -signal.SIGKILL)
    assert "waits in the spool" in result.stderr
    own_server.start()
    with PostgreSQLStorage(url) as store:
        total = store.totals()[()]
        assert (total.calls, total.input_tokens, total.priced) == (51, 500, 50)
        assert [event.status for event in store.query_events({"status": "abandoned"})] == ["abandoned"]


def test_a_mark_moves_with_what_it_stands_for(url):
    with PostgreSQLStorage(url) as store:
        store.sink.write(Batch([record(1)]), SpoolMark("f", 10))
        with pytest.raises(OverflowError):
            store.sink.write(Batch([record(2), record(3, latency_us=1 << 70)]), SpoolMark("f", 20))
        assert store.sink.position("f") == 10
        assert store.aggregate("calls") == {(): 1}


@pytest.mark.parametrize("agent", [None, "rare"])
@pytest.mark.parametrize("minutes_apart", [1, 90, 3000])
def test_latest_events_come_first_however_far_they_lie_apart(url, minutes_apart, agent):
    events = [call(minutes=minutes_apart * n, agent_id="rare" if n % 40 == 7 else "often") for n in range(100)]
    filters = {} if agent is None else {"agent_id": agent}
    with PostgreSQLStorage(url) as store:
        store.save_events(events)
        found = store.query_events(filters, limit=3, descending=True)
        until = store.query_events(filters, end_time=found[1].timestamp, limit=1, descending=True)
    expected = [event for event in reversed(events) if agent in (None, event.agent_id)][:3]
    assert (found, until) == (expected, expected[2:])
