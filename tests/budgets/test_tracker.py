"""Setting budgets, and how they stand: on SQLite and PostgreSQL alike."""

from datetime import UTC, datetime, timedelta

import pytest

from tc_core import (
    BudgetExceededError,
    BudgetTracker,
    ConfigurationError,
    CostTracker,
    InMemoryStorage,
    labels,
    workflow,
)
from tc_core.meter import own_prices

CALL = ("gpt-4o", 1000, 100)
"""Costs 1000 x $2.5 + 100 x $10 per million: $0.0035."""


def spend(budgets, **given):
    return CostTracker(budgets.storage).track_call(*CALL, **given)


def test_a_budget_tells_what_is_spent_and_left(today, budgets):
    budgets.set_budget(0.1, "monthly")
    spend(budgets)
    found = budgets.get_remaining()
    assert (found.name, found.amount, found.spent, found.reserved) == ("default", 0.1, 0.0035, 0)
    assert (found.remaining, found.pct) == (0.0965, 0.965)
    assert (found.period_start, found.period_end) == (
        datetime(2026, 5, 1, tzinfo=UTC),
        datetime(2026, 6, 1, tzinfo=UTC),
    )
    assert not budgets.check_overage()


def test_exactly_the_amount_is_not_over_and_a_nano_dollar_more_is(budgets):
    budgets.set_budget(0.0035, "total")
    spend(budgets)
    assert not budgets.check_overage()
    assert budgets.get_remaining().pct == 0
    budgets.add_usage(1e-9)
    assert budgets.check_overage()


def test_a_budget_set_in_mid_period_begins_with_what_was_spent(today, budgets):
    spend(budgets)
    spend(budgets, timestamp=today.now - timedelta(days=20))  # in April
    assert budgets.set_budget(1, "monthly").spent == 0.0035
    assert budgets.set_budget(1, "quarter", name="quarter").spent == 0.007


def test_the_same_name_changes_the_limit_and_not_what_is_spent(budgets):
    budgets.set_budget(1, "monthly")
    budgets.add_usage(0.25)
    changed = budgets.set_budget(2, "monthly", by="me", why="more to do")
    assert (changed.amount, changed.spent) == (2, 0.25)
    assert [(each.kind, each.by, each.why) for each in budgets.history()] == [
        ("set", None, None),
        ("changed", "me", "more to do"),
    ]
    assert budgets.history()[1].details == {"amount": {"from": "$1.00", "to": "$2.00"}}
    budgets.set_budget(2, "monthly")
    assert len(budgets.history()) == 2, "nothing has changed"


def test_with_another_period_or_filters_its_books_are_worked_out_anew(today, budgets):
    budgets.set_budget(1, "daily")
    spend(budgets, agent_id="a")
    spend(budgets, agent_id="b", timestamp=today.now - timedelta(days=2))
    budgets.add_usage(0.25)
    assert budgets.get_remaining().spent == 0.2535
    assert budgets.set_budget(1, "monthly").spent == 0.257
    assert budgets.set_budget(1, "monthly", {"agent_id": "b"}).spent == 0.2535
    assert [each.kind for each in budgets.history()] == ["set", "worked out anew", "worked out anew"]
    spend(budgets, agent_id="b")
    assert budgets.get_remaining().spent == 0.257
    assert [each.state for each in budgets.check()] == ["ok"]


