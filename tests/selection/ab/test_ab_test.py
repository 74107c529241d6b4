"""A test in a store: who gets which, outcomes, results, and its end."""

import json
import re

import numpy
import pytest

from tc_core import (
    ABTest,
    ABTestError,
    CostTracker,
    SQLiteStorage,
    StorageError,
    create_ab_test,
    labels,
    open_ab_test,
    session,
    settings,
)
from tc_core.selection.ab_live import examine
from tc_core.selection.ab_setup import ab_tests
from tc_core.selection.rates import units_a_day
from tc_core.store.base import StorageBackend

MODELS = ("gpt-4o", "gpt-4o-mini")


@pytest.fixture
def test(store):
    return create_ab_test(store, *MODELS, 14, name="support")


def come_out(test, count, rates=(0.5, 0.5), *, start=0):
    """Have units come out one after another: in each arm every so many succeed, in turn."""
    seen = [0.0, 0.0]
    for number in range(start, start + count):
        arm = MODELS.index(test.assign(f"s{number}"))
        seen[arm] += rates[arm]
        test.record_outcome(f"s{number}", seen[arm] >= 1)
        seen[arm] %= 1


def test_a_unit_gets_the_same_model_each_time_and_half_of_them_each(test, store):
    first = {f"s{number}": test.assign(f"s{number}") for number in range(400)}
    assert {unit: test.assign(unit) for unit in first} == first
    again = open_ab_test(store, "support")
    assert {unit: again.assign(unit) for unit in first} == first
    assert {unit: MODELS["ab".index(again.arm(unit))] for unit in first} == first
    assert 150 < list(first.values()).count("gpt-4o") < 250
    results = test.results()
    assert results.a.assigned + results.b.assigned == 400
    assert results.a.assigned == list(first.values()).count("gpt-4o")


def test_the_split_is_the_share_that_gets_b(store):
    test = create_ab_test(store, *MODELS, 14, split=0.1)
    shares = [test.assign(number) for number in range(500)]
    assert 25 < shares.count("gpt-4o-mini") < 80
    assert test.name == "gpt-4o-vs-gpt-4o-mini"


def test_two_tests_divide_units_independently(store):
    one, two = (create_ab_test(store, *MODELS, 14, name=name) for name in ("one", "two"))
    assert 60 < sum(one.arm(number) == two.arm(number) for number in range(200)) < 140


def test_it_is_kept_in_every_kind_of_store(each_store):
    test = create_ab_test(each_store, *MODELS, 14, name="support", bounds=(0, 10), agent_id="a")
    for number in range(80):
        model = test.assign(number)
        assert test.record_outcome(number, 4 + 4 * (model == "gpt-4o") + number % 2)
    again = open_ab_test(each_store, "support")
    assert (again.bounds, again.agent_id, again.unit, again.state) == ((0.0, 10.0), "a", "session", "running")
    results = again.results()
    assert (results.outcomes, results.winner) == (80, "gpt-4o")
    assert results.difference == pytest.approx(-4, abs=0.3)
    assert results.verdict.startswith("gpt-4o is better than gpt-4o-mini by")
    assert again.results("pairs").winner == "gpt-4o"
    stopped = test.stop(keep="b")
    assert (stopped.state, stopped.kept_model) == ("stopped", "gpt-4o-mini")
    assert [each.name for each in ab_tests(each_store)] == ["support"]
    again.refresh()
    assert again.assign("another") == "gpt-4o-mini"


def test_the_same_name_is_the_same_test_where_the_setup_is_the_same(test, store):
    come_out(test, 3)
    same = create_ab_test(store, *MODELS, 14, name="support")
    assert same.results().outcomes == 3
    test.stop()
    assert create_ab_test(store, *MODELS, 14, name="support").state == "stopped"
    with pytest.raises(ABTestError, match=r"already, with split 0\.5, 14 days: choose another"):
        create_ab_test(store, *MODELS, 7, name="support", split=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_b": "gpt-4o"}, "needs two models"),
        ({"model_b": "openai/gpt-4o"}, "not 'gpt-4o' twice, which is 'openai/gpt-4o' as well"),
        ({"model_b": "GPT-4o"}, "not 'gpt-4o' twice, which is 'GPT-4o' as well"),
        ({"unit": "sesion"}, "no call has a label 'sesion' that could be the unit; did you mean session"),
        ({"unit": "user"}, "did you mean user_id"),
        ({"model_b": "gpt-4oo"}, "no call of 'gpt-4oo' is recorded, and no price is known for it; near are gpt-4o"),
        ({"model_a": ""}, "model_a must be a text"),
        ({"split": 0}, "split, .*, must lie between 0 and 1, not at 0"),
        ({"split": 1.0}, "split"),
        ({"split": float("nan")}, "split must be a number"),
        ({"split": True}, "split must be a number"),
        ({"duration_days": 0}, "duration_days must lie above 0"),
        ({"duration_days": "a week"}, "duration_days must be a number, not 'a week'"),
        ({"duration_days": 1e9}, "duration_days must lie above 0 and up to 3,650"),
        ({"unit": ""}, "unit must be a text"),
        ({"name": "what is this?"}, "named by up to 64 letters"),
        ({"name": ""}, "named by up to 64 letters"),
        ({"bounds": (1, 0)}, "bounds must be the least and then the highest"),
        ({"bounds": (0, float("inf"))}, "bounds are the least and the highest"),
        ({"bounds": 5}, "bounds are the least and the highest"),
        ({"agent_id": ""}, "agent_id must be a text"),
    ],
)
def test_a_test_that_cannot_be_is_refused(store, options, message):
    arguments = {"model_a": "gpt-4o", "model_b": "gpt-4o-mini", "duration_days": 14} | options
    with pytest.raises(ValueError, match=message):
        create_ab_test(store, **arguments)
    assert ab_tests(store) == []


