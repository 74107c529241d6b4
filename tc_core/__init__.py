"""Token Calculator: where did the tokens and the money go?

>>> import tc_core
>>> tc_core.instrument()  # every installed framework, from now on

Names are resolved when they are first used, so that `import tc_core` costs nothing that is not needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tc_core.version import __version__

if TYPE_CHECKING:
    from tc_core.alerts.manager import AlertManager
    from tc_core.alerts.rules import Alert, AlertRule
    from tc_core.budgets.reservation import Reservation
    from tc_core.budgets.status import BudgetStatus
    from tc_core.budgets.tracker import BudgetChange, BudgetTracker
    from tc_core.costs.anomalies.anomaly import Anomaly
    from tc_core.costs.anomalies.watch import AnomalyWatch
    from tc_core.costs.forecasts.forecast import Backtest, Forecast, MonthlyForecast
    from tc_core.costs.forecasts.forecaster import CostForecaster
    from tc_core.costs.report import CostGroup, CostReport
    from tc_core.costs.scenarios import Scenario, ScenarioGroup, ScenarioResult
    from tc_core.costs.tracker import CostTracker, RepriceReport
    from tc_core.errors import (
        BudgetExceededError,
        ConfigurationError,
        CycleError,
        LineageError,
        PriceNotFoundError,
        ProvenanceError,
        StorageError,
        TokenCalculatorError,
    )
    from tc_core.http import async_tracking_client, tracking_client
    from tc_core.ledger.content import Content, ContentPart, redact_content
    from tc_core.ledger.waterfall import Waterfall, WaterfallChange, WaterfallRow
    from tc_core.lineage.analyzer import ProvenanceAnalyzer
    from tc_core.lineage.attribution import Attribution
    from tc_core.lineage.manager import TokenManager, TokenProvenance
    from tc_core.lineage.patterns.limits import PatternLimits
    from tc_core.lineage.patterns.pattern import Pattern
    from tc_core.lineage.waste import Waste
    from tc_core.meter.messages import count_messages
    from tc_core.meter.prices import calculate_cost
    from tc_core.meter.prompt import analyze_prompt
    from tc_core.meter.tokens import count_tokens
    from tc_core.model.event import TrackingEvent
    from tc_core.model.provenance import ProvenanceRelationship
    from tc_core.model.recommendation import Recommendation
    from tc_core.model.run import Run
    from tc_core.model.usage import Usage
    from tc_core.record.context import bind_context, labels, session
    from tc_core.runtime.by_hand import CostRecord
    from tc_core.runtime.instrument import instrument, uninstrument
    from tc_core.runtime.recorders import add_listener, flush, remove_listener
    from tc_core.runtime.store_keeper import StoreKeeper
    from tc_core.runtime.workflow import workflow
    from tc_core.store.base import StorageBackend
    from tc_core.store.storages import InMemoryStorage, PostgreSQLStorage, SQLiteStorage, create_storage

_HOMES = {
    "Alert": "alerts.rules",
    "AlertManager": "alerts.manager",
    "AlertRule": "alerts.rules",
    "Anomaly": "costs.anomalies.anomaly",
    "AnomalyWatch": "costs.anomalies.watch",
    "Backtest": "costs.forecasts.forecast",
    "CostForecaster": "costs.forecasts.forecaster",
    "Forecast": "costs.forecasts.forecast",
    "MonthlyForecast": "costs.forecasts.forecast",
    "Scenario": "costs.scenarios",
    "ScenarioGroup": "costs.scenarios",
    "ScenarioResult": "costs.scenarios",
    "BudgetChange": "budgets.tracker",
    "BudgetExceededError": "errors",
    "BudgetStatus": "budgets.status",
    "BudgetTracker": "budgets.tracker",
    "Reservation": "budgets.reservation",
    "CostGroup": "costs.report",
    "CostReport": "costs.report",
    "ConfigurationError": "errors",
    "CycleError": "errors",
    "LineageError": "errors",
    "PriceNotFoundError": "errors",
    "StorageError": "errors",
    "TokenCalculatorError": "errors",
    "async_tracking_client": "http",
    "tracking_client": "http",
    "analyze_prompt": "meter.prompt",
    "calculate_cost": "meter.prices",
    "count_messages": "meter.messages",
    "count_tokens": "meter.tokens",
    "TrackingEvent": "model.event",
    "ProvenanceRelationship": "model.provenance",
    "Run": "model.run",
    "Usage": "model.usage",
    "bind_context": "record.context",
    "labels": "record.context",
    "session": "record.context",
    "instrument": "runtime.instrument",
    "uninstrument": "runtime.instrument",
    "add_listener": "runtime.recorders",
    "flush": "runtime.recorders",
    "remove_listener": "runtime.recorders",
    "workflow": "runtime.workflow",
    "StorageBackend": "store.base",
    "Content": "ledger.content",
    "ContentPart": "ledger.content",
    "redact_content": "ledger.content",
    "Waterfall": "ledger.waterfall",
    "WaterfallChange": "ledger.waterfall",
    "WaterfallRow": "ledger.waterfall",
    "InMemoryStorage": "store.storages",
    "PostgreSQLStorage": "store.storages",
    "SQLiteStorage": "store.storages",
    "create_storage": "store.storages",
    "CostRecord": "runtime.by_hand",
    "CostTracker": "costs.tracker",
    "Attribution": "lineage.attribution",
    "Pattern": "lineage.patterns.pattern",
    "PatternLimits": "lineage.patterns.limits",
    "ProvenanceAnalyzer": "lineage.analyzer",
    "Recommendation": "model.recommendation",
    "Waste": "lineage.waste",
    "TokenManager": "lineage.manager",
    "TokenProvenance": "lineage.manager",
    "ProvenanceError": "errors",
    "RepriceReport": "costs.tracker",
    "StoreKeeper": "runtime.store_keeper",
}

__all__ = [
    "Alert",
    "AlertManager",
    "AlertRule",
    "Anomaly",
    "AnomalyWatch",
    "Attribution",
    "Backtest",
    "BudgetChange",
    "BudgetExceededError",
    "BudgetStatus",
    "BudgetTracker",
    "ConfigurationError",
    "Content",
    "ContentPart",
    "CostForecaster",
    "CostGroup",
    "CostRecord",
    "CostReport",
    "CostTracker",
    "CycleError",
    "Forecast",
    "InMemoryStorage",
    "LineageError",
    "MonthlyForecast",
    "Pattern",
    "PatternLimits",
    "PostgreSQLStorage",
    "PriceNotFoundError",
    "ProvenanceAnalyzer",
    "ProvenanceError",
    "ProvenanceRelationship",
    "Recommendation",
    "RepriceReport",
    "Reservation",
    "Run",
    "SQLiteStorage",
    "Scenario",
    "ScenarioGroup",
    "ScenarioResult",
    "StorageBackend",
    "StorageError",
    "StoreKeeper",
    "TokenCalculatorError",
    "TokenManager",
    "TokenProvenance",
    "TrackingEvent",
    "Usage",
    "Waste",
    "Waterfall",
    "WaterfallChange",
    "WaterfallRow",
    "__version__",
    "add_listener",
    "analyze_prompt",
    "async_tracking_client",
    "bind_context",
    "calculate_cost",
    "count_messages",
    "count_tokens",
    "create_storage",
    "flush",
    "instrument",
    "labels",
    "redact_content",
    "remove_listener",
    "session",
    "tracking_client",
    "uninstrument",
    "workflow",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home.startswith("store."):
        import_module("tc_core.runtime.recorders")  # ties stores to the recorder, so that they see what is recorded
    value = getattr(import_module(f"tc_core.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
