"""What outcomes prove: the interval holds however often one looks, and before it nothing is routed beyond the floor."""

from math import inf
from random import Random

import pytest

from tc_core.selection.policies.evidence import LEAST, Counts, interval, is_not_worse, is_worse, share
from tc_core.selection.policies.route import place

FLOOR, MARGIN = 0.1, 0.05


def test_nothing_is_said_of_few():
    assert interval(Counts(29, 29), Counts(1000, 1000)) == (-inf, inf)
    assert not is_not_worse(1000, 1000, LEAST - 1, LEAST - 1, MARGIN)
    assert share(Counts(1000, 1000), Counts(29, 29), floor=FLOOR, margin=MARGIN) == FLOOR


def test_the_interval_is_that_of_the_formula():
    # By hand, for 180 of 200 against 160 of 200:
    # variances (s - s*s/n + .25) / n are .09125 and .16125, of both .128125;
    # e2 = max(.09125/200 + .16125/200, .128125 * .01) = .00128125; n = 200;
    # rho2 = (5.991465 + ln 6.991465) / 250 = .031745, n rho2 + 1 = 7.349;
    # half = sqrt(.00128125 * 7.349 / 6.349 * ln(7.349 / .0025)) = .10882
    low, high = interval(Counts(180, 200), Counts(160, 200))
    assert (low, high) == pytest.approx((-0.1 - 0.10882, -0.1 + 0.10882), abs=2e-5)


def test_both_ways_are_told():
    assert is_not_worse(900, 1000, 910, 1000, MARGIN)
    assert not is_worse(900, 1000, 910, 1000, MARGIN)
    assert is_worse(900, 1000, 700, 1000, MARGIN)
    assert not is_not_worse(900, 1000, 700, 1000, MARGIN)
    # proven worse, but proven too that it is by no more than the margin: that is what the margin allows
    assert interval(Counts(90_000, 100_000), Counts(89_000, 100_000))[1] < 0
    assert not is_worse(90_000, 100_000, 89_000, 100_000, MARGIN)


def test_what_is_proven_is_routed_more_and_some_is_always_kept():
    kept, routed = Counts(900, 1000), Counts(905, 1000)
    assert share(kept, routed, floor=FLOOR, margin=MARGIN) == 0.95
    assert share(kept, routed, floor=FLOOR, margin=MARGIN) == share(kept, routed, floor=FLOOR, margin=MARGIN)


def simulated(random, rate_kept, rate_routed, *, runs, every=25):
    """Route runs as a policy does, with a look every few; tell what was found, and after how many outcomes."""
    counts, now, salt = [[0, 0], [0, 0]], FLOOR, f"{random.getrandbits(128):032x}"
    for number in range(1, runs + 1):
        arm = int(place(salt, str(number)) < now)
        counts[arm][1] += 1
        counts[arm][0] += random.random() < (rate_routed if arm else rate_kept)
        if number % every == 0:
            kept, routed = (Counts(*each) for each in counts)
            if is_worse(*kept, *routed, MARGIN):
                return "worse", number
            now = share(kept, routed, floor=FLOOR, margin=MARGIN)
            if now > FLOOR:
                return "proven", number
    return "open", runs


def found(rate_kept, rate_routed, *, times, runs):
    random = Random(18)
    return [simulated(random, rate_kept, rate_routed, runs=runs)[0] for _ in range(times)]


@pytest.mark.slow
def test_what_is_worse_by_the_margin_is_hardly_ever_taken_for_not_worse():
    # worse by the margin exactly: each "proven" is an error, of which there may be 2.5 % (one side of 5 %)
    assert found(0.8, 0.75, times=400, runs=1500).count("proven") <= 10


@pytest.mark.slow
def test_what_is_the_same_is_hardly_ever_taken_back():
    assert found(0.8, 0.8, times=400, runs=1500).count("worse") <= 10


def test_what_is_much_worse_is_taken_back():
    assert found(0.9, 0.4, times=20, runs=3000).count("worse") >= 19


def test_the_share_of_runs_is_that_of_the_floor():
    salt = "00" * 16
    routed = sum(place(salt, f"run {number}") < FLOOR for number in range(10_000))
    assert 900 <= routed <= 1100  # 10 % of 10,000, and three standard deviations of 30
