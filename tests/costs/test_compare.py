"""Two periods compared: the drivers say why, and sum to the difference to the last nano-dollar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core import ConfigurationError, CostTracker, InMemoryStorage, TrackingEvent
from tc_core.meter import own_prices
from tc_core.testing import FakeClock

FIRST, SECOND = ("2026-03-02", "2026-03-08"), ("2026-03-09", "2026-03-15")
A, B = (datetime(2026, 3, day, 12, tzinfo=UTC) for day in (3, 10))


@pytest.fixture
def tracker():
    return CostTracker(InMemoryStorage())


def calls(tracker, number, at, model="gpt-4o", tokens=(1_000_000, 0), **labels):
    for _ in range(number):
        tracker.track_call(model, *tokens, timestamp=at, **labels)


def drivers(found):
    assert sum(driver.cost_nanos for driver in found.drivers) == found.difference_nanos
    for driver in found.drivers:
        assert sum(driver.by_model.values()) == driver.cost_nanos
    for group in found.groups:
        assert sum(driver.cost_nanos for driver in group.drivers) == group.difference_nanos
    return {driver.kind: driver.cost for driver in found.drivers}


NOTHING = {"price": 0.0, "volume": 0.0, "tokens_per_call": 0.0, "model_mix": 0.0}


def test_more_calls_are_volume(tracker):
    calls(tracker, 2, A)
    calls(tracker, 6, B)
    found = tracker.compare(FIRST, SECOND)
    # gpt-4o is 2.50 dollars per million tokens of input: 5 dollars became 15.
    assert (found.before.total_cost, found.after.total_cost, found.difference, found.ratio) == (5.0, 15.0, 10.0, 3.0)
    assert drivers(found) == NOTHING | {"volume": 10.0}
    assert found.drivers[0].explanation == "6 priced calls instead of 2"


def test_larger_calls_are_tokens_per_call_and_more_from_a_cache_is_less(tracker):
    calls(tracker, 2, A)
    calls(tracker, 2, B, tokens=(2_000_000, 0))
    found = tracker.compare(FIRST, SECOND)
    assert drivers(found) == NOTHING | {"tokens_per_call": 5.0}
    assert found.drivers[0].explanation == "a call of gpt-4o: input 2,000,000 tokens instead of 1,000,000"
    for _ in range(2):
        tracker.track_call("gpt-4o-mini", 1_000_000, 0, timestamp=A)
        tracker.track_call("gpt-4o-mini", 1_000_000, 0, cached_tokens=1_000_000, timestamp=B)
    cached = tracker.compare(FIRST, SECOND, filters={"model": "gpt-4o-mini"})
    assert drivers(cached) == NOTHING | {"tokens_per_call": -0.15}  # 0.15 dollars became 0.075, twice
    assert "100 % of the input cached instead of 0 %" in cached.drivers[0].explanation


def test_calls_that_go_to_another_model_are_the_mix(tracker):
    calls(tracker, 4, A, "gpt-4o-mini")
    calls(tracker, 2, B, "gpt-4o-mini")
    calls(tracker, 2, B, "gpt-4o")
    found = tracker.compare(FIRST, SECOND)
    # Two calls of 0.15 dollars became two of 2.50.
    assert drivers(found) == NOTHING | {"model_mix": 4.7}
    assert found.drivers[0].explanation.startswith("gpt-4o 50 % of calls instead of 0 %")


@pytest.fixture
def own_prices_file(monkeypatch, tmp_path):
    path = tmp_path / "prices.yaml"
    monkeypatch.setenv("TOKEN_CALC_PRICES", str(path))
    path.write_text("- {model: acme-1, until: 2026-03-09, input: 1}\n- {model: acme-1, from: 2026-03-09, input: 3}\n")
    own_prices._read.cache_clear()
    own_prices.forget()


@pytest.mark.usefixtures("own_prices_file")
def test_a_price_that_has_changed_is_told_from_more_calls(tracker):
    calls(tracker, 2, A, "acme-1", agent_id="a")
    calls(tracker, 3, B, "acme-1", agent_id="a")
    found = tracker.compare(FIRST, SECOND, by=["agent_id"])
    # Two dollars became nine: a third call at the old price, and two dollars more for each of three.
    assert drivers(found) == NOTHING | {"price": 6.0, "volume": 1.0}
    assert found.drivers[0].explanation == "a: the price has changed of acme-1"
    assert drivers(tracker.compare(FIRST, SECOND, by=["workflow"])) == NOTHING | {"price": 6.0, "volume": 1.0}
    assert drivers(tracker.compare(SECOND, FIRST)) == NOTHING | {"price": -4.0, "volume": -3.0}


def test_costs_that_no_table_knows_are_compared_by_what_a_token_cost(tracker):
    for at, cost, tokens in ((A, 1.0, 100), (B, 3.0, 100), (B, 6.0, 200)):
        tracker.storage.save_event(
            TrackingEvent(model="acme-2", input_tokens=tokens, output_tokens=0, cost=cost, timestamp=at)
        )
    found = drivers(tracker.compare(FIRST, SECOND))
    # A cent a token became three cents, and the second call of a pair is twice as long.
    assert found == {"price": 6.0, "volume": 1.0, "tokens_per_call": 1.0, "model_mix": 0.0}


def test_groups_tell_what_happened_within_them_and_sum_to_the_whole(tracker):
    calls(tracker, 4, A, "gpt-4o-mini", agent_id="small")
    calls(tracker, 8, B, "gpt-4o-mini", agent_id="small")
    calls(tracker, 1, A, agent_id="large")
    calls(tracker, 1, B, agent_id="large", tokens=(3_000_000, 0))
    calls(tracker, 1, B, agent_id="new")
    found = tracker.compare(FIRST, SECOND, by=["agent_id"])
    assert [(group.key["agent_id"], group.difference) for group in found.groups] == [
        ("large", 5.0),
        ("new", 2.5),
        ("small", 0.6),
    ]
    assert drivers(found) == NOTHING | {"tokens_per_call": 5.0, "volume": 3.1}
    assert found.drivers[0].explanation.startswith("large: a call of gpt-4o")
    assert (found.groups[1].before.calls, found.groups[1].after.calls) == (0, 1)
    assert found.to_dict()["groups"][0]["drivers"][0]["kind"] == "tokens_per_call"


def test_unpriced_calls_are_in_no_driver_and_an_empty_period_is_no_trouble(tracker):
    assert drivers(tracker.compare(FIRST, SECOND)) == NOTHING
    assert drivers(tracker.compare(FIRST, SECOND, by=["agent_id"])) == NOTHING
    tracker.track_call("acme-9", 10, 10, timestamp=B)
    found = tracker.compare(FIRST, SECOND)
    assert (drivers(found), found.after.unpriced_calls, found.ratio) == (NOTHING, 1, None)
    calls(tracker, 1, B)
    assert drivers(tracker.compare(FIRST, SECOND)) == NOTHING | {"volume": 2.5}
    assert drivers(tracker.compare(SECOND, FIRST)) == NOTHING | {"volume": -2.5}


def test_periods_are_said_as_elsewhere_and_times_are_refused_as_names(tracker):
    with FakeClock(datetime(2026, 3, 12, tzinfo=UTC)):
        calls(tracker, 1, A)
        assert tracker.compare("last-week", "this-week").difference == -2.5
        assert tracker.compare("2026-03-03", "2026-03-04").difference == -2.5
    with pytest.raises(ValueError, match="not by 'day'"):
        tracker.compare(FIRST, SECOND, by=["day"])
    with pytest.raises(ConfigurationError, match="cannot read 'yesteryear'"):
        tracker.compare("yesteryear", SECOND)


CALL = st.tuples(
    st.sampled_from(["gpt-4o", "gpt-4o-mini", "acme-1", "claude-sonnet-4-5"]),
    st.integers(0, 5_000),
    st.integers(0, 700),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([None, 0, 7, 12_345_678]),
)


@given(st.lists(CALL, max_size=12), st.lists(CALL, max_size=12))
@settings(max_examples=60, deadline=None)
def test_drivers_sum_to_the_difference_whatever_was_called(before, after):
    store = InMemoryStorage()
    tracker = CostTracker(store)
    for at, made in ((A, before), (B, after)):
        for number, (model, tokens_in, tokens_out, agent, nanos) in enumerate(made):
            moment = at + timedelta(minutes=number)
            if nanos is None:
                tracker.track_call(model, tokens_in, tokens_out, timestamp=moment, agent_id=agent)
            else:
                store.save_event(
                    TrackingEvent(
                        model=model,
                        input_tokens=tokens_in,
                        output_tokens=tokens_out,
                        cost_nanos=nanos,
                        timestamp=moment,
                    )
                )
    for by in ((), ("agent_id",), ("model", "agent_id")):
        drivers(tracker.compare(FIRST, SECOND, by=by))
    store.close()