@pytest.mark.parametrize(
    ("filters", "counts"),
    [
        pytest.param({"agent_id": "a"}, True, id="a dimension"),
        pytest.param({"agent_id": ["x", "a"]}, True, id="one of several"),
        pytest.param({"agent_id": "x"}, False, id="another one"),
        pytest.param({"team": "search"}, True, id="a label"),
        pytest.param({"labels.team": "search", "model": "gpt-4o"}, True, id="a label and the model"),
        pytest.param({"team": None}, False, id="without a label"),
        pytest.param({"session_id": None}, True, id="without a dimension"),
        pytest.param({"provider": "openai"}, True, id="the provider"),
        pytest.param({"event_type": "embedding"}, False, id="another type"),
        pytest.param({"agent_id": "nobody at all"}, False, id="matching nothing"),
        pytest.param({"agent_id!": "x"}, True, id="all but another"),
        pytest.param({"agent_id!": ["x", "a"]}, False, id="all but this one"),
        pytest.param({"model": "gpt-4*"}, True, id="a beginning"),
        pytest.param({"model": ["claude*", "o3"]}, False, id="another beginning"),
        pytest.param({"model!": "gpt-4*"}, False, id="all but a beginning"),
        pytest.param({"labels.team!": "search"}, False, id="all but a label"),
        pytest.param({"feature!": "x"}, True, id="all but a label it has not"),
        pytest.param({"feature!": None}, False, id="with a label that it has not"),
        pytest.param({"team": "*"}, True, id="any value"),
        pytest.param({"team": "*", "team!": "se*"}, False, id="any value but a beginning"),
        pytest.param({"session_id": "*"}, False, id="any value of what it has none"),
        pytest.param({"event_type!": "embedding"}, True, id="all but a type"),
    ],
)
def test_filters_choose_the_same_calls_live_and_anew(budgets, filters, counts):
    budgets.set_budget(1, "total", filters)
    spend(budgets, agent_id="a", team="search", provider="openai")
    assert budgets.get_remaining().spent == (0.0035 if counts else 0)
    assert [each.state for each in budgets.check()] == ["ok"]


def test_nested_budgets_all_count_and_the_tightest_is_told(budgets):
    budgets.set_budget(1, "monthly", name="company")
    budgets.set_budget(0.008, "monthly", {"team": "search"}, name="team")
    budgets.set_budget(0.005, "monthly", {"team": "search", "agent_id": "a"}, name="agent")
    spend(budgets, team="search", agent_id="a")
    assert [(each.name, each.spent) for each in budgets.list()] == [
        ("agent", 0.0035),
        ("company", 0.0035),
        ("team", 0.0035),
    ]
    assert budgets.get_remaining().name == "agent"
    spend(budgets, team="search", agent_id="b")
    assert budgets.get_remaining().name == "team"
    assert budgets.get_remaining("agent").spent == 0.0035


@pytest.mark.parametrize(("unit", "amount", "spent"), [("tokens", 5000, 1100), ("calls", 10, 1), ("usd", 1, 0.0035)])
def test_units(budgets, unit, amount, spent):
    budgets.set_budget(amount, "daily", unit=unit)
    spend(budgets)
    found = budgets.get_remaining()
    assert (found.spent, found.amount, found.unit) == (spent, amount, unit)


def test_a_period_renews_by_itself_and_what_was_stays(today, budgets):
    budgets.set_budget(1, "daily")
    budgets.add_usage(0.75)
    today.advance(days=1)
    assert budgets.get_remaining().spent == 0
    budgets.add_usage(0.5)
    assert [(each.key, each.spent) for each in budgets.periods("default")] == [
        ("2026-05-15", 0.75),
        ("2026-05-16", 0.5),
    ]


def test_a_call_that_is_told_late_counts_in_its_own_period(today, budgets):
    budgets.set_budget(1, "daily")
    budgets.get_remaining()
    today.advance(days=1)
    budgets.get_remaining()
    spend(budgets, timestamp=today.now - timedelta(days=1))
    assert budgets.get_remaining().spent == 0
    assert [each.spent for each in budgets.periods("default")] == [0.0035, 0]


def test_a_reprice_books_the_difference_into_the_calls_own_period(today, budgets, monkeypatch, tmp_path):
    costs = CostTracker(budgets.storage)
    budgets.set_budget(1, "daily")
    costs.track_call("my-model", 1000, 100)
    assert budgets.get_remaining().spent == 0
    today.advance(days=1)
    budgets.get_remaining()
    prices = tmp_path / "prices.yaml"
    prices.write_text("- model: my-model\n  input: 1\n  output: 2\n")
    monkeypatch.setenv("TOKEN_CALC_PRICES", str(prices))
    own_prices.forget()
    assert costs.reprice().changed == 1
    assert budgets.get_remaining().spent == 0
    assert budgets.periods("default")[0].spent == 0.0012  # 1000 x $1 + 100 x $2 per million


