"""Kinds of rules, each by what is recorded: what fires is worked out by hand."""

import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from tc_core import AlertManager, BudgetTracker, CostTracker
from tc_core.alerts.live import live_of
from tc_core.alerts.rules import AlertRule
from tc_core.errors import ConfigurationError
from tc_core.meter import own_prices
from tc_core.model.part import Part
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime import parts
from tc_core.runtime.recorders import recorder_for, wait_for_parts
from tc_core.settings import AlertRule as Said
from tc_core.testing import FakeClock

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
"""A Monday in the middle of a month: 15.5 of its 31 days have gone."""


class Told:
    """A store with one rule, and what a function of the program is told."""

    def __init__(self, store):
        self.store, self.tracker, self.manager = store, CostTracker(store), AlertManager(store)
        self.alerts = []
        self.manager.add_notifier("here", self.alerts.append)

    def rule(self, kind, **said):
        self.manager.add_alert_rule(AlertRule.of(Said(name=kind, type=kind, channels=("here",), **said)))

    def call(self, model="gpt-4o", tokens=1000, *, ago=timedelta(), **facts):
        """Record a call; 1,000 tokens of gpt-4o cost $0.0025."""
        return self.tracker.track_call(model, tokens, 0, timestamp=clock_now() - ago, **facts)

    def fired(self):
        """Return the keys and whether it is an end, of what was told since the last time."""
        assert self.manager.flush(60)
        found, self.alerts[:] = [(each.key, each.resolved_at is not None) for each in self.alerts], []
        return found


def clock_now():
    from tc_core.model import clock

    return clock.now()


@pytest.fixture
def told(store):
    with FakeClock(NOON) as clock:
        found = Told(store)
        found.clock = clock
        yield found


def test_budget_is_told_once_for_each_and_again_when_it_is_over(told):
    tracker = BudgetTracker(told.store)
    tracker.set_budget(1.0, "day", name="small")
    tracker.set_budget(100.0, "day", name="large")
    told.rule("budget", threshold=0.8, cooldown=0)
    told.call(tokens=316_000)  # $0.79
    assert told.fired() == []
    told.call(tokens=4_000)  # $0.80 is 80 %
    assert told.fired() == [("small", False)]
    told.call(tokens=40_000)
    assert told.fired() == []
    told.clock.advance(days=1)
    told.call(tokens=1)
    assert told.fired() == [("small", True)]


def test_budget_of_a_name_is_that_one_alone(told):
    tracker = BudgetTracker(told.store)
    for name in ("a", "b"):
        tracker.set_budget(1.0, "day", name=name)
    told.rule("budget", threshold=1.0, budget="b")
    told.call(tokens=400_000)
    assert told.fired() == [("b", False)]


def test_forecast_tells_of_a_budget_that_will_not_last(told):
    BudgetTracker(told.store).set_budget(1.0, "month", name="month")
    told.rule("forecast")
    told.call(tokens=192_000)  # $0.48 in half a month: $0.96 in all of it
    assert told.fired() == []
    told.call(tokens=20_000)  # $0.53: $1.06
    assert told.fired() == [("month", False)]


def test_monthly_forecast(told):
    for day in range(1, 15):
        told.call(tokens=400_000, ago=timedelta(days=day))  # a dollar a day
    told.rule("monthly_forecast", threshold=40)
    told.call(tokens=1)
    assert told.fired() == []
    told.rule("monthly_forecast", threshold=20)
    told.call(tokens=1)
    assert told.fired() == [("", False)]


def test_burn_rate_is_dollars_in_an_hour(told):
    told.rule("burn_rate", threshold=0.5, window="2h", by=("agent_id",), cooldown=0)
    told.call(tokens=396_000, agent_id="slow")  # $0.99 in two hours
    told.call(tokens=400_000, agent_id="fast", ago=timedelta(minutes=90))
    told.call(tokens=400_000, agent_id="long ago", ago=timedelta(hours=3))
    assert told.fired() == [("fast", False)]
    told.clock.advance(hours=1)
    told.call("no-such-model", agent_id="unpriced")
    assert told.fired() == [("fast", True)]


def test_errors_are_a_share_of_some_calls(told):
    told.rule("errors", threshold=0.5)
    for _ in range(4):
        told.call(status="error")
    assert told.fired() == []  # four calls say nothing
    told.call()
    assert told.fired() == [("", False)]


