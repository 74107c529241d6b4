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
    from tc_core.costs.compare import Comparison, GroupChange
    from tc_core.costs.drivers import Driver
    from tc_core.costs.forecasts.forecast import Backtest, Forecast, MonthlyForecast
    from tc_core.costs.forecasts.forecaster import CostForecaster
    from tc_core.costs.percentiles import Percentiles
    from tc_core.costs.report import CostGroup, CostReport
    from tc_core.costs.scenarios import Scenario, ScenarioGroup, ScenarioResult
    from tc_core.costs.tracker import CostTracker, RepriceReport
    from tc_core.costs.units import CostPer
    from tc_core.errors import (
        ABTestError,
        AgentLoopError,
        BudgetExceededError,
        ConfigurationError,
        CycleError,
        LineageError,
        PolicyError,
        PriceNotFoundError,
        ProvenanceError,
        StorageError,
        TokenCalculatorError,
    )
    from tc_core.health.compress.compressed import CacheBreak, Compressed
    from tc_core.health.messages import Message, ToolCall
    from tc_core.health.monitor import ConversationMonitor, TrendPoint
    from tc_core.health.similarity import Similarity
    from tc_core.health.status import HealthStatus, HealthThresholds
    from tc_core.http import async_tracking_client, tracking_client
    from tc_core.ledger.content import Content, ContentPart, redact_content
    from tc_core.ledger.waterfall import Waterfall, WaterfallChange, WaterfallRow
    from tc_core.lineage.agents import AgentPerformance
    from tc_core.lineage.analyzer import ProvenanceAnalyzer
    from tc_core.lineage.attribution import Attribution
    from tc_core.lineage.critical import Bottleneck, CriticalPath, CriticalStep
    from tc_core.lineage.graph import LineageGraph
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
    from tc_core.selection.ab_results import ABTestResults
    from tc_core.selection.ab_setup import create_ab_test, open_ab_test
    from tc_core.selection.ab_test import ABTest
    from tc_core.selection.candidate import ModelCandidate, ModelRecommendation
    from tc_core.selection.policies.dry_run import PolicyDryRun
    from tc_core.selection.policies.manager import PolicyManager
    from tc_core.selection.policies.policy import Policy
    from tc_core.selection.policies.status import PolicyChange, PolicyStatus
    from tc_core.selection.selector import ModelSelector
    from tc_core.store.base import StorageBackend
    from tc_core.store.storages import InMemoryStorage, PostgreSQLStorage, SQLiteStorage, create_storage
    from tc_core.workflows.analysis import WorkflowAnalysis
    from tc_core.workflows.optimisations import Optimization
    from tc_core.workflows.traces import continue_trace, traceparent
    from tc_core.workflows.tracker import WorkflowTracker

