"""Models as people name them: whether there is such a one, and whether two names are spellings of one."""

import difflib
import re

from tc_core.costs.filters import NOT
from tc_core.errors import PriceNotFoundError
from tc_core.meter import price_table
from tc_core.model.ports import AggregateReader, Filters


def why_unknown(reader: AggregateReader, model: str) -> str | None:
    """Say why a model's name may be a slip, and what is near; None for one with a price or a recorded call."""
    try:
        price_table.show(model)
    except PriceNotFoundError as error:
        recorded = [name for (name,) in reader.totals(["model"]) if name is not None]
        if model in recorded:
            return None
        near = difflib.get_close_matches(model, recorded, n=3)
        said = f"no call of {model!r} is recorded, and {str(error).replace(repr(model), 'it', 1)}"
        return f"{said}; recorded are {', '.join(near)}" if near else said
    return None


def unknown_models(reader: AggregateReader, filters: Filters) -> list[str]:
    """Say of each model that filters name and that is not known why it may be a slip."""
    asked = [filters.get(name) or () for name in ("model", f"model{NOT}")]
    named = [each for values in asked for each in ([values] if isinstance(values, str) else values)]
    whole = [each for each in named if each is not None and not each.endswith("*")]
    return [said for each in whole if (said := why_unknown(reader, each)) is not None]


def are_one(model: str, other: str) -> bool:
    """Tell whether two names are one model's, as `GPT-4o` and `openai/gpt-4o` are; a dated version is another one."""
    return _spelling(model) == _spelling(other)


def _spelling(model: str) -> tuple[str | None, str]:
    try:
        provider = price_table.show(model).provider
    except PriceNotFoundError:
        return None, model.lower()
    return provider, re.sub(rf"^({re.escape(provider)}|models)[/:]", "", model.lower())
