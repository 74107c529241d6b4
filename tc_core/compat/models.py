"""Models, as the first package described them."""

from dataclasses import dataclass
from enum import StrEnum

from tc_core.meter import price_table


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