_HOMES = {
    "ABTest": "selection.ab_test",
    "ABTestError": "errors",
    "ABTestResults": "selection.ab_results",
    "AgentLoopError": "errors",
    "AgentPerformance": "lineage.agents",
    "Alert": "alerts.rules",
    "AlertManager": "alerts.manager",
    "AlertRule": "alerts.rules",
    "Anomaly": "costs.anomalies.anomaly",
    "AnomalyWatch": "costs.anomalies.watch",
    "Attribution": "lineage.attribution",
    "Backtest": "costs.forecasts.forecast",
    "Bottleneck": "lineage.critical",
    "BudgetChange": "budgets.tracker",
    "BudgetExceededError": "errors",
    "BudgetStatus": "budgets.status",
    "BudgetTracker": "budgets.tracker",
    "CacheBreak": "health.compress.compressed",
    "Comparison": "costs.compare",
    "Compressed": "health.compress.compressed",
    "ConfigurationError": "errors",
    "Content": "ledger.content",
    "ContentPart": "ledger.content",
    "ConversationMonitor": "health.monitor",
    "CostForecaster": "costs.forecasts.forecaster",
    "CostGroup": "costs.report",
    "CostPer": "costs.units",
    "CostRecord": "runtime.by_hand",
    "CostReport": "costs.report",
    "CostTracker": "costs.tracker",
    "CriticalPath": "lineage.critical",
    "CriticalStep": "lineage.critical",
    "CycleError": "errors",
    "Driver": "costs.drivers",
    "Forecast": "costs.forecasts.forecast",
    "GroupChange": "costs.compare",
    "HealthStatus": "health.status",
    "HealthThresholds": "health.status",
    "InMemoryStorage": "store.storages",
    "LineageError": "errors",
    "LineageGraph": "lineage.graph",
    "Message": "health.messages",
    "ModelCandidate": "selection.candidate",
    "ModelRecommendation": "selection.candidate",
    "ModelSelector": "selection.selector",
    "MonthlyForecast": "costs.forecasts.forecast",
    "Optimization": "workflows.optimisations",
    "Pattern": "lineage.patterns.pattern",
    "PatternLimits": "lineage.patterns.limits",
    "Percentiles": "costs.percentiles",
    "Policy": "selection.policies.policy",
    "PolicyChange": "selection.policies.status",
    "PolicyDryRun": "selection.policies.dry_run",
    "PolicyError": "errors",
    "PolicyManager": "selection.policies.manager",
    "PolicyStatus": "selection.policies.status",
    "PostgreSQLStorage": "store.storages",
    "PriceNotFoundError": "errors",
    "ProvenanceAnalyzer": "lineage.analyzer",
    "ProvenanceError": "errors",
    "ProvenanceRelationship": "model.provenance",
    "Recommendation": "model.recommendation",
    "RepriceReport": "costs.tracker",
    "Reservation": "budgets.reservation",
    "Run": "model.run",
    "SQLiteStorage": "store.storages",
    "Scenario": "costs.scenarios",
    "ScenarioGroup": "costs.scenarios",
    "ScenarioResult": "costs.scenarios",
    "Similarity": "health.similarity",
    "StorageBackend": "store.base",
    "StorageError": "errors",
    "StoreKeeper": "runtime.store_keeper",
    "TokenCalculatorError": "errors",
    "TokenManager": "lineage.manager",
    "TokenProvenance": "lineage.manager",
    "ToolCall": "health.messages",
    "TrackingEvent": "model.event",
    "TrendPoint": "health.monitor",
    "Usage": "model.usage",
    "Waste": "lineage.waste",
    "Waterfall": "ledger.waterfall",
    "WaterfallChange": "ledger.waterfall",
    "WaterfallRow": "ledger.waterfall",
    "WorkflowAnalysis": "workflows.analysis",
    "WorkflowTracker": "workflows.tracker",
    "add_listener": "runtime.recorders",
    "analyze_prompt": "meter.prompt",
    "async_tracking_client": "http",
    "bind_context": "record.context",
    "calculate_cost": "meter.prices",
    "continue_trace": "workflows.traces",
    "count_messages": "meter.messages",
    "count_tokens": "meter.tokens",
    "create_ab_test": "selection.ab_setup",
    "create_storage": "store.storages",
    "flush": "runtime.recorders",
    "instrument": "runtime.instrument",
    "labels": "record.context",
    "open_ab_test": "selection.ab_setup",
    "redact_content": "ledger.content",
    "remove_listener": "runtime.recorders",
    "session": "record.context",
    "traceparent": "workflows.traces",
    "tracking_client": "http",
    "uninstrument": "runtime.instrument",
    "workflow": "runtime.workflow",
}

__all__ = [
    "ABTest",
    "ABTestError",
    "ABTestResults",
    "AgentLoopError",
    "AgentPerformance",
    "Alert",
    "AlertManager",
    "AlertRule",
    "Anomaly",
    "AnomalyWatch",
    "Attribution",
    "Backtest",
    "Bottleneck",
    "BudgetChange",
    "BudgetExceededError",
    "BudgetStatus",
    "BudgetTracker",
    "CacheBreak",
    "Comparison",
    "Compressed",
    "ConfigurationError",
    "Content",
    "ContentPart",
    "ConversationMonitor",
    "CostForecaster",
    "CostGroup",
    "CostPer",
    "CostRecord",
    "CostReport",
    "CostTracker",
    "CriticalPath",
    "CriticalStep",
    "CycleError",
    "Driver",
    "Forecast",
    "GroupChange",
    "HealthStatus",
    "HealthThresholds",
    "InMemoryStorage",
    "LineageError",
    "LineageGraph",
    "Message",
    "ModelCandidate",
    "ModelRecommendation",
    "ModelSelector",
    "MonthlyForecast",
    "Optimization",
    "Pattern",
    "PatternLimits",
    "Percentiles",
    "Policy",
    "PolicyChange",
    "PolicyDryRun",
    "PolicyError",
    "PolicyManager",
    "PolicyStatus",
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
    "Similarity",
    "StorageBackend",
    "StorageError",
    "StoreKeeper",
    "TokenCalculatorError",
    "TokenManager",
    "TokenProvenance",
    "ToolCall",
    "TrackingEvent",
    "TrendPoint",
    "Usage",
    "Waste",
    "Waterfall",
    "WaterfallChange",
    "WaterfallRow",
    "WorkflowAnalysis",
    "WorkflowTracker",
    "__version__",
    "add_listener",
    "analyze_prompt",
    "async_tracking_client",
    "bind_context",
    "calculate_cost",
    "continue_trace",
    "count_messages",
    "count_tokens",
    "create_ab_test",
    "create_storage",
    "flush",
    "instrument",
    "labels",
    "open_ab_test",
    "redact_content",
    "remove_listener",
    "session",
    "traceparent",
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
