"""The names of the first `token_calculator` package, with their signatures and return fields.

>>> from tc_core.compat import TokenCounter, calculate_cost, optimize_prompt

What has the same name and meaning in `tc_core` (stores, trackers, monitors) is there. This module has the others, for
programs that still use them: prices and windows are today's, costs are exact, an unknown model has a cost of None where
it used to raise, and a chat is billed with its history. Figures that nobody publishes (`max_output_tokens`, whether a
model sees images) are None. The dicts that methods return have keys of their own: only their fields were ever told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

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
from tc_core.meter import messages as scale
from tc_core.meter import price_table, prices, tokens
from tc_core.meter.prompt import analyze_prompt
from tc_core.meter.tokens import count_tokens
from tc_core.model.clock import now
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


class ModelProvider(StrEnum):
    """Who serves a model, by the names of the price table."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    META = "meta"
    MISTRAL = "mistral"
    COHERE = "cohere"
    TOGETHER = "together"
    GROQ = "groq"


class MessageRole(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FUNCTION = "function"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is known of a model; prices are US dollars for 1,000 tokens of a short prompt."""

    name: str
    provider: str
    context_window: int | None
    max_output_tokens: int | None
    cost_per_1k_input: float | None
    cost_per_1k_output: float | None
    tokenizer_name: str | None
    supports_function_calling: bool | None = None
    supports_vision: bool | None = None
    notes: str = ""

    @property
    def max_input_tokens(self) -> int | None:
        """What can be sent: all of the window, as providers count it today."""
        return self.context_window


@dataclass(frozen=True, slots=True)
class CostBreakdown:
    """What a call costs in US dollars; None for a model without a price."""

    input_tokens: int
    output_tokens: int
    input_cost: float | None
    output_cost: float | None
    total_cost: float | None
    model_name: str
    timestamp: datetime = field(default_factory=now)
    details: Mapping[str, Any] = field(default_factory=dict)


def get_model_config(model_name: str) -> ModelConfig:
    """Return what is known of a model. Raises PriceNotFoundError, with names that are near, for an unknown one."""
    return _config(price_table.show(model_name), model_name)


def list_models(provider: ModelProvider | str | None = None) -> list[str]:
    """Return the names of the models with a price."""
    return sorted({each.model for each in price_table.search("", None if provider is None else str(provider))})


def search_models(
    min_context: int | None = None,
    max_cost_per_1k_input: float | None = None,
    provider: ModelProvider | str | None = None,
    supports_function_calling: bool | None = None,
    supports_vision: bool | None = None,
) -> list[str]:
    """Return the names of models by their window and price; the last two are not known of any, and are not asked."""
    del supports_function_calling, supports_vision
    found = set()
    for each in price_table.search("", None if provider is None else str(provider)):
        config = _config(each, each.model)
        is_wide = min_context is None or (config.context_window or 0) >= min_context
        cost = config.cost_per_1k_input
        if is_wide and (max_cost_per_1k_input is None or (cost is not None and cost <= max_cost_per_1k_input)):
            found.add(each.model)
    return sorted(found)


class TokenCounter:
    """Counts for one model."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def count_tokens(self, text: str) -> int:
        """Count the tokens of a text."""
        return tokens.count_tokens(text, self.model_name)

    def count_messages(
        self, messages: Sequence[Mapping[str, Any]], include_function_tokens: bool = True
    ) -> dict[str, int]:
        """Count a request: by who speaks, and in all."""
        return count_messages(messages, self.model_name, include_function_tokens)

    def count_function_definitions(self, functions: Sequence[Mapping[str, Any]]) -> int:
        """Count what the schemas of functions add to a request."""
        return scale.count_tools(functions, self.model_name).tokens


def count_messages(
    messages: Sequence[Mapping[str, Any]], model_name: str, include_function_tokens: bool = True
) -> dict[str, int]:
    """Count a request: by who speaks, and in all. Without `include_function_tokens` calls of tools are left out."""
    if not include_function_tokens:
        messages = [{key: each[key] for key in each if key not in ("tool_calls", "function_call")} for each in messages]
    found = dict.fromkeys(("system", "user", "assistant", "function", "tool"), 0)
    for message in messages:
        role = str(message.get("role", "user"))
        one = scale.count_messages([message], model_name) - scale.PER_REPLY
        found[role] = found.get(role, 0) + one
    return {**found, "total": scale.count_messages(messages, model_name)}


class CostCalculator:
    """Prices calls of one model."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def calculate_cost(self, input_tokens: int, output_tokens: int) -> CostBreakdown:
        """Return what a call costs."""
        return calculate_cost(self.model_name, input_tokens, output_tokens)

    def calculate_message_cost(
        self,
        messages: Sequence[Mapping[str, Any]],
        estimated_output_tokens: int,
        functions: Sequence[Mapping[str, Any]] | None = None,
    ) -> CostBreakdown:
        """Return what a request costs."""
        sent = scale.count_messages(messages, self.model_name, tools=list(functions or ()))
        return self.calculate_cost(sent, estimated_output_tokens)

    def estimate_monthly_cost(
        self, requests_per_day: int, avg_input_tokens: int, avg_output_tokens: int
    ) -> dict[str, Any]:
        """Return what so many requests of a size cost; a month has 30 days here. Forecasts from data are better."""
        one = self.calculate_cost(avg_input_tokens, avg_output_tokens).total_cost
        day = None if one is None else one * requests_per_day
        return {
            "per_request": one,
            "daily": day,
            "monthly": None if day is None else 30 * day,
            "yearly": None if day is None else 365 * day,
        }

    def compare_models(
        self, input_tokens: int, output_tokens: int, model_names: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return what the same call costs with other models, the cheapest first."""
        return compare_model_costs(input_tokens, output_tokens, [self.model_name, *(model_names or ())])

    def calculate_batch_cost(self, batch_requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what requests cost together, at the batch price where there is one."""
        sent = sum(each["input_tokens"] for each in batch_requests)
        written = sum(each["output_tokens"] for each in batch_requests)
        costs = [
            prices.calculate_cost(self.model_name, each["input_tokens"], each["output_tokens"], service_tier="batch")
            for each in batch_requests
        ]
        total = None if None in costs else sum(cost for cost in costs if cost is not None)
        return {
            "total_requests": len(batch_requests),
            "total_input_tokens": sent,
            "total_output_tokens": written,
            "total_cost": total,
            "average_cost": None if total is None or not costs else total / len(costs),
        }

    def estimate_cost_savings(
        self, current_tokens: int, optimized_tokens: int, requests_per_month: int, token_type: str = "input"
    ) -> dict[str, Any]:
        """Return what fewer tokens save; ValueError for a type that is neither input nor output."""
        if token_type not in ("input", "output"):
            raise ValueError(f"token_type is input or output, got {token_type!r}")

        def price(count: int) -> float | None:
            pair = (count, 0) if token_type == "input" else (0, count)
            return prices.calculate_cost(self.model_name, *pair)

        before, after = price(current_tokens), price(optimized_tokens)
        saved = None if before is None or after is None else before - after
        return {
            "tokens_saved": current_tokens - optimized_tokens,
            "savings_per_request": saved,
            "monthly_savings": None if saved is None else saved * requests_per_month,
            "yearly_savings": None if saved is None else saved * requests_per_month * 12,
        }


def calculate_cost(model_name: str, input_tokens: int, output_tokens: int) -> CostBreakdown:
    """Return what a call costs, in its parts."""
    total = prices.calculate_cost(model_name, input_tokens, output_tokens)
    sent = prices.calculate_cost(model_name, input_tokens, 0)
    written = None if total is None or sent is None else total - sent
    return CostBreakdown(input_tokens, output_tokens, sent, written, total, model_name)


def compare_model_costs(
    input_tokens: int, output_tokens: int, model_names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return what the same call costs with several models (default: those with a price), the cheapest first."""
    rows = [
        {"model": name, "total_cost": prices.calculate_cost(name, input_tokens, output_tokens)}
        for name in dict.fromkeys(model_names if model_names is not None else list_models())
    ]
    return sorted(rows, key=_by_cost)


def _by_cost(row: Mapping[str, Any]) -> tuple[bool, float]:
    cost = row["total_cost"]
    return cost is None, cost or 0.0


def _config(found: price_table.ModelPrices, name: str) -> ModelConfig:
    return ModelConfig(
        name=name,
        provider=found.provider,
        context_window=found.context_window,
        max_output_tokens=None,
        cost_per_1k_input=_per_thousand(found.prices.get("input")),
        cost_per_1k_output=_per_thousand(found.prices.get("output")),
        tokenizer_name=found.encoding,
        notes=found.source,
    )


def _per_thousand(price: str | None) -> float | None:
    """Read the price of a million tokens, of a short prompt: `3`, or `3, above 200,000: 6`."""
    return None if not price else float(price.partition(",")[0]) / 1000
