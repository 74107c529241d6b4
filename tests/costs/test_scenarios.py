from datetime import UTC, date, datetime

import pytest

from tc_core import (
    ConfigurationError,
    CostForecaster,
    CostTracker,
    Scenario,
    SQLiteStorage,
    TrackingEvent,
    calculate_cost,
)
from tc_core.model.usage import Usage
from tests.costs.spending import OwnBackend, day


@pytest.fixture(params=["sqlite", "own"])
def forecaster(request, tmp_path):
    if request.param == "own":
        yield CostForecaster(OwnBackend())
        return
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield CostForecaster(store)


def track(forecaster, *models, days=1, **options):
    tracker = CostTracker(forecaster.storage)
    for number in range(days):
        for model in models:
            tracker.track_call(model, 1_000_000, 10_000, timestamp=day(number), **{"agent_id": "a", **options})


def test_nothing_different_costs_the_same(forecaster):
    track(forecaster, "gpt-4o", "gpt-4o-mini", days=10)
    found = forecaster.scenario_model(Scenario())
    assert (found.calls, found.days, found.change, found.notes) == (20, 10, 0, [])
    assert found.cost_before == found.cost_after == CostTracker(forecaster.storage).get_costs().total_cost
    assert found.low < found.cost_after < found.high or found.low == found.high
    assert [group.key for group in found.groups] == [{"model": "gpt-4o"}, {"model": "gpt-4o-mini"}]


def test_another_model_is_priced_with_the_tokens_of_each_call(forecaster):
    track(forecaster, "gpt-4o", "gpt-4.1", days=2)
    found = forecaster.scenario_model(Scenario(model_map={"gpt-4o": "gpt-4o-mini"}))
    old, new, other = (2 * calculate_cost(name, 1_000_000, 10_000) for name in ("gpt-4o", "gpt-4o-mini", "gpt-4.1"))
    assert found.cost_before == pytest.approx(old + other)
    assert found.cost_after == pytest.approx(new + other)
    assert found.change == pytest.approx(new - old)
    assert found.monthly_change == pytest.approx(15 * (new - old))
    groups = {group.key["model"]: group.change for group in found.groups}
    assert groups == {"gpt-4o": pytest.approx(new - old), "gpt-4.1": 0}


def test_ten_times_the_volume_costs_ten_times_as_much(forecaster):
    track(forecaster, "gpt-4o", days=3)
    found = forecaster.scenario_model(Scenario(volume=10))
    assert found.cost_after == pytest.approx(10 * found.cost_before)
    assert forecaster.scenario_model(Scenario(volume=0)).cost_after == 0


def test_prompts_caches_and_batches(forecaster):
    track(forecaster, "gpt-4o", cached_tokens=200_000)
    output = calculate_cost("gpt-4o", 0, 10_000)

    def after(**changes):
        return forecaster.scenario_model(Scenario(**changes)).cost_after

    assert after(prompt_tokens=0.5) == pytest.approx(calculate_cost("gpt-4o", 500_000, 10_000, cached_tokens=100_000))
    assert after(cache_hit_rate=1) == pytest.approx(
        calculate_cost("gpt-4o", 1_000_000, 10_000, cached_tokens=1_000_000)
    )
    assert after(cache_hit_rate=0) == pytest.approx(calculate_cost("gpt-4o", 1_000_000, 10_000))
    assert after(prompt_tokens=0) == pytest.approx(output)
    assert after(batch=True) < 0.6 * after()


def test_prices_of_another_day(forecaster):
    tracker = CostTracker(forecaster.storage)
    tracker.track_call("gpt-4o", 1_000_000, 0, timestamp=day(0))
    found = forecaster.scenario_model(Scenario(price_date="2024-05-20"))
    at = datetime(2024, 5, 20, tzinfo=UTC)
    assert found.cost_after == pytest.approx(calculate_cost("gpt-4o", 1_000_000, 0, at=at))
    assert Scenario(price_date=datetime(2024, 5, 20, 9)).price_date == date(2024, 5, 20)


def test_unknown_models_are_named_and_not_free(forecaster):
    track(forecaster, "gpt-4o", "gpt-4o-mini", "acme-1")
    found = forecaster.scenario_model(Scenario(model_map={"gpt-4o": "gpt-99", "nobody": "gpt-4o"}))
    assert (found.unknown_models, found.unused_models) == (["gpt-99"], ["nobody"])
    assert found.cost_after == pytest.approx(calculate_cost("gpt-4o-mini", 1_000_000, 10_000))
    assert (found.unpriced_before, found.unpriced_after, found.change) == (1, 2, 0)
    assert found.notes[0] == "no price is known for 'gpt-99': its calls are left out"
    assert "no call of the period asked for 'nobody'" in found.notes
    assert next(group for group in found.groups if group.key["model"] == "gpt-4o").cost_after is None
    priced = forecaster.scenario_model(Scenario(model_map={"acme-1": "gpt-4o"}))
    assert (priced.unpriced_after, priced.change) == (0, 0)  # it had no price to change from


