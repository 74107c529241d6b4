"""The lines of which a cost is the sum: how much of what, at which price, exactly."""

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tc_core.meter import surcharges
from tc_core.model import money
from tc_core.model.ports import CostPart
from tc_core.model.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices
    from genai_prices.units import UnitRegistry

Charges = Mapping[str, int | float]

_KEYS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "audio_input_tokens": "input_audio_tokens",
    "audio_output_tokens": "output_audio_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
}
"""What the table calls the fields of `Usage`."""

_OUTPUT_OF = {"output_audio_tokens": "audio", "output_image_tokens": "image", "output_video_tokens": "video"}
"""Kinds of output that always cost more than text."""

WORDS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cached",
    "cache_write_tokens": "cache write",
    "cache_write_1h_tokens": "cache write 1 h",
    "output_reasoning_tokens": "reasoning",
    "output_citation_tokens": "citations",
    "input_audio_tokens": "audio input",
    "output_audio_tokens": "audio output",
    "input_image_tokens": "image input",
    "output_image_tokens": "image output",
    "input_video_tokens": "video input",
    "output_video_tokens": "video output",
    "cache_audio_read_tokens": "cached audio",
    "cache_image_read_tokens": "cached images",
    "cache_video_read_tokens": "cached video",
    "requests": "calls",
    "storage_searches": "file searches",
    "rerank_searches": "rerankings",
    "audio_seconds": "seconds of audio",
    "input_audio_seconds": "seconds of audio",
    "input_characters": "characters",
    "input_document_pages": "pages",
    "input_annotated_document_pages": "annotated pages",
}
"""Kinds in plain words; all others are their names without underscores."""


class Line(NamedTuple):
    """How much of one kind, and what it costs in nano-dollars; None where that has no price."""

    kind: str
    count: int | float  # type: ignore[assignment]  # a tuple has a method of that name
    nanos: Fraction | None
    is_beside: bool = False
    """Whether it comes beside the tokens."""
    by: str | None = None
    """The model that did it, where it is another one."""


class Rates(NamedTuple):
    """What one model's calls are priced with."""

    model: str = ""
    """The table's name of it, which decides about surcharges; empty for prices that the user gives."""
    prices: "ModelPrice | None" = None
    """None where there are none."""
    per: Mapping[str, Fraction] = {}
    """Dollars for one of a kind, which come before the table's."""
    is_free: bool = False


def lines(rates: Rates, usage: Usage, charges: Charges) -> list[Line]:
    """Return what a call is charged for; a line without a price makes it unpriced.

    Kinds of `charges` that end in `_tokens` are parts of the input or output: where the table has a price for them it
    holds, else that of plain input or output. Only media that a model puts out need one of their own.
    """
    counts = {_KEYS[name]: count for name, count in usage._asdict().items() if count}
    counts |= {kind: count for kind, count in charges.items() if count and kind.endswith("_tokens")}
    beside = {
        kind: surcharges.billed(rates.model, kind, count)
        for kind, count in charges.items()
        if count and kind not in counts and not kind.startswith(surcharges.GEO)
    }
    if rates.is_free:
        return [Line(kind, count, Fraction(0), kind in beside) for kind, count in (counts | beside).items()]
    if rates.prices is None:
        return [*_plain(counts), *(Line(kind, count, None, is_beside=True) for kind, count in beside.items())]
    geo = next((kind for kind in charges if kind.startswith(surcharges.GEO)), None)
    factor = Fraction(1) if geo is None else surcharges.of_region(rates.model, geo)
    found = list(_priced(rates, counts, beside, factor or Fraction(1)))
    return found if factor is not None else [*found, Line(geo or "", 1, None)]


def total(found: Iterable[Line]) -> int | None:
    """Return the sum in nano-dollars, rounded half-even once; None where something has no price."""
    amount = Fraction(0)
    for line in found:
        if line.nanos is None:
            return None
        amount += line.nanos
    return round(amount)


def parts(found: list[Line]) -> list[CostPart]:
    """Return the lines in plain words, rounded so that they add up to the rounded sum."""
    exact = [line.nanos or Fraction(0) for line in found]
    whole = [math.floor(each) for each in exact]
    left = round(sum(exact, Fraction(0))) - sum(whole)
    for place in sorted(range(len(found)), key=lambda place: whole[place] - exact[place])[:left]:
        whole[place] += 1
    return [
        CostPart(_in_words(line), line.count, None if line.nanos is None else each)
        for line, each in zip(found, whole, strict=True)
    ]