def test_a_unit_much_like_another_one_is_taken_once_a_call_has_such_a_label(store):
    CostTracker(store).track_call("gpt-4o", 1, 1, user="ann")
    assert create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14, unit="user").unit == "user"
    assert create_ab_test(store, "gpt-4o", "gpt-4o-2024-08-06", 14, unit="tenant").unit == "tenant"


def test_a_model_without_a_price_is_known_once_it_was_called(store):
    CostTracker(store).track_call("our-own-model", 1, 1)
    assert create_ab_test(store, "gpt-4o", "our-own-model", 14).models == ("gpt-4o", "our-own-model")


def test_a_test_that_is_not_there_is_said_with_those_that_are(test, store):
    with pytest.raises(
        ABTestError, match="there is no A/B test 'suport', there are support: `token-calc abtest create`"
    ):
        open_ab_test(store, "suport")


def test_a_backend_of_ones_own_keeps_no_tests():
    class Own(StorageBackend):
        def save_event(self, event): ...
        def query_events(self, *_, **__): ...
        def aggregate(self, *_, **__): ...

    with pytest.raises(StorageError, match="Own keeps no A/B tests: use SQLiteStorage"):
        create_ab_test(Own(), *MODELS, 14)


# Outcomes


def test_a_unit_has_one_outcome(test):
    test.assign("s1")
    assert test.record_outcome("s1", True)
    assert not test.record_outcome("s1", 1.0)
    with pytest.raises(
        ABTestError, match=r"session 's1' has the outcome 1 in test 'support' already, .*: 0 is not taken"
    ):
        test.record_outcome("s1", False)
    assert test.results().outcomes == 1


def test_an_outcome_may_be_what_numpy_compared_to(test):
    scores = numpy.array([0.2, 0.9], dtype=numpy.float32)
    for number, value in enumerate((scores[1] > 0.5, scores[1], numpy.int64(1))):
        test.assign(number)
        assert test.record_outcome(number, value)
    assert test.results().outcomes == 3


def test_an_outcome_of_a_unit_that_was_never_assigned_is_refused(test):
    with pytest.raises(ABTestError, match="session 's1' was never assigned in test 'support'"):
        test.record_outcome("s1", True)


@pytest.mark.parametrize(
    ("value", "message"),
    [(2, "between 0 and 1, not at 2"), ("yes", "not 'yes'"), (None, "not None"), (float("nan"), "not nan")],
)
def test_an_outcome_that_is_none_is_refused(test, value, message):
    test.assign("s1")
    with pytest.raises(ValueError, match=message):
        test.record_outcome("s1", value)


@pytest.mark.parametrize("unit", ["", None, 1.5, True, b"s1"])
def test_what_names_no_unit_is_refused(test, unit):
    with pytest.raises(ValueError, match="a unit is named by a text or a whole number"):
        test.assign(unit)


def test_units_that_were_assigned_in_time_may_come_out_after_the_end(store, today):
    test = create_ab_test(store, *MODELS, 2, name="short")
    units = [f"s{number}" for number in range(40)]
    given = {unit: test.assign(unit) for unit in units}
    today.advance(days=2)
    assert test.state == "ended"
    assert all(test.record_outcome(unit) for unit in units[:30])
    assert {test.assign(unit) for unit in [*units, "new"]} == {"gpt-4o"}
    assert not test.record_outcome("new")  # it was not part: nothing breaks at night
    results = test.results()
    assert (results.state, results.outcomes, results.a.assigned + results.b.assigned) == ("ended", 30, len(given))
    assert results.verdict.endswith("nothing is said under 30 each, and the test is over.")