def test_what_was_given_or_billed_changes_as_the_table_would(forecaster):
    given = TrackingEvent(model="gpt-4o", input_tokens=1_000_000, output_tokens=0, cost=1.0, timestamp=day(0))
    cached = TrackingEvent(
        model="gpt-4o", input_tokens=0, output_tokens=0, cost=0, price_source="cache", timestamp=day(0)
    )
    failed = TrackingEvent(model="gpt-4o", status="error", timestamp=day(0))
    forecaster.storage.save_events([given, cached, failed])
    found = forecaster.scenario_model(Scenario(prompt_tokens=0.5))
    assert (found.calls, found.cost_before, found.cost_after, found.unpriced_after) == (2, 1.0, 0.5, 0)


def test_charges_and_other_makers_and_too_long_prompts(forecaster):
    searched = TrackingEvent(
        model="claude-sonnet-4-5", provider="anthropic", input_tokens=1_000, output_tokens=100, cost_nanos=24_500_000,
        charges={"web_searches": 2}, price_source="genai-prices", timestamp=day(0),
    )  # fmt: skip
    forecaster.storage.save_event(searched)
    found = forecaster.scenario_model(Scenario(prompt_tokens=2))
    assert found.cost_after == pytest.approx(0.0245 + 1_000 * 3 / 1e6)
    track(forecaster, "gpt-4.1", days=8)
    same = forecaster.scenario_model(Scenario(model_map={"gpt-4.1": "gpt-4.1-mini"}, filters={"model": "gpt-4.1"}))
    other = forecaster.scenario_model(
        Scenario(model_map={"gpt-4.1": "claude-sonnet-4-5"}, filters={"model": "gpt-4.1"})
    )
    assert other.high / other.cost_after > 1.1 > same.high / same.cost_after
    assert "8 calls have more input than claude-sonnet-4-5 takes" in " ".join(other.notes)


def test_periods_groups_and_filters(forecaster):
    track(forecaster, "gpt-4o", days=10, customer="x")
    track(forecaster, "gpt-4o", days=10, customer="y", agent_id="b")
    found = forecaster.scenario_model(
        Scenario(filters={"agent_id": "b"}), by=["customer", "agent_id"], start_date=day(2, 0), end_date=day(5, 0)
    )
    assert (found.calls, found.days) == (3, 3)
    assert [group.key for group in found.groups] == [{"customer": "y", "agent_id": "b"}]
    whole = forecaster.scenario_model(Scenario(), by=[])
    assert (whole.calls, whole.groups) == (20, [])
    none = forecaster.scenario_model(Scenario(), start_date="2030-01-01")
    assert (none.calls, none.cost_after, none.notes) == (0, 0, [])


def test_progress_is_told(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        forecaster = CostForecaster(store)
        track(forecaster, "gpt-4o", days=5)
        told = []
        forecaster.scenario_model(Scenario(), progress=lambda done, total: told.append((done, total)))
    assert told == [(5, 5)]


def test_the_quick_way_to_prices_is_the_whole_way():
    from tc_core.meter import prices

    usage = Usage(1_200, 300, 200)
    for model in ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat", "sonar-pro", "acme-1"):
        for moment in (day(0), datetime(2025, 3, 3, 17, tzinfo=UTC)):
            at_us = int(moment.timestamp() * 1e6)
            quick = prices.cost_of_day(
                model, served_model=None, provider=None, service_tier=None, day=at_us // 86_400_000_000
            )
            whole = prices.price_of(usage, model, at_us=at_us)
            assert quick is None or quick(usage) == (whole and whole.cost_nanos)
    assert quick is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"volume": -1}, "volume must be a number from 0 to 1,000,000, not -1"),
        ({"volume": True}, "volume must be a number"),
        ({"prompt_tokens": float("nan")}, "prompt_tokens must be a number from 0 to 1,000, not nan"),
        ({"cache_hit_rate": 1.5}, "cache_hit_rate must be a share from 0 to 1, not 1.5"),
        ({"model_map": {"gpt-4o": ""}}, "model_map must map names of models to others, not 'gpt-4o' to ''"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_scenario_that_cannot_be_is_named(options, said):
    with pytest.raises(ValueError, match=said):
        Scenario(**options)


def test_a_date_or_group_that_cannot_be_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read 'soon' as the date of prices"):
        Scenario(price_date="soon")
    with SQLiteStorage(tmp_path / "s.db") as store, pytest.raises(ValueError, match="cannot be grouped by 'day'"):
        CostForecaster(store).scenario_model(Scenario(), by="day")