def _in_words(line: Line) -> str:
    word = WORDS.get(line.kind) or line.kind.removesuffix("_tokens").replace("_", " ")
    return word if line.by is None else f"{word} by {line.by}"


def _plain(counts: Charges) -> list[Line]:
    """Say what was used where there are no prices for it."""
    within = ("cache_read_tokens", "cache_write_tokens")
    rest = counts.get("input_tokens", 0) - sum(counts.get(kind, 0) for kind in within)
    whole = {"input_tokens": max(rest, 0), **{kind: counts.get(kind, 0) for kind in (*within, "output_tokens")}}
    return [Line(kind, count, None) for kind, count in (whole if any(whole.values()) else counts).items() if count]


def _priced(rates: Rates, counts: Charges, beside: Charges, factor: Fraction) -> Iterator[Line]:
    from genai_prices.decompose import compute_leaf_values
    from genai_prices.types import Usage as TableUsage

    units = _registry().units
    priced: dict[str, Decimal | TieredPrices] = {
        kind: price
        for kind, unit in units.items()
        if (price := vars(rates.prices).get(unit.price_key)) is not None and kind not in rates.per
    }
    used = {kind: count for kind, count in (*counts.items(), *beside.items()) if kind in priced}
    if "input_audio_seconds" in priced and "audio_seconds" in used:  # all that is transcribed is input
        used["input_audio_seconds"] = used["audio_seconds"]
    try:
        leaves = compute_leaf_values(priced.keys() - {"requests"}, TableUsage(**used), units)
    except ValueError:  # the counts contradict each other
        yield from _plain(counts)
        leaves = {}
    if "requests" in priced:
        leaves["requests"] = 1
    read = counts.get("input_tokens", 0)
    for kind, price in priced.items():
        if count := leaves.get(kind):
            is_tokens = kind.endswith("_tokens")
            amount = _rate(price, read) * Fraction(count) * money.NANOS_PER_DOLLAR / units[kind].per
            yield Line(kind, _number(count), amount * factor if is_tokens else amount, not is_tokens)
    for kind, count in beside.items():
        if kind in rates.per:
            yield Line(kind, count, rates.per[kind] * Fraction(count) * money.NANOS_PER_DOLLAR, is_beside=True)
        elif kind not in priced and not surcharges.is_in_request(rates.model, kind, priced):
            yield Line(kind, count, None, is_beside=True)
    is_by_token = not any(kind in leaves or kind in rates.per for kind in beside)
    yield from _without_price(rates.model, priced, counts, is_by_token=is_by_token)


def _without_price(model: str, priced: Mapping[str, object], counts: Charges, *, is_by_token: bool) -> Iterator[Line]:
    """Find the tokens that are neither priced nor free.

    Embeddings have no price for output, nor need one. Transcripts, pages and rerankings are priced by other things
    than tokens, which then cost nothing.
    """
    for kind, medium in _OUTPUT_OF.items():
        if kind in counts and kind not in priced and not surcharges.is_made_for(model, medium):
            yield Line(kind, counts[kind], None)
    if "input_audio_tokens" in counts and "input_audio_tokens" not in priced and "audio" in model:
        yield Line("input_audio_tokens", counts["input_audio_tokens"], None)
    if "input_tokens" not in priced and is_by_token:
        if counts.get("input_tokens"):
            yield Line("input_tokens", counts["input_tokens"], None)
        if counts.get("output_tokens") and "output_tokens" not in priced:
            yield Line("output_tokens", counts["output_tokens"], None)


def _rate(price: "Decimal | TieredPrices", input_tokens: float) -> Fraction:
    """Return dollars for as many as the price is for; the size of the prompt decides where it has tiers."""
    if isinstance(price, Decimal):
        return Fraction(price)
    above = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return Fraction(above[-1] if above else price.base)


def _number(count: object) -> int | float:
    return count if isinstance(count, (int, float)) else float(str(count))


@cache
def _registry() -> "UnitRegistry":
    from genai_prices.data_units import unit_data
    from genai_prices.units import UnitRegistry

    return UnitRegistry(unit_data)
