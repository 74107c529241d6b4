"""What may be said after each outcome: worked out by hand, and held over many tests of nothing."""

import math

import numpy as np
import pytest

from tc_core.selection.ab_results import compare
from tc_core.selection.power import plan
from tc_core.selection.sequences import ALPHA, LEAST, RATIO_ALPHA, RHO2, bets, interval, ratio_evidence, running


def outcomes(rate_a, rate_b, size, split, rng):
    arms = (rng.random(size) < split).astype(int)
    return arms, (rng.random(size) < np.where(arms, rate_b, rate_a)) * 1.0


def test_the_interval_is_what_the_formula_gives_by_hand():
    # 40 of a with 30 successes, 50 of b with 45. v_a = (40 x .75 x .25 + .25) / 40 = .19375, v_b = (50 x .9 x .1 + .25)
    # / 50 = .095; both: 90 with 75, (90 x 5/6 x 1/6 + .25) / 90 = .141667, whose .141667 / 40 + .141667 / 50 = .006375
    # is less than .19375 / 40 + .095 / 50 = .00674375
    arms = np.array([0] * 40 + [1] * 50)
    values = np.array([1.0] * 30 + [0.0] * 10 + [1.0] * 45 + [0.0] * 5)
    difference, radius = interval(running(arms, values), 0.25)
    t = 2 * 40 * 50 / 90 * RHO2
    by_hand = math.sqrt(0.00674375 * (t + 1) / t * math.log((t + 1) / ALPHA**2))
    assert difference[-1] == pytest.approx(0.15)
    assert radius[-1] == pytest.approx(by_hand, rel=1e-9)


def test_a_small_arm_without_a_failure_is_no_surer_than_both_together():
    # 30 of b, all good: v_b alone would be .25 / 30 = .0083; 200 of a with 100: both have 130 of 230
    arms = np.array([0] * 200 + [1] * 30)
    values = np.array([1.0] * 100 + [0.0] * 100 + [1.0] * 30)
    v = (230 * 130 / 230 * 100 / 230 + 0.25) / 230
    t = 2 * 200 * 30 / 230 * RHO2
    by_hand = math.sqrt(v * (1 / 200 + 1 / 30) * (t + 1) / t * math.log((t + 1) / ALPHA**2))
    assert interval(running(arms, values), 0.25)[1][-1] == pytest.approx(by_hand, rel=1e-9)


def test_nothing_is_said_under_thirty_outcomes_in_each_arm():
    arms = np.array([0, 1] * (LEAST - 1) + [0] * 500 + [1])
    values = 1.0 - arms
    assert compare(arms[:-1], values[:-1], (0.0, 1.0), "mixture").difference is None
    enough = compare(arms, values, (0.0, 1.0), "mixture")
    assert (enough.difference, enough.known) == (-1.0, (len(arms), False))


@pytest.mark.parametrize("method", ["mixture", "pairs"])
@pytest.mark.parametrize("split", [0.5, 0.1])
def test_a_difference_that_is_not_there_is_hardly_ever_seen(method, split):
    rng = np.random.default_rng(11)
    found = [compare(*outcomes(0.8, 0.8, 600, split, rng), (0.0, 1.0), method).known for _ in range(150)]
    assert sum(each is not None for each in found) <= 6  # 4 in 100 at most, of 150


@pytest.mark.parametrize("method", ["mixture", "pairs"])
def test_a_difference_that_is_there_is_seen_and_its_direction(method):
    rng = np.random.default_rng(12)
    found = [compare(*outcomes(0.9, 0.75, 900, 0.5, rng), (0.0, 1.0), method).known for _ in range(40)]
    assert [each for each in found if each is not None and each[1]] == []
    assert sum(each is not None for each in found) >= 36


def test_what_was_known_stays_known_and_the_interval_only_narrows():
    rng = np.random.default_rng(13)
    arms, values = outcomes(0.9, 0.7, 600, 0.5, rng)
    looks = [compare(arms[:size], values[:size], (0.0, 1.0), "mixture") for size in range(100, 601, 20)]
    known = [each.known for each in looks if each.known is not None]
    assert known
    assert set(known) == {known[0]}
    assert [each.low for each in looks] == sorted(each.low for each in looks)
    assert [each.high for each in looks] == sorted((each.high for each in looks), reverse=True)


def test_outcomes_that_are_large_numbers_are_compared_by_what_differs():
    rng = np.random.default_rng(14)
    arms = np.arange(400) % 2
    small = rng.normal(0, 1, 400) + 0.8 * arms
    near, far = (compare(arms, small + shift, None, "mixture") for shift in (0, 1e9))
    assert near.known is not None
    assert far.known == near.known
    assert far.low == pytest.approx(near.low, rel=1e-4)


def test_a_bet_knows_only_what_came_before_it():
    # a pair in which b wins: z = 1. The first bet is on nothing; the mean is then (.5 + 1) / 2 = .75, the spread
    # (.25 + .0625) / 2 = .15625; the second bet is .25 / (.15625 + .0625) = 1.142857, cut at 1: 1 + 1 x .5
    up, down, after = bets(np.array([0, 1, 1, 0]), np.array([0.0, 1.0, 1.0, 0.0]), 0.0, 1.0)
    assert up.tolist() == pytest.approx([0, math.log(1.5)])
    assert down.tolist() == [0, 0]
    assert after.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("counts", "split", "is_lopsided"),
    [((500, 500), 0.5, False), ((540, 460), 0.5, False), ((600, 400), 0.5, True), ((900, 100), 0.1, False),
     ((850, 150), 0.1, True), ((0, 0), 0.5, False), ((40, 0), 0.5, True), ((3, 0), 0.5, False)],
)  # fmt: skip
def test_arms_that_are_not_as_set_are_noticed(counts, split, is_lopsided):
    assert (ratio_evidence(*counts, split) > 1 / RATIO_ALPHA) == is_lopsided


def test_evidence_about_the_split_is_a_ratio_worked_out_by_hand():
    # 2 of a and none of b: over all splits 2! 0! / 3! = 1/3, by the one that was set 1/4
    assert ratio_evidence(2, 0, 0.5) == pytest.approx(4 / 3)


@pytest.mark.parametrize("split", [0.5, 0.2])
def test_as_many_tests_have_seen_it_as_was_said_before(split):
    said = plan(0.9, -0.15, split=split)
    rng = np.random.default_rng(15)
    size, times = 2 * said.outcomes, 300
    found = [compare(*outcomes(0.9, 0.75, size, split, rng), (0.0, 1.0), "mixture").known for _ in range(times)]
    when = np.array([np.inf if each is None else each[0] for each in found])
    assert np.mean(when <= said.outcomes) == pytest.approx(0.8, abs=0.07)  # three standard errors
    assert np.mean(when <= said.median) == pytest.approx(0.5, abs=0.09)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.8, 0), {}, "effect must be a difference that matters"),
        ((0.98, 0.05), {}, "must lie between 0 and 1"),
        ((0.5, -0.5), {}, "leave nothing to chance"),
        ((float("nan"), 0.1), {}, "baseline must be a finite number"),
        ((3, 1), {"bounds": (0, 10)}, "need sd"),
        ((3, 1), {"bounds": None, "sd": -1}, "sd, the standard deviation of outcomes, must be positive"),
    ],
)
def test_an_estimate_of_what_cannot_be_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plan(*arguments, **options)


def test_days_follow_from_how_many_units_there_are():
    said = plan(3, 0.5, sd=2, bounds=None, a_day=50)
    assert said.days == said.outcomes / 50
    assert plan(0.9, -0.1).days is None