def test_a_rolling_window_moves_on(today, budgets):
    budgets.set_budget(1, "last-7-days")
    budgets.add_usage(0.25)
    spend(budgets)
    today.advance(days=6)
    budgets.add_usage(0.5)
    assert budgets.get_remaining().spent == 0.7535
    today.advance(days=1, hours=3)
    assert budgets.get_remaining().spent == 0.5
    assert budgets.get_remaining().period_start <= today.now - timedelta(days=7)


def test_a_fixed_range_counts_what_lies_in_it(today, budgets):
    budgets.set_budget(1, "2026-05-01..2026-05-15")
    spend(budgets)
    today.advance(days=1)
    spend(budgets)
    found = budgets.get_remaining()
    assert (found.spent, found.period_end) == (0.0035, datetime(2026, 5, 16, tzinfo=UTC))


def test_each_workflow_has_the_amount_for_itself(budgets):
    budgets.set_budget(0.005, "workflow")
    for name, calls in (("one", 1), ("two", 2)):
        for _ in range(calls):
            spend(budgets, workflow_id=name)
    assert budgets.get_remaining(key="one").spent == 0.0035
    assert budgets.get_remaining(key="two").spent == 0.007
    assert budgets.get_remaining().key == "two"
    assert budgets.check_overage()


def test_each_run_has_the_amount_for_itself(budgets):
    budgets.set_budget(0.005, "run")
    with workflow("nightly", storage=budgets.storage) as first:
        spend(budgets)
    with workflow("nightly", storage=budgets.storage) as second:
        spend(budgets)
        spend(budgets)
    assert budgets.get_remaining(key=first.event_id).spent == 0.0035
    assert budgets.get_remaining(key=second.event_id).spent == 0.007
    assert [each.state for each in budgets.check()] == ["ok"]


def test_a_removed_budget_is_gone_and_its_history_stays(budgets):
    budgets.set_budget(1, "daily", hard=True)
    with budgets.reserve(0.5):
        budgets.remove("default", by="me", why="not needed")
    with pytest.raises(ValueError, match="no budget is set"):
        budgets.get_remaining()
    assert budgets.set_budget(1, "daily").spent == 0
    assert [each.kind for each in budgets.history("default")] == ["set", "removed", "set"]
    with pytest.raises(ValueError, match="there is no budget 'other'; there are: 'default'"):
        budgets.remove("other")


def test_an_override_grants_more_for_a_while_and_says_who_and_why(today, budgets):
    budgets.set_budget(1, "monthly", hard=True)
    budgets.add_usage(1)
    with pytest.raises(BudgetExceededError):
        budgets.reserve(0.5).__enter__()
    assert budgets.override("default", 0.5, until=timedelta(hours=1), by="ann", why="month end").amount == 1.5
    with budgets.reserve(0.5) as reserved:
        reserved.release()
    today.advance(hours=1)
    assert budgets.get_remaining().amount == 1
    with pytest.raises(BudgetExceededError):
        budgets.reserve(0.5).__enter__()
    change = budgets.history()[-1]
    assert (change.kind, change.by, change.why, change.details["granted"]) == ("override", "ann", "month end", "$0.50")


def test_an_override_is_capped(budgets):
    budgets.set_budget(1, "monthly", max_override=0.2)
    with pytest.raises(ValueError, match=r"at most \$0\.20 be granted on top, not \$0\.30"):
        budgets.override("default", 0.3, until="2099-01-01", by="ann", why="x")
    with pytest.raises(ValueError, match="until must lie in the future"):
        budgets.override("default", 0.1, until="2020-01-01", by="ann", why="x")
    with pytest.raises(ValueError, match="by must be a text"):
        budgets.override("default", 0.1, until="2099-01-01", by=" ", why="x")


