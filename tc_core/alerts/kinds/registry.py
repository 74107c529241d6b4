"""The kinds of rules by their names; parts of other branches add theirs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tc_core import settings
from tc_core.alerts.kinds import budgets, calls, foresight, windows
from tc_core.alerts.kinds.calls import PartFigure
from tc_core.alerts.kinds.conversations import THRESHOLDS, Conversation
from tc_core.alerts.kinds.waste import Waste
from tc_core.alerts.rules import Condition
from tc_core.errors import ConfigurationError
from tc_core.store.sql import SqlStore

Kind = Callable[[settings.AlertRule, SqlStore], Condition]

KINDS: Mapping[str, Kind] = {
    "anomaly": foresight.Anomalies,
    "budget": budgets.BudgetShare,
    "burn_rate": windows.BurnRate,
    "cache_break": partial(Waste, "cache_break"),
    "cost": calls.Cost,
    "cost_spike": calls.CostSpike,
    "context": calls.ContextUse,
    "duplicate": partial(Waste, "duplicate"),
    "errors": windows.ErrorRate,
    "forecast": budgets.BudgetForecast,
    "latency": windows.Latency,
    "loop": partial(Waste, "agent_loop"),
    "monthly_forecast": foresight.MonthlyForecast,
    "new_model": calls.NewModel,
    "new_price": calls.NewPrice,
    "no_data": windows.NoData,
    "retry_storm": partial(Waste, "retry_storm"),
    "unpriced": windows.Unpriced,
    **dict.fromkeys(THRESHOLDS, Conversation),
}

_SHARES = dict.fromkeys(("context", "errors", "repetition", "injection_risk"), 1)
MOST: Mapping[str, int] = {**_SHARES, "context_usage": 100, "context_rot": 100}
"""What the figure of a type is at most: a threshold above that would never be reached."""


_OF_BUDGETS = frozenset({"budget", "forecast"})
_MOST_SHARE = 10
"""Ten times a budget: more is taken for a percentage."""


def make(said: settings.AlertRule, store: SqlStore, of_parts: Mapping[str, Any]) -> Condition:
    """Return the condition that a rule of the settings means; raise ConfigurationError, which names what is wrong."""
    most = MOST.get(said.type)
    if most is not None and said.threshold is not None and said.threshold > most:
        raise ConfigurationError(
            f"alert rule {said.name!r}: threshold of {said.type!r} must be at most {most}, not {said.threshold:g}"
        )
    if said.type in _OF_BUDGETS and (said.threshold or 0) > _MOST_SHARE:
        raise ConfigurationError(
            f"alert rule {said.name!r}: threshold of {said.type!r} is a share of the budget, such as 0.8 for 80 %, not "
            f"{said.threshold:g}"
        )
    kind = KINDS.get(said.type)
    if kind is None and said.type in of_parts:
        kind = partial(PartFigure, figure=of_parts[said.type])
    if kind is not None:
        made = kind(said, store)
        _check_used(said, made)
        return made
    known = ", ".join(sorted({*KINDS, *of_parts}))
    raise ConfigurationError(f"alert rule {said.name!r}: there is no type {said.type!r}, known are {known}")


def _check_used(said: settings.AlertRule, made: Condition) -> None:
    """Raise ConfigurationError for what a rule says and its type has no use for."""
    if said.window is not None and not getattr(made, "has_window", True):
        raise ConfigurationError(
            f"alert rule {said.name!r}: {said.type!r} has no window, which is {said.window!r}: leave it out"
        )
    if said.budget is not None and said.type not in _OF_BUDGETS:
        raise ConfigurationError(
            f"alert rule {said.name!r}: {said.type!r} is about no budget, which is {said.budget!r}: leave it out, or "
            "use the type 'budget' or 'forecast'"
        )
    if said.filters and said.type in _OF_BUDGETS:
        raise ConfigurationError(
            f"alert rule {said.name!r}: {said.type!r} takes the filters of the budget: leave its own out, and name the "
            "budget (budget: NAME)"
        )
