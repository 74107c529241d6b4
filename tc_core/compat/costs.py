"""Costs of single calls, as the first package gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tc_core.compat.models import list_models
from tc_core.meter import messages as scale
from tc_core.meter import prices
from tc_core.model.clock import now


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
