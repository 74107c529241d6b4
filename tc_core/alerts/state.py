"""What becomes of a rule for one key when its condition holds, or does not: nothing here knows a store."""

from typing import Literal, NamedTuple

Outcome = Literal["fire", "resolve"] | None


class State(NamedTuple):
    """How a rule stands for one key. `told_us` is when it last told somebody; `is_told` whether it did of this time."""

    version: int = 0
    is_firing: bool = False
    is_told: bool = False
    since_us: int | None = None
    told_us: int | None = None
    alert: int | None = None
    """The key of the alert that it told."""


class Terms(NamedTuple):
    """What holds for a rule at this moment."""

    cooldown_us: int
    repeats: bool
    is_silenced: bool = False
    is_acknowledged: bool = False


def turn(state: State, terms: Terms, now_us: int, *, is_on: bool) -> tuple[State, Outcome]:
    """Return how a rule stands once its condition was asked, and what is to be done; the same state where nothing is.

    >>> turn(State(), Terms(300, repeats=False), 1_000, is_on=True)[1]
    'fire'
    """
    if not is_on:
        if not state.is_firing:
            return state, None
        over = state._replace(version=state.version + 1, is_firing=False, is_told=False, since_us=None)
        return over, "resolve" if state.is_told else None
    firing = state if state.is_firing else state._replace(is_firing=True, is_told=False, since_us=now_us)
    is_cool = state.told_us is None or now_us - state.told_us >= terms.cooldown_us
    is_due = not firing.is_told or (terms.repeats and not terms.is_acknowledged)
    if is_due and is_cool and not terms.is_silenced:
        return firing._replace(version=state.version + 1, is_told=True, told_us=now_us), "fire"
    return (state if firing is state else firing._replace(version=state.version + 1)), None


def is_over(value: float, threshold: float, hysteresis: float, *, is_firing: bool) -> bool:
    """Tell whether a figure is over a threshold; one that is stays so until it is clearly below.

    >>> [is_over(value, 1.0, 0.1, is_firing=True) for value in (0.95, 0.85)]
    [True, False]
    """
    return value >= threshold * (1 - hysteresis if is_firing else 1)