def test_nothing_counts_once_it_is_stopped_and_everybody_gets_what_is_kept(test):
    come_out(test, 10)
    with pytest.raises(ValueError, match="keep is a model of the test, 'gpt-4o' or 'gpt-4o-mini', not 'gpt-5'"):
        test.stop("gpt-5")
    test.assign("late")
    test.stop("gpt-4o-mini")
    assert not test.record_outcome("late")
    assert {test.assign(number) for number in range(20)} == {"gpt-4o-mini"}
    assert (test.results().outcomes, test.results().a.assigned + test.results().b.assigned) == (10, 11)
    stopped_at = test.stopped_at
    test.stop()
    assert (test.assign("s1"), test.stopped_at) == ("gpt-4o", stopped_at)


def test_another_hash_key_cannot_tell_its_units(test, store, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_HASH_KEY", "another")
    settings.forget()
    other = open_ab_test(store, "support")
    with pytest.raises(ABTestError, match=r"set up with another hash key, .*: set the same"):
        other.assign("s1")
    assert other.results().outcomes == 0


# Results


def test_what_it_says_as_outcomes_come(test):
    assert test.results().verdict == "No session was assigned yet."
    come_out(test, 1)
    assert re.fullmatch(
        r"[01] outcomes of gpt-4o and [01] of gpt-4o-mini: nothing is said under 30 each\.", test.results().verdict
    )
    come_out(test, 100, (0.9, 0.8))
    early = test.results()
    assert early.verdict.startswith("Not known yet: gpt-4o-mini against gpt-4o lies between -")
    assert early.verdict.endswith("points. Go on.")
    assert not early.significant
    come_out(test, 700, (0.95, 0.7), start=100)
    known = test.results()
    assert (known.significant, known.winner, known.state) == (True, "gpt-4o", "running")
    assert known.high < 0 < known.known_after < 800
    assert "known since outcome" in known.verdict
    assert json.loads(json.dumps(known.to_dict()))["verdict"] == known.verdict


def test_at_its_end_it_says_how_large_a_difference_may_be(store, today):
    test = create_ab_test(store, *MODELS, 2)
    come_out(test, 400, (0.8, 0.8))
    today.advance(days=3)
    verdict = test.results().verdict
    assert verdict.startswith("No difference is known: gpt-4o-mini against gpt-4o lies between -")
    assert "so neither is better by more than " in verdict


def test_arms_that_lose_outcomes_are_not_trusted(test):
    for number in range(300):
        is_b = test.assign(number) == "gpt-4o-mini"
        if not is_b or not number % 3:
            test.record_outcome(number, is_b)
    results = test.results()
    assert (results.is_lopsided, results.significant, results.winner) == (True, False, None)
    assert results.verdict.startswith("Not to be trusted: ")
    assert "which a split of 50:50 does not give" in results.verdict


def test_a_test_with_one_arm_empty_says_so(test):
    for number in range(40):
        if test.arm(number) == "a":
            test.assign(number)
            test.record_outcome(number)
    results = test.results()
    assert (results.b.assigned, results.b.mean, results.significant) == (0, None, False)
    assert results.verdict.startswith("Not to be trusted")


def test_costs_and_latencies_of_the_arms_come_from_the_store(test, store):
    costs = CostTracker(store)
    for number in range(40):
        with session(f"s{number}"), test.using(f"s{number}") as model:
            costs.track_call(model, 1_000, 100, latency_ms=500 if model == "gpt-4o" else 200)
            costs.track_call(model, 1_000, 100, latency_ms=500 if model == "gpt-4o" else 200)
        test.record_outcome(f"s{number}", number % 4 != 0)
    costs.track_call("gpt-4o", 1_000_000, 0)  # which is no part of the test
    results = test.results()
    # gpt-4o: 1,000 x $2.50 and 100 x $10 per million are $0.0035; gpt-4o-mini: .00015 + .00006
    for arm, a_call, latency in ((results.a, 0.0035, 500), (results.b, 0.00021, 200)):
        assert (arm.calls, arm.latency_ms, arm.unpriced_calls) == (2 * arm.assigned, latency, 0)
        assert arm.cost == pytest.approx(2 * arm.assigned * a_call)
        assert arm.cost_per_unit == pytest.approx(2 * a_call)
        assert arm.cost_per_completed == pytest.approx(arm.cost / (arm.mean * arm.outcomes))
    assert store.aggregate("calls", ["labels.ab_test.support"])[("a",)] == results.a.calls


def test_what_has_no_price_has_no_cost(store):
    costs = CostTracker(store)
    costs.track_call("our-own-model", 1, 1)
    test = create_ab_test(store, "gpt-4o", "our-own-model", 14)
    for number in range(20):
        with test.using(number) as model:
            costs.track_call(model, 10, 10)
    results = test.results()
    assert (results.b.cost, results.b.unpriced_calls) == (None, results.b.calls)
    assert results.a.cost > 0


def test_calls_that_carry_an_arm_assign_their_unit_also_after_a_kill(tmp_path, in_a_child):
    store = SQLiteStorage(tmp_path / "killed.db")
    test = create_ab_test(store, *MODELS, 14)

    def work():
        costs = CostTracker(SQLiteStorage(store.path))
        with session("s1"), labels(**test.labels(test.arm("s1"))):
            costs.track_call("gpt-4o", 1, 1)

    in_a_child(work)  # which ends without any clean-up
    assert test.record_outcome("s1")
    assert test.results().outcomes == 1


@pytest.mark.parametrize(
    ("unit", "name"), [("workflow", "workflow_id"), ("user_id", "user_id"), ("agent_id", "agent_id")]
)
def test_a_unit_is_a_dimension_or_a_label(store, unit, name):
    test = create_ab_test(store, *MODELS, 14, unit=unit)
    for value in ("u1", "u2", "u1"):
        CostTracker(store).track_call("gpt-4o", 1, 1, **{name: value}, **test.labels(test.arm(value)))
    assert test.record_outcome("u1")
    assert test.results().a.assigned + test.results().b.assigned == 2


def test_a_unit_is_a_run(store):
    test = create_ab_test(store, *MODELS, 14, unit="run")
    record = CostTracker(store).track_call("gpt-4o", 1, 1, **test.labels("a"))
    assert test.record_outcome(record.event_id)


@pytest.mark.parametrize(
    "value", [1e300, -1e300, 10**400, float("inf"), float("nan"), None, "yes"], ids=lambda v: str(v)[:6]
)
def test_an_outcome_that_cannot_be_squared_is_refused(store, value):
    test = create_ab_test(store, *MODELS, 14, bounds=None)
    test.assign("one")
    with pytest.raises(ValueError, match=r"an outcome must be True, False or a number up to 1e\+100, not"):
        test.record_outcome("one", value)


def test_pairs_need_bounds_and_a_method_is_one_that_there_is(store):
    test = create_ab_test(store, *MODELS, 14, bounds=None)
    with pytest.raises(ValueError, match="bets on pairs need bounds"):
        test.results("pairs")
    with pytest.raises(ValueError, match="method is mixture or pairs, not 'z'"):
        test.results("z")
    for number in range(100):
        test.record_outcome(number, 100 + 5 * (test.assign(number) == "gpt-4o") + number % 3)
    assert test.results().winner == "gpt-4o"
    assert re.search(r"by 4\.\d+ \(\+[\d.]+ to \+[\d.]+\), known since outcome", test.results().verdict)


def test_units_a_day_are_those_of_late(store, today):
    assert units_a_day(store, "session") is None
    costs = CostTracker(store)
    for day in range(4):
        for number in range(10):
            costs.track_call("gpt-4o", 1, 1, session_id=f"{day}-{number}", user_id=f"u{number}", agent_id="a")
        today.advance(days=1)
    assert units_a_day(store, "session") == pytest.approx(10, rel=1e-3)
    assert units_a_day(store, "user_id", "a") == pytest.approx(2.5, rel=1e-3)
    assert units_a_day(store, "run") == pytest.approx(10, rel=1e-3)
    assert units_a_day(store, "session", "b") is None


def test_no_name_of_a_unit_is_in_its_table(test, store):
    test.assign("canary-unit")
    test.record_outcome("canary-unit")
    with store.database.reading() as connection:
        for table in ("ab_test", "ab_unit"):
            assert "canary" not in str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())


def test_it_shows_what_it_is(test):
    assert repr(test) == "ABTest('support', 'gpt-4o', 'gpt-4o-mini', running)"
    assert isinstance(test, ABTest)
    assert (test.providers, test.split) == (("openai", "openai"), 0.5)


def test_the_doctor_says_how_tests_stand(store, today, monkeypatch):
    assert list(examine(store)) == []
    create_ab_test(store, *MODELS, 1, name="short")
    create_ab_test(store, *MODELS, 9, name="long")
    create_ab_test(store, *MODELS, 9, name="stopped").stop()
    today.advance(days=2)
    monkeypatch.setenv("TOKEN_CALC_HASH_KEY", "another")
    settings.forget()
    create_ab_test(store, *MODELS, 9, name="ours")
    found = [(finding.state, finding.said) for finding in examine(store)]
    assert [state for state, _ in found] == ["ok", "warning", "warning"]
    assert found[0][1] == "test 'ours' runs until 2026-05-26 12:00 UTC"
    assert "test 'long' was set up with another hash key" in found[1][1]
    assert "test 'short' is over: `token-calc abtest status short`" in found[2][1]
