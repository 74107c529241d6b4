"""The guard: what makes a policy wrong before it is applied, and what takes it back by itself afterwards."""

from collections.abc import Collection

from tc_core.errors import PolicyError
from tc_core.meter import prices
from tc_core.model.clock import clock
from tc_core.model.usage import Usage
from tc_core.selection.policies.evidence import Counts, is_worse
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.sql import Arms

IN_A_ROW = 5
"""So many calls that fail one after the other end a policy at once."""
ERRORS_MARGIN = 0.01


def check_model(policy: Policy) -> None:
    """Raise PolicyError for a model that calls cannot be routed to: without a price, or of another maker."""
    model, to = policy.model or "", policy.to or ""
    now_us = clock.wall_ns() // 1000
    if prices.price_of(Usage(1, 1), to, at_us=now_us) is None:
        raise PolicyError(
            f"policy {policy.name!r} cannot route to {to!r}: the model has no price, so nobody would know what it "
            "costs. Give it one in a price file of your own (docs/prices.md)"
        )
    makers = [None if found is None else found[0] for found in (prices.look_up(each, None) for each in (model, to))]
    if None not in makers and makers[0] != makers[1]:
        raise PolicyError(
            f"policy {policy.name!r} cannot route {model!r} to {to!r}: they are of {makers[0]} and {makers[1]}, and a "
            "client talks to one of them alone. Name a model of the same maker"
        )


def verdict(policy: Policy, outcomes: tuple[Counts, Counts], arms: Arms) -> str | None:
    """Return why a policy is to be taken back, from what came of the calls under it; None where nothing says so."""
    kept, routed = outcomes
    margin = policy.margin or 0.05
    if is_worse(*kept, *routed, margin):
        return (
            f"outcomes got worse: {_rate(routed)} of {routed.trials:,} routed runs succeeded, and {_rate(kept)} of the "
            f"{kept.trials:,} kept as they were"
        )
    of_kept, of_routed = (Counts(each.calls - each.errors, each.calls) for each in arms)
    if is_worse(*of_kept, *of_routed, ERRORS_MARGIN):
        return (
            f"errors got more: {_failed(of_routed)} of {of_routed.trials:,} routed calls failed, and "
            f"{_failed(of_kept)} of the {of_kept.trials:,} kept as they were"
        )
    return None


def in_a_row(failures: Collection[bool]) -> str | None:
    """Return why a policy is to be taken back at once: its latest calls, so many as IN_A_ROW, have all failed."""
    if len(failures) >= IN_A_ROW and all(failures):
        return f"the last {IN_A_ROW} calls under it failed one after the other"
    return None


def _rate(counts: Counts) -> str:
    return f"{(counts.rate or 0):.0%}".replace("%", " %")


def _failed(counts: Counts) -> str:
    return _rate(Counts(counts.trials - counts.successes, counts.trials))
