"""The guard: what makes a policy wrong before it is applied, and what takes it back by itself afterwards."""

from tc_core.errors import PolicyError
from tc_core.meter import prices
from tc_core.model.clock import clock
from tc_core.model.ports import AggregateReader
from tc_core.model.usage import Usage
from tc_core.selection.policies.evidence import Counts, is_worse
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.sql import Arms

IN_A_ROW = 5
"""So many calls that fail one after the other end a policy at once."""
MARGIN = 0.05
"""By how much fewer runs may come out well under a policy that does not say it itself."""
ERRORS_MARGIN = 0.01


def check_names(reader: AggregateReader, policy: Policy) -> None:
    """Raise PolicyError for a model that has no price and of which no call is recorded: it may be a slip of the pen."""
    from tc_core.costs.named_models import why_unknown  # the whole table of prices, for those who set up a policy

    for model in filter(None, (policy.model, policy.to)):
        said = why_unknown(reader, model)
        if said is not None:
            raise PolicyError(
                f"policy {policy.name!r}: {said}. Record a call of it first, or give it a price of your "
                "own (docs/prices.md)"
            )


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


def check_prices(policy: Policy) -> None:
    """Raise PolicyError for a model that costs more for input and output alike: that needs no call to be seen."""
    now_us = clock.wall_ns() // 1000
    for tokens in (Usage(1_000_000, 0), Usage(0, 1_000_000)):
        old, new = (prices.price_of(tokens, each or "", at_us=now_us) for each in (policy.model, policy.to))
        if old is None or new is None or new.cost_nanos <= old.cost_nanos:
            return
    raise PolicyError(
        f"policy {policy.name!r} would save nothing: {policy.to!r} costs more than {policy.model!r}, for input and for "
        "output. Name a cheaper model"
    )


def verdict(margin: float, outcomes: tuple[Counts, Counts], words: tuple[str, str]) -> str | None:
    """Return why a policy is to be taken back, from how runs came out: without it, and with it; None for no reason.

    `words` say which runs these are.
    """
    without, under = outcomes
    if not is_worse(*without, *under, margin):
        return None
    return (
        f"outcomes got worse: {_rate(under)} of {under.trials:,} runs {words[1]} succeeded, and "
        f"{_rate(without)} of the {without.trials:,} {words[0]}"
    )


def verdict_of_errors(arms: Arms) -> str | None:
    """Return why a policy is to be taken back, from which calls failed; None for no reason."""
    kept, acted = (Counts(each.calls - each.errors, each.calls) for each in arms)
    if not is_worse(*kept, *acted, ERRORS_MARGIN):
        return None
    return (
        f"errors got more: {_failed(acted)} of {acted.trials:,} calls that it changed failed, and "
        f"{_failed(kept)} of the {kept.trials:,} that it kept"
    )


class Failures:
    """The latest calls under a policy: those that fail one after the other end it, unless others fail as well."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._others_fail = False

    def ended(self, arm: int, *, has_failed: bool) -> str | None:
        """Take note of a call; return why the policy is to be taken back at once, or None."""
        if not arm:
            self._others_fail = has_failed
            return None
        self._in_a_row = self._in_a_row + 1 if has_failed else 0
        if self._in_a_row < IN_A_ROW or self._others_fail:
            return None
        return f"the last {IN_A_ROW} calls under it failed one after the other"


def _rate(counts: Counts) -> str:
    return f"{(counts.rate or 0):.0%}".replace("%", " %")


def _failed(counts: Counts) -> str:
    return _rate(Counts(counts.trials - counts.successes, counts.trials))