def test_usage_by_hand_counts_where_its_labels_match_and_is_never_refused(budgets):
    budgets.set_budget(1, "monthly", {"team": "search"}, name="team", hard=True)
    with pytest.raises(ValueError, match="no budget takes usage"):
        budgets.add_usage(5)
    budgets.add_usage(5, team="search")
    with labels(team="search"):
        budgets.add_usage(1)
    budgets.add_usage(1, name="team")
    assert budgets.get_remaining("team").spent == 7
    assert [each.state for each in budgets.check()] == ["ok"]


def test_what_is_left_over_time(today, budgets):
    budgets.set_budget(31, "monthly")
    budgets.add_usage(20)
    found = budgets.get_remaining()  # 14.5 of 31 days are over: 20 / 14.5 a day, so 11 last for 7.975 days
    assert not found.on_track
    assert abs(found.runs_out_at - (today.now + timedelta(days=7.975))) < timedelta(minutes=1)
    low, high = found.runs_out_between
    assert low < found.runs_out_at < high
    budgets.set_budget(310, "monthly")
    assert budgets.get_remaining().on_track
    assert budgets.get_remaining().runs_out_at is None


def test_the_first_day_of_a_month_is_no_alarm(today, budgets):
    today.advance(days=16, hours=13)  # the first of June, one in the morning
    budgets.set_budget(100, "monthly")
    budgets.add_usage(2)
    found = budgets.get_remaining()
    assert found.on_track
    assert found.runs_out_at is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"amount": 0}, "amount must be above zero, not 0"),
        ({"amount": -1}, "amount must be above zero, not -1"),
        ({"amount": float("nan")}, "amount must be a finite number"),
        ({"amount": "much"}, "amount must be a finite number, not 'much'"),
        ({"amount": 1.5, "unit": "calls"}, "amount must be whole calls, not 1.5"),
        ({"unit": "euro"}, "unit must be one of usd, tokens, calls, not 'euro'"),
        ({"period": "fortnight"}, "cannot read 'fortnight' as a period: use hour, day"),
        ({"filters": {"event_id": "x"}}, "cannot be filtered by 'event_id'"),
        ({"filters": {"status!": "ok"}}, "a budget cannot be filtered by 'status!'"),
        ({"filters": {"!": "ok"}}, "calls are filtered by names, not by '!'"),
        ({"filters": ["agent_id"]}, r"filters must be names and values such as .*, not \['agent_id'\]"),
        ({"thresholds": ["much"]}, "thresholds must be shares such as 0.8, or '80%', not 'much'"),
        ({"thresholds": None}, "thresholds must be shares such as 0.8, or '80%', not None"),
        ({"thresholds": 0.8}, None),
        ({"thresholds": ["80%", "150%", 1]}, None),
        ({"thresholds": "80 %"}, None),
        ({"thresholds": [80]}, "not 80: that would be 80 times the amount; write '80%' or, if it is meant, '8000%'"),
        ({"thresholds": [1.5]}, "not 1.5: that would be 1.5 times the amount; write '1.5%' or, .*, '150%'"),
        ({"thresholds": [0.8, "20000%"]}, "up to '10000%', not '20000%'"),
        ({"thresholds": ["%"]}, "thresholds must be shares"),
        ({"thresholds": [0]}, "thresholds must be shares"),
        ({"unpriced": "no-such-model"}, "unpriced must be 'refuse', 'allow' or a model that has a price"),
        ({"name": ""}, "name must be a text"),
        ({"tz": "Mars/Base"}, "unknown time zone 'Mars/Base'"),
    ],
)
def test_what_no_budget_can_have_is_named(arguments, said):
    budgets = BudgetTracker(InMemoryStorage())
    given = {"amount": 1, "period": "daily", **arguments}
    if said is None:
        budgets.set_budget(**given)
        return
    with pytest.raises((ValueError, ConfigurationError), match=said):
        budgets.set_budget(**given)


def test_the_seeds_own_call(today):
    budgets = BudgetTracker(InMemoryStorage())
    budgets.set_budget(100, "weekly", {"agent_id": "rag"})
    assert budgets.get_remaining().pct == 1
    assert budgets.check_overage() is False
