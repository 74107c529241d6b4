"""The price table as people look things up in it: which models there are, and what they cost."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tc_core.errors import PriceNotFoundError
from tc_core.meter import own_prices, prices, tokens
from tc_core.model import clock, event

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

WORDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache write",
    "cache_write_1h_mtok": "cache write 1 h",
    "input_audio_mtok": "audio input",
    "output_audio_mtok": "audio output",
    "cache_audio_read_mtok": "cached audio",
    "input_image_mtok": "image input",
    "output_image_mtok": "image output",
    "cache_image_read_mtok": "cached image",
    "input_video_mtok": "video input",
    "output_video_mtok": "video output",
    "output_reasoning_mtok": "reasoning",
    "output_citation_mtok": "citations",
    "requests_kcount": "1,000 calls",
    "web_searches_kcount": "1,000 web searches",
    "storage_searches_kcount": "1,000 file searches",
    "audio_hours": "an hour of audio",
    "input_audio_hours": "an hour of audio input",
    "input_mchars": "million characters",
    "input_document_kpages": "1,000 pages",
    "input_annotated_document_kpages": "1,000 annotated pages",
    "input_text_messages_kcount": "1,000 messages",
}
"""What the table's prices are for: US dollars, per million tokens where nothing else is said."""

_ONE = {
    "per_web_search": "a web search",
    "per_file_search": "a file search",
    "per_page": "a page",
    "per_audio_hour": "an hour of audio",
}
"""What the user's own prices for one of something are for."""

Prices = Mapping[str, str]
"""What it is for, and the price as text: `3`, or `3, above 200,000: 6` where it rises with the prompt."""


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """What is known of one model's prices at a time."""

    provider: str
    model: str
    name: str | None
    context_window: int | None
    source: str
    since: date | None
    prices: Prices
    history: tuple[tuple[str, Prices], ...] = ()
    """What it costs at other times, and when: `since 2025-06-10`, `16:30 to 00:30 UTC`, `at first`."""
    service_tiers: Mapping[str, Prices] | None = None
    encoding: str | None = None
    """The tokenizer with which its tokens are counted exactly, if there is a public one."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["since"] = self.since and self.since.isoformat()
        plain["history"] = [{"when": when, "prices": each} for when, each in self.history]
        return plain


def search(text: str, provider: str | None = None) -> list[ModelPrices]:
    """Return the models whose name or id has all words of a text, those of the own file first."""
    from genai_prices.data import providers

    words = text.lower().split()

    def is_meant(*names: str | None) -> bool:
        return all(any(word in name.lower() for name in names if name) for word in words)

    mine = [each for each in own() if is_meant(each.model, each.provider) and provider in (None, each.provider)]
    now = event.to_us(clock.now())
    found = [
        _described(each.id, model, now)
        for each in providers
        if provider in (None, each.id)
        for model in each.models
        if is_meant(model.id, model.name, each.id)
    ]
    return mine + found


def own() -> list[ModelPrices]:
    """Return the user's own prices.

    Raises ConfigurationError for a file that cannot be used, PriceNotFoundError for one like a model without a price.
    """
    return [_own(price) for price in own_prices.load().entries]


def show(model: str, provider: str | None = None, at: datetime | None = None) -> ModelPrices:
    """Return the prices with which a model's calls are priced, at a time (default: now).

    Raises PriceNotFoundError, with names that are near, for a model without a price.
    """
    at = at or clock.now()
    price = own_prices.load().find(model, provider, None, at.date())
    if price is not None:
        return _own(price)
    found = prices.look_up(model, provider)
    if found is None:
        raise PriceNotFoundError(f"no price is known for {model!r}{_hint(model)}")
    return _described(found[0], found[1], event.to_us(at), is_whole=True)


def _hint(model: str) -> str:
    """Say under which provider a model is known, or which names are near."""
    from genai_prices.data import providers

    names = {each.id: {info.id.lower() for info in each.models} for each in providers}
    known = sorted(provider for provider, models in names.items() if model.lower() in models)
    if known:
        return f" of every provider: name one of {', '.join(known)}"
    near = difflib.get_close_matches(model.lower(), sorted(set().union(*names.values())), n=3)
    return f"; near are {', '.join(near)}" if near else ""


def _own(price: own_prices.OwnPrice) -> ModelPrices:
    if price.like is None:
        written = dict(_written(price.prices()))
    else:
        prices.prices_like(price, price.provider, price.service_tier, event.to_us(clock.now()))
        written = {"like": price.like, **({"factor": f"{price.factor}"} if price.factor != 1 else {})}
        written |= {} if price.per_call is None else {"1,000 calls": _plain(price.per_call * price.factor * 1000)}
    written |= {_beside(kind): _plain(each) for kind, each in price.dollars.items()}
    return ModelPrices(
        price.provider or "",
        price.model,
        None,
        None,
        "own prices",
        price.since,
        written,
        encoding=tokens.encoding_name(price.model),
    )


def _beside(kind: str) -> str:
    """Write what a price of the user's own for one of a kind is for."""
    return _ONE.get(kind, f"1 {kind}")


def _plain(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _described(provider: str, info: "ModelInfo", at_us: int, *, is_whole: bool = False) -> ModelPrices:
    at = event.from_us(at_us)
    standard = info.get_prices(at)
    history: list[tuple[str, Prices]] = []
    tiers: dict[str, Prices] = {}
    if is_whole:
        if isinstance(info.prices, list) and len(info.prices) > 1:
            history = [(_when(each.constraint), _written(each.prices)) for each in info.prices]
        for tier in sorted(prices.PRICED_TIERS):
            of_tier = prices.prices_at(info, tier, at_us)
            if of_tier is not None:
                tiers[tier] = _written(of_tier)
    return ModelPrices(
        provider=provider,
        model=info.id,
        name=info.name,
        context_window=info.context_window,
        source=prices.table_version(),
        since=prices.start(info, at_us),
        prices=_written(standard),
        history=tuple(history),
        service_tiers=tiers or None,
        encoding=tokens.encoding_name(info.id),
    )


def _when(constraint: object) -> str:
    if hasattr(constraint, "start_date"):
        return f"since {constraint.start_date}"
    if hasattr(constraint, "start_time") and hasattr(constraint, "end_time"):
        return f"{constraint.start_time:%H:%M} to {constraint.end_time:%H:%M} UTC"
    return "at first"


def _written(found: "ModelPrice") -> Prices:
    from genai_prices.types import TieredPrices

    def write(price: Any) -> str:
        if isinstance(price, TieredPrices):
            above = "".join(f", above {tier.start:,}: {tier.price.normalize():f}" for tier in price.tiers)
            return f"{_plain(price.base)}{above}"
        return _plain(price)

    return {
        WORDS.get(key, key): write(price) for key, price in sorted(vars(found).items(), key=_place) if price is not None
    }


def _place(item: tuple[str, object]) -> int:
    known = list(WORDS)
    return known.index(item[0]) if item[0] in known else len(known)