def test_latency_is_that_of_the_slowest_twentieth(told):
    told.rule("latency", threshold=1000, by=("model",))
    for n in range(20):
        told.call(latency_ms=5000 if n == 7 else 100)
        told.call("gpt-4o-mini", latency_ms=100)
    assert told.fired() == [("gpt-4o", False)]


def test_unpriced_names_the_model(told):
    told.rule("unpriced", threshold=2)
    told.call()
    told.call("no-such-model")
    assert told.fired() == []
    told.call("no-such-model")
    assert told.fired() == [("no-such-model", False)]


def test_no_data_is_told_and_told_to_be_over(told):
    told.rule("no_data", threshold=600, cooldown=0)
    assert told.fired() == []  # nothing was ever recorded
    told.call()
    assert told.fired() == []
    told.clock.advance(minutes=11)
    assert told.fired() == [("", False)]
    told.call()
    assert told.fired() == [("", True)]


def test_cost_of_one_call(told):
    told.rule("cost", threshold=1.0)
    told.call(tokens=399_000)
    told.call("no-such-model", 10_000_000)
    assert told.fired() == []
    told.call(tokens=400_000)
    assert told.fired() == [("", False)]


def test_cost_spike_is_against_what_is_usual_for_the_model(told):
    told.rule("cost_spike", threshold=3.0)
    for _ in range(19):
        told.call()
    told.call(tokens=100_000)  # only 19 calls came before it
    told.call("o3", 100_000)  # which is none of gpt-4o's
    assert told.fired() == []
    told.call(tokens=2_999)
    assert told.fired() == []
    told.call(tokens=3_000)
    assert told.fired() == [("", False)]


def test_cost_spike_knows_what_was_usual_before_the_program_began(told):
    for _ in range(20):
        told.call()
    told.store.flush()
    told.rule("cost_spike", threshold=3.0)
    told.call(tokens=3_000)
    assert told.fired() == [("", False)]


def test_context_is_the_share_of_the_window(told):
    told.rule("context", threshold=0.9)
    told.call(tokens=115_000)  # of 128,000
    told.call("no-such-model", 10_000_000)
    assert told.fired() == []
    told.call(tokens=115_200)
    assert told.fired() == [("", False)]


def test_a_new_model_is_one_that_was_not_called_before(told):
    told.rule("new_model")
    told.call()
    told.call()
    assert told.fired() == []  # the first one of all is not new
    told.clock.advance(minutes=1)
    told.call("o3")
    told.call("o3")
    assert told.fired() == [("o3", False)]


def test_a_new_price_is_told_by_model(told, tmp_path, monkeypatch):
    told.rule("new_price")
    told.call()
    told.call("o3")
    assert told.fired() == []
    prices = tmp_path / "prices.yaml"
    prices.write_text("- {model: gpt-4o, input: 1, output: 1}\n")
    monkeypatch.setenv("TOKEN_CALC_PRICES", str(prices))
    own_prices.forget()
    told.call()
    told.call("o3")
    assert told.fired() == [("gpt-4o", False)]


def test_an_anomaly_is_a_day_that_costs_far_more_than_was_to_be_expected(told):
    for day in range(1, 40):
        for agent in ("writer", "critic"):
            told.call(tokens=40_000, agent_id=agent, ago=timedelta(days=day))  # $0.10 a day
    told.rule("anomaly", threshold=2.0)
    told.call(tokens=40_000, agent_id="critic")
    assert told.fired() == []
    told.call(tokens=2_000_000, agent_id="writer")  # $5
    assert told.fired() == [("writer", False)]


def test_retry_storms_are_told_once_each(told):
    told.rule("retry_storm", cooldown=0)
    recorder, failed = recorder_for(told.store), []
    for n in range(4):
        key, asked = object(), [Segment("user", "text", "Which trains go from Berlin to Lisbon?")]
        failed.append(recorder.start("llm_call", key=key, model="gpt-4o", content=asked))
        told.clock.advance(seconds=1)
        recorder.fail(key, status="error", error_type="RateLimitError", usage=Usage(1000, 0))
        if n == 1:
            assert told.fired() == []  # two failures are what retries are for
    assert told.fired() == [(failed[0], False)]
    told.clock.advance(hours=2)
    told.call()
    assert told.fired() == []  # that it is over is nothing to tell


