"""Roll-ups, rows and plain Python give the same sums to the last digit, whatever is asked of whatever was recorded."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core import PostgreSQLStorage
from tc_core.costs.plain_totals import PlainTotals, value_of
from tc_core.costs.zones import name_in_zone, totals_in_zone
from tc_core.model import ids
from tc_core.model.event import EventRecord, from_us, to_us
from tc_core.model.period import Period
from tc_core.model.ports import Batch, Priced
from tc_core.model.scope import Scope
from tc_core.model.totals import Totals, totals_by
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for
from tc_core.store.read.filters import TIME_GROUPS
from tc_core.store.read.sums import Summing
from tc_core.store.schema import tables
from tc_core.store.storages import InMemoryStorage

US_PER_HOUR = 3_600_000_000
START = to_us(datetime(2026, 3, 28, 20, tzinfo=UTC))  # the clocks of Berlin go forward in the night after
SEVERAL_MONTHS = 70 * 24 * US_PER_HOUR

# What may happen

names = st.sampled_from([None, "a", "b"])
counts = st.one_of(st.none(), st.integers(0, 10**9))
moments = st.one_of(
    st.integers(0, 60 * US_PER_HOUR),
    st.integers(0, SEVERAL_MONTHS),
    st.integers(0, 60).map(lambda hours: hours * US_PER_HOUR),
    st.integers(0, 60).map(lambda hours: hours * US_PER_HOUR - 1),
).map(lambda us: START + us)
label_names = st.sampled_from(
    ["user_id", "feature", "model", "hour", "x.y", "", "0", "odd 'na\"me\\", "ü\n😀", "$.a[0]"]
)
label_values = st.sampled_from(["a", "b", "", "None", "null", "0", "%", "'; DROP TABLE event; --", "é\u0301\u200b😀"])


@st.composite
def records(draw):
    event_type = draw(st.sampled_from(["llm_call", "embedding", "tool", "agent", "custom"]))
    usage = draw(st.one_of(st.none(), st.builds(Usage, *[counts] * len(Usage._fields))))
    if usage is not None and usage.input_tokens is None and usage.output_tokens is None:
        usage = None
    return EventRecord(
        id=ids.from_text(f"event {draw(st.integers(0, 25))}"),  # so that some are revised
        event_type=event_type,
        at_us=draw(moments),
        parent_id=draw(st.one_of(st.none(), st.integers(0, 30).map(lambda n: ids.from_text(f"event {n}")))),
        scope=Scope(
            agent_id=draw(names),
            environment=draw(names),
            session_id=draw(names),
            labels=draw(st.dictionaries(label_names, label_values, max_size=3)),
        ),
        model=draw(st.sampled_from([None, "gpt-4o", "gpt-99"])),
        provider=draw(names),
        status=draw(st.sampled_from(["open", "ok", "error", "cancelled", "closed", "abandoned"])),
        usage=usage,
        usage_source=None if usage is None else draw(st.sampled_from(["provider", "exact", "proxy", "estimate"])),
        cost_nanos=draw(st.one_of(st.none(), st.integers(0, 10**12))),
        charges=draw(st.sampled_from([None, {"web_searches": 1}, {"audio_seconds": 0.5, "web_searches": 2}])),
        charges_nanos=draw(st.one_of(st.none(), st.integers(0, 10**12))),
        latency_us=draw(st.one_of(st.none(), st.integers(0, 10**10))),
    )


prices = st.one_of(st.none(), st.integers(0, 10**12), st.just("by tokens"))
"""What to price calls anew with: not at all, all the same, or by their tokens."""
histories = st.lists(st.tuples(st.lists(records(), max_size=12), prices), min_size=1, max_size=4)


def write(store, history):
    for batch, price in history:
        store.sink.write(Batch(batch))
        if price is not None:
            list(store.reprice(lambda event, price=price: priced(event, price)))


def priced(event, price):
    nanos = (event.input_tokens or 0) * 3 if price == "by tokens" else price
    return None if event.model == "gpt-99" else Priced(nanos, "a test", None, nanos // 2)


# What may be asked

label_fields = label_names.map(lambda name: f"labels.{name}")
fields = st.one_of(
    st.sampled_from(["event_type", "provider", "model", "agent_id", "environment", "session_id", "status", "user_id"]),
    label_fields,
)
values = st.one_of(st.sampled_from([None, "gpt-4o", "llm_call", "tool", "error", "nobody"]), label_values)
hours = st.integers(0, 60).map(lambda n: name_in_zone(from_us(START + n * US_PER_HOUR), "hour", UTC))
days = st.integers(0, 70).map(lambda n: name_in_zone(from_us(START) + timedelta(days=n), "day", UTC))
time_filters = st.dictionaries(st.just("hour"), hours, max_size=1) | st.fixed_dictionaries(
    {}, optional={"day": st.lists(days, max_size=3), "month": st.sampled_from(["2026-03", "2026-04", "2026-05"])}
)
questions = st.fixed_dictionaries(
    {
        "group_by": st.lists(st.one_of(fields, st.sampled_from(TIME_GROUPS)), max_size=3, unique=True),
        "filters": st.dictionaries(fields, st.one_of(values, st.lists(values, max_size=3)), max_size=2),
        "start": st.one_of(st.none(), moments, st.integers(-1, 61 * 60).map(lambda n: START + n * 60_000_000)),
        "length": st.one_of(st.none(), st.integers(1, SEVERAL_MONTHS), st.integers(1, 40).map(US_PER_HOUR.__mul__)),
    }
)


def period_of(question):
    start, length = question["start"], question["length"]
    end = None if length is None else (START if start is None else start) + length
    return Period(*(None if us is None else from_us(us) for us in (start, end)))


class InPython:
    """Answers questions for events from a list, without any SQL."""

    def __init__(self, events):
        self._events = events

    def query_events(self, filters=None, start_time=None, end_time=None):
        return [
            event
            for event in self._events
            if (start_time is None or event.timestamp >= start_time)
            and (end_time is None or event.timestamp < end_time)
            and all(self._is_one_of(event, name, wanted) for name, wanted in (filters or {}).items())
        ]

    def _is_one_of(self, event, name, wanted):
        return value_of(event, name) in (wanted if isinstance(wanted, list) else [wanted])


# Where


@pytest.fixture(scope="module", params=["memory", "postgresql"])
def empty(request):
    """Give a store without events, again and again."""
    if request.param == "memory":
        yield InMemoryStorage
        return
    server = request.getfixturevalue("postgresql")
    url = server.new_database()
    kept = (tables.Dimension.__tablename__, "token_calculator_version")
    with PostgreSQLStorage(url) as store:
        filled = ", ".join(name for name in tables.StoreTable.metadata.tables if name not in kept)

        def emptied():
            recorder_for(store).stop()  # its chores read several tables, which locks them in another order
            server.run(f"TRUNCATE {filled}", url)
            return store

        yield emptied


# The promise


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(history=histories, asked=st.lists(st.tuples(questions, time_filters), min_size=1, max_size=4))
def test_three_ways_to_the_same_sums(empty, history, asked):
    store = empty()
    write(store, history)
    plainly = InPython(store.query_events())
    for question, when in asked:
        period = period_of(question)
        filters = question["filters"] | when
        asking = (question["group_by"], filters, period.start, period.end)
        expected = PlainTotals(plainly).totals(*asking)
        assert store.totals(*asking) == expected
        assert by_rows(store, *asking) == expected
        assert PlainTotals(store).totals(*asking) == expected


def by_rows(store, group_by, filters, start, end):
    """Ask the rows alone, as for names that no roll-up has."""
    with store._database.reading() as connection:
        asked = Summing(connection, store._database, store._interned, group_by, filters)
        asked._rollup = lambda: None
        return asked.totals(None if start is None else to_us(start), None if end is None else to_us(end))


ZONES = ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=15, deadline=None)
@given(history=histories, question=questions, units=st.lists(st.sampled_from(TIME_GROUPS), min_size=1, unique=True))
def test_sums_by_the_days_of_any_zone_are_exact(empty, zone, history, question, units):
    tz, store, period = ZoneInfo(zone), empty(), period_of(question)
    write(store, history)
    filters = question["filters"]
    others = [name for name in question["group_by"] if name not in TIME_GROUPS][:1]
    group_by = [*others, *units]
    events = InPython(store.query_events()).query_events(filters, period.start, period.end)

    def key(event):
        return tuple(
            name_in_zone(event.timestamp, name, tz) if name in TIME_GROUPS else value_of(event, name)
            for name in group_by
        )

    found = totals_by(events, key, all_types="event_type" in {*others, *filters})
    expected = {key: total for key, total in found.items() if total != Totals()}
    assert totals_in_zone(store, period, group_by, filters, tz) == expected


def test_the_common_questions_touch_no_row():
    store = InMemoryStorage()
    store.sink.write(
        Batch([EventRecord(ids.from_text("e"), "llm_call", START, status="ok", usage=Usage(1, 1), model="m")])
    )
    statements = []
    from sqlalchemy import event

    event.listen(store._database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    hour = from_us(START // US_PER_HOUR * US_PER_HOUR)
    for group_by, filters in ((["day"], {}), (["agent_id", "model"], {"environment": "production"}), (["user_id"], {})):
        store.totals(group_by, filters, hour, hour + timedelta(hours=5))
    assert not [statement for statement in statements if "FROM event" in statement]
    store.totals(["session_id"], {}, hour, hour + timedelta(hours=5))
    assert [statement for statement in statements if "FROM event" in statement]
