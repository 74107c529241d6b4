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
from tc_core.budgets.budget import check_exact
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


def make(said: settings.AlertRule, store: SqlStore, of_parts: Mapping[str, Any]) -> Condition:
    """Return the condition that a rule of the settings means; raise ConfigurationError, which names what is wrong."""
    for name, value in said.filters.items():
        check_exact(f"alert rule {said.name!r}", name, [value])
    most = MOST.get(said.type)
    if most is not None and said.threshold is not None and said.threshold > most:
        raise ConfigurationError(
            f"alert rule {said.name!r}: threshold of {said.type!r} must be at most {most}, not {said.threshold:g}"
        )
    kind = KINDS.get(said.type)
    if kind is not None:
        return kind(said, store)
    if said.type in of_parts:
        return PartFigure(said, store, of_parts[said.type])
    known = ", ".join(sorted({*KINDS, *of_parts}))
    raise ConfigurationError(f"alert rule {said.name!r}: there is no type {said.type!r}, known are {known}")
