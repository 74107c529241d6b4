"""The names of the first `token_calculator` package, with their signatures and return fields.

>>> from tc_core.compat import TokenCounter, calculate_cost, optimize_prompt

What has the same name and meaning in `tc_core` (stores, trackers, monitors) is there. This module has the others, for
programs that still use them: prices and windows are today's, costs are exact, an unknown model has a cost of None where
it used to raise, and a chat is billed with its history. Figures that nobody publishes (`max_output_tokens`, whether a
model sees images) are None. The dicts that methods return have keys of their own: only their fields were ever told.
"""

from tc_core.compat.costs import CostBreakdown, CostCalculator, calculate_cost, compare_model_costs
from tc_core.compat.counting import MessageRole, TokenCounter, count_messages
from tc_core.compat.models import ModelConfig, ModelProvider, get_model_config, list_models, search_models
from tc_core.errors import StorageError, TokenCalculatorError
from tc_core.health.analyzer import ContextAnalyzer, ContextBreakdown, ContextStatus
from tc_core.health.conversation import ConversationManager, ConversationStats, ConversationTurn
from tc_core.health.messages import Message
from tc_core.health.optimizer import (
    OptimizationResult,
    OptimizationSuggestion,
    TokenOptimizer,
    optimize_prompt,
    suggest_optimizations,
)
from tc_core.meter.prompt import analyze_prompt
from tc_core.meter.tokens import count_tokens
from tc_core.model.event import TrackingEvent
from tc_core.store.base import StorageBackend
from tc_core.store.storages import InMemoryStorage, SQLiteStorage, create_storage

__all__ = [
    "ContextAnalyzer",
    "ContextBreakdown",
    "ContextStatus",
    "ConversationManager",
    "ConversationStats",
    "ConversationTurn",
    "CostBreakdown",
    "CostCalculator",
    "InMemoryStorage",
    "Message",
    "MessageRole",
    "ModelConfig",
    "ModelProvider",
    "OptimizationResult",
    "OptimizationSuggestion",
    "SQLiteStorage",
    "StorageBackend",
    "StorageError",
    "TokenCalculatorError",
    "TokenCounter",
    "TokenOptimizer",
    "TrackingEvent",
    "analyze_prompt",
    "calculate_cost",
    "compare_model_costs",
    "count_messages",
    "count_tokens",
    "create_storage",
    "get_model_config",
    "list_models",
    "optimize_prompt",
    "search_models",
    "suggest_optimizations",
]
