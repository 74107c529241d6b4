"""What an A/B test says, in words."""

from typing import TYPE_CHECKING

from tc_core.selection.sequences import LEAST

if TYPE_CHECKING:
    from tc_core.selection.ab_results import ABTestResults

ABOUT_THE_SAME = 1.05
"""Costs within so many times of each other."""


def verdict(found: "ABTestResults", *, are_shares: bool) -> str:
    """Say what is known, and what to do; `are_shares` says that outcomes lie between 0 and 1."""
    a, b = found.a, found.b
    if found.is_lopsided:
        return _lopsided(found)
    if not a.assigned and not b.assigned:
        return f"No {found.unit} was assigned {_ending(found, 'yet.', 'while it ran.')}"
    if found.difference is None or found.low is None or found.high is None:
        counts = f"{a.outcomes:,} outcomes of {a.model} and {b.outcomes:,} of {b.model}"
        return f"{counts}: nothing is said under {LEAST} each{_ending(found, '.', ', and the test is over.')}"
    if found.winner == b.model:
        return _better(found, b.model, a.model, (found.difference, found.low, found.high), are_shares=are_shares)
    if found.winner is not None:
        turned = (-found.difference, -found.high, -found.low)
        return _better(found, a.model, b.model, turned, are_shares=are_shares)
    low, high = (_points(each, are_shares=are_shares) for each in (found.low, found.high))
    said = f"{b.model} against {a.model} lies between {low} and {high}{' points' if are_shares else ''}"
    most = _size(max(abs(found.low), abs(found.high)), are_shares=are_shares)
    over = f"No difference is known: {said}, so neither is better by more than {most}.{_money(found)}"
    return _ending(found, f"Not known yet: {said}. Go on.", over)


def _better(
    found: "ABTestResults", better: str, other: str, by: tuple[float, float, float], *, are_shares: bool
) -> str:
    difference, low, high = by
    said, since = f"{better} is better than {other}", f"known since outcome {found.known_after:,}"
    if not low <= difference <= high:  # which chance alone does not do
        return f"{said}: {since}, but later ones are not like those before. Look for what has changed."
    span = " to ".join(_points(each, are_shares=are_shares) for each in (low, high))
    return f"{said} by {_size(difference, are_shares=are_shares)} ({span}), {since}.{_money(found)}"


def _ending(found: "ABTestResults", running: str, over: str) -> str:
    return running if found.state == "running" else over


def _lopsided(found: "ABTestResults") -> str:
    a, b = found.a, found.b
    counts = (
        f"{a.outcomes} of {a.assigned} units of {a.model} and {b.outcomes} of {b.assigned} of {b.model} have outcomes"
    )
    set_to = f"{round(100 * (1 - found.split), 1):g}:{round(100 * found.split, 1):g}"
    return f"Not to be trusted: {counts}, which a split of {set_to} does not give. Find out which are lost, and why."


def _money(found: "ABTestResults") -> str:
    cost_a, cost_b, per = found.a.cost_per_completed, found.b.cost_per_completed, "each success"
    if not cost_a or not cost_b:
        cost_a, cost_b, per = found.a.cost_per_unit, found.b.cost_per_unit, f"each {found.unit}"
    if not cost_a or not cost_b:
        return ""
    cheaper, dearer = (found.b, found.a) if cost_b <= cost_a else (found.a, found.b)
    times = max(cost_a, cost_b) / min(cost_a, cost_b)
    if times < ABOUT_THE_SAME:
        return f" Both cost about the same for {per}."
    said = f"{times:.0f} times" if times >= 10 else f"{times:.1f} times"
    return f" {dearer.model} costs {said} what {cheaper.model} does for {per}."


def _points(value: float, *, are_shares: bool) -> str:
    return f"{100 * value:+.1f}" if are_shares else f"{value:+.3g}"


def _size(value: float, *, are_shares: bool) -> str:
    return f"{100 * value:.1f} points" if are_shares else f"{value:.3g}"
