"""Roll-ups, rows and plain Python give the same sums to the last digit, whatever is asked of whatever was recorded."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core.analyse.plain import PlainTotals
from tc_core.analyse.zones import totals_in_zone
from tc_core.model import ids
from tc_core.model.event import EventRecord, from_us, to_us
from tc_core.model.period import Period
from tc_core.model.ports import Batch
from tc_core.model.scope import Scope
from tc_core.model.totals import Totals, totals_by
from tc_core.model.usage import Usage
from tc_core.store.sql import InMemoryStorage
from tc_core.store.sums import Summing

START = to_us(datetime(2026, 3, 28, 20, tzinfo=UTC))  # the clocks of Berlin go forward in the night after
US_PER_HOUR = 3_600_000_000

names = st.sampled_from([None, "a", "b"])
counts = st.one_of(st.none(), st.integers(0, 10**9))


@st.composite
def records(draw):
    event_type = draw(st.sampled_from(["llm_call", "embedding", "tool", "agent", "custom"]))
    usage = draw(st.one_of(st.none(), st.builds(Usage, *[counts] * len(Usage._fields))))
    if usage is not None and usage.input_tokens is None and usage.output_tokens is None:
        usage = None
    return EventRecord(
        id=ids.from_text(f"event {draw(st.integers(0, 25))}"),  # so that some are revised
        event_type=event_type,
        at_us=START + draw(st.integers(0, 60 * US_PER_HOUR)),
        scope=Scope(
            agent_id=draw(names),
            environment=draw(names),
            session_id=draw(names),
            labels={k: v for k, v in (("user_id", draw(names)), ("feature", draw(names))) if v},
        ),
        model=draw(st.sampled_from([None, "gpt-4o", "gpt-99"])),
        provider=draw(names),
        status=draw(st.sampled_from(["open", "ok", "error", "cancelled", "closed", "abandoned"])),
        usage=usage,
        usage_source=None if usage is None else draw(st.sampled_from(["provider", "exact", "proxy", "estimate"])),
        cost_nanos=draw(st.one_of(st.none(), st.integers(0, 10**12))),
        latency_us=draw(st.one_of(st.none(), st.integers(0, 10**10))),
    )


fields = st.sampled_from(
    ["event_type", "provider", "model", "agent_id", "environment", "session_id", "status", "user_id", "labels.feature"]
)
values = st.sampled_from([None, "a", "b", "gpt-4o", "llm_call", "tool", "error", "nobody"])
questions = st.fixed_dictionaries(
    {
        "group_by": st.lists(st.one_of(fields, st.sampled_from(["hour", "day", "month"])), max_size=3, unique=True),
        "filters": st.dictionaries(fields, st.one_of(values, st.lists(values, max_size=3)), max_size=2),
        "start": st.one_of(st.none(), st.integers(-1, 61 * 60)),
        "length": st.one_of(st.none(), st.integers(1, 40 * 60)),
    }
)


def period_of(question):
    start = None if question["start"] is None else from_us(START) + timedelta(minutes=question["start"])
    end = None
    if question["length"] is not None:
        end = (start or from_us(START)) + timedelta(minutes=question["length"])
    return start, end


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(records(), max_size=12), min_size=1, max_size=4), st.lists(questions, min_size=1, max_size=4))
def test_three_ways_to_the_same_sums(batches, asked):
    store = InMemoryStorage()
    for batch in batches:
        store.sink.write(Batch(batch))
    for question in asked:
        start, end = period_of(question)
        plain = PlainTotals(store).totals(question["group_by"], question["filters"], start, end)
        assert store.totals(question["group_by"], question["filters"], start, end) == plain
        assert by_rows(store, question, start, end) == plain


def by_rows(store, question, start, end):
    """Ask the rows alone, as for names that no roll-up has."""
    with store._database.reading() as connection:
        asked = Summing(connection, store._database, store._dimensions, question["group_by"], question["filters"])
        asked._rollup = lambda: None
        return asked.totals(None if start is None else to_us(start), None if end is None else to_us(end))


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]
)
@settings(max_examples=20, deadline=None)
@given(st.lists(records(), max_size=30), st.lists(st.sampled_from(["hour", "day", "month"]), min_size=1, unique=True))
def test_sums_by_the_days_of_any_zone_are_exact(zone, batch, units):
    tz, store = ZoneInfo(zone), InMemoryStorage()
    store.sink.write(Batch(batch))
    period = Period(from_us(START) + timedelta(minutes=95), from_us(START) + timedelta(hours=50, minutes=10))
    group_by = [*units, "agent_id"]

    def key(event):
        local = event.timestamp.astimezone(tz)
        named = {
            "hour": local.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes"),
            "day": f"{local:%Y-%m-%d}",
            "month": f"{local:%Y-%m}",
            "agent_id": event.agent_id,
        }
        return tuple(named[name] for name in group_by)

    events = store.query_events(None, period.start, period.end)
    expected = {k: total for k, total in totals_by(events, key, all_types=False).items() if total != Totals()}
    assert totals_in_zone(store, period, group_by, {}, tz) == expected


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