def test_filters_choose_the_calls(told):
    told.rule("cost", threshold=1.0, filters={"agent_id": "writer", "labels.team": "a"}, by=("agent_id",))
    told.call(tokens=400_000, agent_id="critic", team="a")
    told.call(tokens=400_000, agent_id="writer", team="b")
    assert told.fired() == []
    told.call(tokens=400_000, agent_id="writer", team="a")
    assert told.fired() == [("writer", False)]


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({"agent_id": "wri*"}, ["writer"]),
        ({"agent_id": ["writer", "critic"]}, ["writer", "critic"]),
        ({"agent_id!": "wri*"}, ["critic", "none"]),
        ({"agent_id": "*"}, ["writer", "critic"]),
        ({"agent_id": None}, ["none"]),
        ({"model": "gpt-4*", "agent_id!": ["critic", None]}, ["writer"]),
    ],
)
@pytest.mark.parametrize(
    "said", [{"kind": "cost", "threshold": 1}, {"kind": "burn_rate", "threshold": 1}, {"kind": "latency"}]
)
def test_filters_are_those_of_reports(told, said, filters, keys):
    told.rule(filters=filters, by=("agent_id",), **said)
    for agent in ("writer", "critic", None):
        for _ in range(5):
            told.call(tokens=400_000, latency_ms=40_000, **({} if agent is None else {"agent_id": agent}))
    assert {key for key, _ in told.fired()} == set(keys)


def test_a_kind_of_another_branch(told, monkeypatch):
    module = ModuleType("a_branch_with_a_kind")
    module.part = lambda store: Part(name="of the tests", rule_kinds={"letters": lambda event: len(event.model or "")})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(parts, "LIVE", [*parts.LIVE, module.__name__])
    from tc_core.runtime import recorders

    recorders._parts.clear()
    recorders._recorders.clear()
    fresh = Told(told.store)
    fresh.rule("letters", threshold=10)
    fresh.call("gpt-4o")
    fresh.call("gpt-4o-mini")
    assert fresh.fired() == [("", False)]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"type": "nothing"}, "alert rule 'r': there is no type 'nothing', known are anomaly, budget"),
        ({"type": "burn_rate", "window": "soon"}, "window must be written as 30m, 1h or 7d, not 'soon'"),
        ({"type": "burn_rate", "window": "900d"}, "window must be written as 30m, 1h or 7d, not '900d'"),
        ({"type": "errors", "threshold": 20}, "alert rule 'r': threshold of 'errors' must be at most 1, not 20"),
        ({"type": "context_rot", "threshold": 101}, "threshold of 'context_rot' must be at most 100, not 101"),
        ({"type": "cost", "window": "1h"}, "alert rule 'r': 'cost' has no window, which is '1h': leave it out"),
        ({"type": "budget", "window": "1h"}, "'budget' has no window"),
        ({"type": "no_data", "window": "1h"}, "'no_data' has no window"),
        ({"type": "monthly_forecast", "window": "1d"}, "'monthly_forecast' has no window"),
        ({"type": "cost", "budget": "b"}, "'cost' is about no budget, which is 'b'"),
        ({"type": "budget", "filters": {"agent_id": "a"}}, "'budget' takes the filters of the budget"),
        ({"type": "budget", "threshold": 80}, "threshold of 'budget' is a share of the budget, .* not 80"),
        ({"type": "forecast", "threshold": 120}, "threshold of 'forecast' is a share of the budget, .* not 120"),
    ],
)
def test_what_a_rule_cannot_mean_is_said(store, said, wrong):
    with pytest.raises(ConfigurationError, match=wrong):
        AlertManager(store).add_alert_rule(AlertRule.of(Said(name="r", **said)))


def test_the_rules_of_the_settings_hear_of_calls_without_a_manager(store, to_receiver, receiver):
    to_receiver("  rules:\n    - {name: dear, type: cost, threshold: 1, severity: critical, channels: [webhook]}\n")
    CostTracker(store).track_call("gpt-4o", 400_000, 0)
    assert [(each["rule"], each["severity"]) for each in receiver.wait_for(1)] == [("dear", "critical")]
    assert live_of(store).flush(60)


def test_the_health_of_a_conversation(store, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_HEALTH", "on")
    told = Told(store)
    told.rule("context_usage", threshold=50)
    turn = [Segment("user", "text", "hello"), Segment("assistant", "text", "hi")]
    for session, tokens in (("short", 1000), ("long", 4096)):  # of the 8,192 tokens of gpt-4
        recorder, key = recorder_for(store), object()
        labels = {"session_id": session, "agent_id": "writer"}
        recorder.start("llm_call", key=key, model="gpt-4", content=turn[:1], labels=labels)
        recorder.finish(key, usage=Usage(tokens, 0), output=turn[1:])
    assert wait_for_parts(store, 60)
    assert told.fired() == [("long", False)]
