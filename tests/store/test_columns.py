"""Sums from columns kept in memory are those from rows: to the last digit, in the same order, whatever happens."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core import InMemoryStorage, SQLiteStorage
from tc_core.errors import ConfigurationError
from tc_core.model import ids
from tc_core.model.event import EventRecord, from_us, to_us
from tc_core.model.ports import Batch, Priced
from tc_core.model.scope import Scope
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for
from tc_core.store import sql
from tc_core.store.keep import deletion
from tc_core.store.read.columns import blocks, keeper, kept
from tc_core.store.read.sums import Summing
from tests.store.test_sums import START, period_of, priced, prices, questions, records, time_filters

LABELS = (["labels.feature"], {"labels.tenant": "t1"})
US_PER_DAY = 86_400_000_000


def call(number, at_us=START, *, status="ok", cost=7, tenant="t1", feature="search", **facts):
    """A call of its own id; calls of one number are one event."""
    known = {
        "usage": Usage(100 + number, 10),
        "usage_source": "provider",
        "cost_nanos": cost,
        "model": "gpt-4o",
        "latency_us": 1_000,
    }
    labels = {"tenant": tenant, "feature": feature}
    scope = Scope(agent_id="a", labels={name: value for name, value in labels.items() if value is not None})
    return EventRecord(
        ids.from_text(f"call {number}"), "llm_call", at_us, scope=scope, status=status, **(known | facts)
    )


def by_rows(store, group_by, filters, start=None, end=None):
    """Ask the rows alone."""
    return _asked(store, None, group_by, filters, start, end)


def by_columns(store, group_by, filters, start=None, end=None):
    """Ask the columns alone, where there are any."""
    return _asked(store, store._columns, group_by, filters, start, end)


def _asked(store, columns, group_by, filters, start, end):
    with store._database.reading() as connection:
        asked = Summing(connection, store._database, store._interned, group_by, filters, columns)
        asked._rollup = lambda: None
        return asked.totals(None if start is None else to_us(start), None if end is None else to_us(end))


def check(store, question=LABELS, *, is_kept=True):
    """Ask twice, both ways; the columns are kept then, or not."""
    for _ in range(2):
        expected = by_rows(store, *question)
        assert list(by_columns(store, *question).items()) == list(expected.items())
    assert (store._columns.bytes > 0) == is_kept
    return expected


def calls_of(store):
    return sum(total.calls for total in check(store).values())


@pytest.fixture
def at_once(monkeypatch):
    """Columns are read at the first question."""
    monkeypatch.setattr(keeper, "ROWS_FIRST", 0)


@pytest.fixture
def store(tmp_path, at_once):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.sink.write(Batch([call(number) for number in range(10)]))
        check(store)
        yield store


@pytest.fixture
def reads(monkeypatch):
    """What is read into columns: how many rows at each reading."""
    found = Counter()

    def read(*arguments):
        for each in whole(*arguments):
            found["readings"] += 1
            found["rows"] += each.block.rows if each.block else 0
            yield each

    whole = blocks.read
    monkeypatch.setattr(blocks, "read", read)
    return found


# The promise

texts = st.sampled_from(["b", "a", "z", "é", "\uff5e", "\U0001f600", "", "B"])  # in UTF-8 in another order than here
few_labels = st.dictionaries(st.sampled_from(["feature", "tenant", "x.y"]), texts, max_size=3)
times = st.integers(0, 12).map(lambda number: START + number * 15 * US_PER_DAY // 4)


@st.composite
def likely(draw):
    """Records that have much in common, so that questions find some."""
    record = draw(records())
    scope = Scope(agent_id=draw(st.sampled_from([None, "a", "b"])), session_id="s", labels=draw(few_labels))
    return replace(record, scope=scope, at_us=draw(times)) if draw(st.integers(0, 4)) else record


names = st.sampled_from(["labels.feature", "tenant", "x.y", "agent_id", "model", "session_id", "status", "day", "hour"])
likely_filters = st.one_of(
    st.just({}),
    st.dictionaries(
        st.sampled_from(["feature", "labels.tenant", "agent_id"]),
        st.one_of(st.none(), texts, st.lists(st.one_of(st.none(), texts), min_size=1, max_size=4)),
        min_size=1,
        max_size=2,
    ),
    st.sampled_from([{"event_type": "llm_call"}, {"status": ["ok", "error"]}, {"month": "2026-04"}]),
)
likely_questions = st.tuples(
    st.lists(names, max_size=3), likely_filters, st.one_of(st.none(), times), st.one_of(st.none(), times)
)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(likely(), min_size=4, max_size=20)),
        st.tuples(st.just("price"), prices),
        st.tuples(st.just("remove"), st.lists(st.integers(1, 40), min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=5,
)


def times_of(question):
    group_by, filters, start, end = question
    return group_by, filters, *(None if us is None else from_us(us) for us in (start, end))


def others(question, when):
    period = period_of(question)
    return question["group_by"], question["filters"] | when, period.start, period.end


asked = st.lists(
    st.one_of(likely_questions.map(times_of), st.builds(others, questions, time_filters)), min_size=2, max_size=5
)


def change(store, kind, what):
    if kind == "write":
        store.sink.write(Batch(what))
    elif kind == "remove":
        _remove(store, what)
    elif what is not None:
        list(store.reprice(lambda event: priced(event, what), unpriced_only=False))


def _remove(store, keys):
    store.database.transact(lambda connection: deletion.remove(connection, store.database, keys))


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(history=changes, asked=asked, rows=st.sampled_from([3, 65_536]))
def test_columns_say_what_rows_say_after_each_change(history, asked, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "ROWS", rows)
        patch.setattr(keeper, "ROWS_FIRST", 0)
        store = InMemoryStorage()
        for kind, what in history:
            change(store, kind, what)
            for asking in asked:
                for _ in range(2):  # who asks for a column first is answered from rows
                    expected = by_rows(store, *asking)
                    assert list(by_columns(store, *asking).items()) == list(expected.items())


# What changes


def test_only_what_is_new_is_read(store, reads):
    assert calls_of(store) == 10
    assert not reads
    store.sink.write(Batch([call(11), call(12, START - 5 * US_PER_DAY)]))  # of which one is a late import
    assert calls_of(store) == 12
    assert reads == {"readings": 1, "rows": 2}


def test_an_open_call_counts_once_it_has_ended(store, reads):
    store.sink.write(Batch([call(20, status="open", cost=None, usage=None, usage_source=None)]))
    assert calls_of(store) == 10
    store.sink.write(Batch([call(20, tenant="t1", feature="chat")]))
    assert check(store)[("chat",)].cost_nanos == 7
    assert reads["rows"] == 1  # only it was read


def test_an_open_event_that_adds_nothing_is_forgotten_at_its_end(store):
    store.sink.write(Batch([EventRecord(ids.from_text("tool"), "tool", START, status="open")]))
    check(store)
    assert len(store._columns._kept.open_keys) == 1
    store.sink.write(Batch([EventRecord(ids.from_text("tool"), "tool", START, status="ok")]))
    check(store)
    assert not store._columns._kept.open_keys


@pytest.mark.parametrize("first", ["abandoned", "cancelled"])
def test_a_real_end_after_another_one_is_seen(store, first):
    store.sink.write(Batch([call(20, status=first, cost=None, usage=None, usage_source=None)]))
    assert check(store)[("search",)].cost_nanos == 70
    store.sink.write(Batch([call(20, cost=1_000)]))
    assert check(store)[("search",)].cost_nanos == 1_070


def test_another_price_is_seen(store):
    list(store.reprice(lambda _: Priced(1_000, "a test", None, 0), unpriced_only=False))
    assert check(store)[("search",)].cost_nanos == 10_000


def test_what_leaves_is_gone_also_where_its_keys_are_given_again(store):
    newest = kept.newest
    with store.database.reading() as connection:
        last = newest(connection).key
    _remove(store, [last, last - 1])
    assert calls_of(store) == 8
    store.sink.write(Batch([call(30, feature="new"), call(31, feature="new")]))
    assert check(store)[("new",)].calls == 2


def test_what_leaves_from_amid_the_others_is_gone(store):
    _remove(store, [2, 3])
    assert calls_of(store) == 8


def test_who_looks_at_an_older_state_is_answered_from_it(store, reads):
    with store._database.reading() as connection:
        asked = [
            Summing(connection, store._database, store._interned, *LABELS, each) for each in (store._columns, None)
        ]
        for each in asked:
            each._rollup = lambda: None
        connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()  # from here on it sees this state
        store.sink.write(Batch([call(110)]))
        assert calls_of(store) == 11
        assert [each.totals(None, None)[("search",)].calls for each in asked] == [10, 10]
    assert calls_of(store) == 11
    assert reads == {"readings": 1, "rows": 1}


def test_retention_is_seen(store):
    old = START - 400 * US_PER_DAY
    store.sink.write(Batch([call(40, old)]))
    assert calls_of(store) == 11
    work = store.retention(100)
    while work.step():
        pass
    with store.database.reading() as connection:
        there = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()
    assert calls_of(store) == there < 11


def test_a_change_of_another_store_of_the_same_file_is_seen(store):
    with SQLiteStorage(store.path) as other:
        other.sink.write(Batch([call(50)]))
        assert calls_of(store) == 11
        list(other.reprice(lambda _: Priced(1_000, "a test", None, 0), unpriced_only=False))
        assert check(store)[("search",)].cost_nanos == 11_000


def test_a_change_of_another_process_is_seen(store):
    code = (
        "import sys; from tc_core import SQLiteStorage; from tc_core.model.ports import Priced\n"
        "with SQLiteStorage(sys.argv[1]) as store:\n"
        "    list(store.reprice(lambda _: Priced(1_000, 'a test', None, 0), unpriced_only=False))"
    )
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=True)
    assert check(store)[("search",)].cost_nanos == 10_000


def test_a_file_that_was_copied_over_is_seen(store):
    recorder_for(store).stop()  # nobody may have the file open meanwhile
    store._database.close()
    before = store.path.read_bytes()
    store.sink.write(Batch([call(60, feature="lost"), call(61, feature="lost")]))
    assert check(store)[("lost",)].calls == 2
    store._database.close()
    store.path.write_bytes(before)  # the same file to the system, with the same schema
    store.sink.write(Batch([call(62, feature="new"), call(63, feature="new"), call(64, feature="new")]))
    found = check(store)
    assert ("lost",) not in found
    assert found[("new",)].calls == 3


@pytest.mark.parametrize("is_in_place", [True, False], ids=["in place", "another file"])
def test_a_restored_file_is_seen_also_when_it_has_grown_as_far_again(store, tmp_path, is_in_place):
    copy = tmp_path / "copy.db"
    _copy(store.path, copy)
    store.sink.write(Batch([call(60, feature="lost"), call(61, feature="lost")]))
    assert check(store)[("lost",)].calls == 2
    if is_in_place:
        _copy(copy, store.path)
    else:
        for end in ("", "-wal", "-shm"):
            Path(f"{store.path}{end}").unlink(missing_ok=True)
        shutil.copy(copy, store.path)
    assert calls_of(store) == 10
    store.sink.write(Batch([call(62, feature="new"), call(63, feature="new")]))
    assert ("lost",) not in check(store)
    assert check(store)[("new",)].calls == 2


def _copy(source, target):
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


def test_a_file_restored_in_place_that_grew_further_than_before_is_seen(store, tmp_path):
    _copy(store.path, tmp_path / "copy.db")
    store.sink.write(Batch([call(60, feature="lost")]))
    check(store)
    _copy(tmp_path / "copy.db", store.path)
    store.sink.write(Batch([call(62, feature="new"), call(63, feature="new")]))
    found = check(store)
    assert ("lost",) not in found
    assert found[("new",)].calls == 2


def _rest(store):
    """Have no connection open, as when a writer rests; what is kept in memory stays.

    Two connections that two threads close at the same moment leave the log to whoever closes the next one.
    """
    deadline = time.monotonic() + 20
    store.database.close()
    while Path(f"{store.path}-wal").exists():
        assert time.monotonic() < deadline
        by_rows(store, *LABELS)
        store.database.close()


def test_a_copy_laid_over_the_file_takes_back_that_an_open_call_has_ended(store):
    store.sink.write(Batch([call(60, status="open", cost=None, usage=None, usage_source=None)]))
    check(store)
    _rest(store)
    copy = store.path.read_bytes()
    store.sink.write(Batch([call(60, cost=1_000_000)]))
    assert check(store)[("search",)].cost_nanos > 1_000_000
    _rest(store)
    store.path.write_bytes(copy)
    assert check(store)[("search",)].cost_nanos < 1_000_000
    store.sink.write(Batch([call(60, cost=2_000_000)]))
    assert check(store)[("search",)].cost_nanos > 2_000_000


def test_times_around_1970_are_grouped_by_day(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "ROWS_FIRST", 0)
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.sink.write(Batch([call(90, at_us=0), call(91, at_us=60_000_000)]))
        question = ["day", *LABELS[0]], LABELS[1]
        assert by_columns(store, *question) == by_rows(store, *question)


def test_a_label_set_that_nothing_says_is_left_to_the_rows(store):
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM label_set")
    store._columns.forget()
    check(store, is_kept=False)


# When, and how much


def test_who_asks_twice_reads_rows(tmp_path, reads):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.sink.write(Batch([call(1)]))
        store.totals(*LABELS)
        store.totals(*LABELS)
        assert not reads
        store.totals(["session_id"], {"labels.tenant": "t1"})  # a column that nobody has asked for yet
        assert not reads
        store.totals(*LABELS)
        assert reads == {"readings": 1, "rows": 1}


def test_columns_that_are_soon_wrong_are_read_ever_more_rarely(tmp_path, reads):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.sink.write(Batch([call(1)]))
        for asked_before in (2, 1 + 4, 1 + 8):  # one of them found the columns wrong
            readings = reads["readings"]
            for _ in range(asked_before):
                store.totals(*LABELS)
            assert reads["readings"] == readings
            store.totals(*LABELS)
            assert reads["readings"] == readings + 1
            list(store.reprice(lambda _: Priced(1_000, "a test", None, 0), unpriced_only=False))


def test_parts_of_the_store_count_as_what_they_are(tmp_path, reads):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.sink.write(Batch([call(1), call(2, START + 30 * US_PER_DAY)]))
        half = from_us(START), from_us(START + 15 * US_PER_DAY)
        for _ in range(4):
            store.totals(*LABELS, *half)
        assert not reads
        store.totals(*LABELS, *half)
        assert not reads  # four times a bit less than half
        store.totals(*LABELS, *half)
        assert reads["rows"] == 2


def test_numpy_is_loaded_with_the_columns_alone(tmp_path):
    code = (
        "import sys; from tc_core import SQLiteStorage, TrackingEvent\n"
        "store = SQLiteStorage(sys.argv[1])\n"
        "store.save_event(TrackingEvent(model='m', labels={'a': '1', 'b': '2'}))\n"
        "for _ in range(3): store.totals(['labels.a'], {'labels.b': '2'}); print('numpy' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "costs.db")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["False", "False", "True"]


def test_a_short_period_is_read_from_rows(store, reads):
    store.sink.write(Batch([call(70, START + 30 * US_PER_DAY)]))
    day = from_us(START)
    expected = by_rows(store, *LABELS, day, day + timedelta(days=1))
    assert by_columns(store, *LABELS, day, day + timedelta(days=1)) == expected
    assert not reads
    by_columns(store, *LABELS, day, day + timedelta(days=20))
    assert reads["rows"] == 1


def test_a_limit_is_kept_and_rows_are_read_beyond_it(store, monkeypatch, reads):
    monkeypatch.setattr(store._columns, "_most_bytes", lambda: store._columns.bytes)
    check(store)
    store.sink.write(Batch([call(80 + number) for number in range(10)]))
    check(store, is_kept=False)
    before = reads["readings"]
    check(store, is_kept=False)  # nor is it tried again
    assert reads["readings"] == before


def test_the_limit_is_what_the_settings_say(store, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_COLUMNS_MB", "0")
    store._columns.forget()
    check(store, is_kept=False)
    monkeypatch.setenv("TOKEN_CALC_COLUMNS_MB", "1")
    check(store)


def test_settings_that_cannot_be_read_do_not_keep_a_question_from_its_answer(store, monkeypatch):
    def load():
        raise ConfigurationError("columns_mb must be a number")

    monkeypatch.setattr(sql, "settings", SimpleNamespace(load=load))
    store._columns.forget()
    check(store, is_kept=False)


def test_many_open_events_are_left_to_the_rows(store, monkeypatch):
    monkeypatch.setattr(kept, "MOST_OPEN", 2)
    store.sink.write(Batch([call(90 + number, status="open") for number in range(3)]))
    check(store, is_kept=False)
    store.sink.write(Batch([call(90 + number) for number in range(3)]))
    for _ in range(50):
        store.totals(*LABELS)
    check(store)


def test_sums_beyond_what_floating_point_holds_are_left_to_the_rows(store):
    store.sink.write(Batch([call(100 + number, cost=2**53 + 1) for number in range(3)]))
    assert check(store)[("search",)].cost_nanos == 3 * 2**53 + 3 + 70  # odd: no such number in floating point


def test_a_closed_store_keeps_nothing(store):
    store.close()
    assert not store._columns.bytes
    assert calls_of(store) == 10


def test_threads_ask_and_write_together(store):
    wrong, done = [], threading.Event()

    def ask():
        while not done.is_set():
            found = by_columns(store, *LABELS)[("search",)]
            if found.cost_nanos != 7 * found.calls:
                wrong.append(found)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for each in askers:
        each.start()
    for number in range(40):
        store.sink.write(Batch([call(200 + number)]))
    done.set()
    for each in askers:
        each.join()
    assert not wrong
    assert calls_of(store) == 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_not_held_up_by_a_lock_of_its_parent(store):
    before = store._columns._kept
    with store._columns._lock:
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if calls_of(store) == 10 and store._columns._kept is not before else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_labels_beyond_the_most_are_forgotten_in_turn(store, monkeypatch):
    monkeypatch.setattr(kept, "MOST_LABELS", 2)
    for name in ("feature", "tenant", "other"):
        check(store, ([f"labels.{name}"], {"labels.tenant": ["t1", None]}))
    assert list(store._columns._kept.labels) == ["other", "tenant"]


def test_base_columns_are_columns():
    assert {*keeper.BASE} <= {*blocks.EVENT.c.keys()}
