"""The kinds of rules by their names; parts of other branches add theirs."""

from collections.abc import Callable, Mapping
from typing import Any

from tc_core import settings
from tc_core.alerts.kinds import calls, windows
from tc_core.alerts.kinds.calls import PartFigure
from tc_core.alerts.rules import Condition
from tc_core.errors import ConfigurationError
from tc_core.store.sql import SqlStore

Kind = Callable[[settings.AlertRule, SqlStore], Condition]

KINDS: Mapping[str, Kind] = {
    "burn_rate": windows.BurnRate,
    "cost": calls.Cost,
    "cost_spike": calls.CostSpike,
    "context": calls.ContextUse,
    "errors": windows.ErrorRate,
    "latency": windows.Latency,
    "new_model": calls.NewModel,
    "new_price": calls.NewPrice,
    "no_data": windows.NoData,
    "unpriced": windows.Unpriced,
}


def make(said: settings.AlertRule, store: SqlStore, of_parts: Mapping[str, Any]) -> Condition:
    """Return the condition that a rule of the settings means; raise ConfigurationError, which names what is wrong."""
    kind = KINDS.get(said.type)
    if kind is not None:
        return kind(said, store)
    if said.type in of_parts:
        return PartFigure(said, store, of_parts[said.type])
    known = ", ".join(sorted({*KINDS, *of_parts}))
    raise ConfigurationError(f"alert rule {said.name!r}: there is no type {said.type!r}, known are {known}")
