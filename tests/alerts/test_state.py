"""What becomes of a rule when its condition holds, or does not: worked out by hand, second by second."""

import pytest

from tc_core.alerts.state import State, Terms, is_over, turn

SECOND = 1_000_000


def outcomes(terms, *seen):
    """Return what is done at each second of (second, is_on)."""
    state, found = State(), []
    for second, is_on in seen:
        state, outcome = turn(state, terms, second * SECOND, is_on=is_on)
        found.append(outcome)
    return found


LEVEL, REPEATS = Terms(300 * SECOND, repeats=False), Terms(300 * SECOND, repeats=True)


@pytest.mark.parametrize(
    ("terms", "seen", "expected"),
    [
        (LEVEL, [(0, True), (1, True), (400, True)], ["fire", None, None]),
        (REPEATS, [(0, True), (1, True), (299, True), (300, True)], ["fire", None, None, "fire"]),
        (
            LEVEL,
            [(0, True), (10, False), (20, True), (30, False), (310, True)],
            ["fire", "resolve", None, None, "fire"],
        ),
        (LEVEL, [(0, True), (10, False), (20, True), (300, True)], ["fire", "resolve", None, "fire"]),
        (REPEATS._replace(is_acknowledged=True), [(0, True), (900, True)], ["fire", None]),
        (LEVEL._replace(is_silenced=True), [(0, True), (5, False)], [None, None]),
        (LEVEL._replace(cooldown_us=0), [(0, True), (0, False), (0, True)], ["fire", "resolve", "fire"]),
        (LEVEL, [(0, False), (1, False)], [None, None]),
    ],
    ids=[
        "a level is told once",
        "an event again after the cooldown",
        "flapping within the cooldown is not told",
        "what began within the cooldown is told after it",
        "what somebody has seen is not told again",
        "what is silenced is not told, nor its end",
        "without a cooldown each time",
        "nothing comes of nothing",
    ],
)
def test_what_is_told(terms, seen, expected):
    assert outcomes(terms, *seen) == expected


def test_what_was_silenced_is_told_once_the_silence_is_over():
    state, outcome = turn(State(), LEVEL._replace(is_silenced=True), 0, is_on=True)
    assert outcome is None
    assert turn(state, LEVEL, SECOND, is_on=True)[1] == "fire"


def test_a_state_changes_its_version_only_where_something_changes():
    state, _ = turn(State(), LEVEL, 0, is_on=True)
    assert (state.version, turn(state, LEVEL, 1, is_on=True)[0]) == (1, state)


@pytest.mark.parametrize(
    ("value", "is_firing", "expected"),
    [(0.79, False, False), (0.8, False, True), (0.75, True, True), (0.7201, True, True), (0.71, True, False)],
)
def test_a_figure_must_fall_clearly_below_its_threshold_before_it_is_over(value, is_firing, expected):
    assert is_over(value, 0.8, 0.1, is_firing=is_firing) is expected
