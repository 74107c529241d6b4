"""Prices of the user's own, from a file: for models that no table knows, contracts, and regions that cost more.

The file is a list, in YAML or JSON; an entry that stands later wins. Prices are US dollars for a million tokens:

    - model: acme-large            # a name, or its beginning with * behind; provider: limits it further
      from: 2026-01-01             # the first day (UTC); until: the first day on which it no longer holds
      input: 2.5
      output: 10
    - model: my-deployment         # costs what another model costs, here 10 % more
      like: gpt-4o
      factor: 1.1
      per_web_search: 0.01         # dollars for one
"""

import os
import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.foreign import let_pass
from tc_core.meter import catalogue, loading

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
    "video_input": "input_video_mtok",
    "video_output": "output_video_mtok",
}
"""What the table calls the prices that users give."""

PER = {
    "per_web_search": ("web_searches", 1),
    "per_file_search": ("storage_searches", 1),
    "per_page": ("input_document_pages", 1),
    "per_audio_hour": ("audio_seconds", 3600),
}
"""Which kind of charge a price is for, and for how many."""

Dollars = Annotated[Decimal, Field(ge=0)]


class _Rates(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # until there is one

    input: Dollars | None = None
    output: Dollars | None = None
    cached: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    audio_input: Dollars | None = None
    audio_output: Dollars | None = None
    image_input: Dollars | None = None
    image_output: Dollars | None = None
    video_input: Dollars | None = None
    video_output: Dollars | None = None

    @property
    def known(self) -> dict[str, Decimal]:
        """The prices that are given, by name."""
        return {name: price for name in _Rates.model_fields if (price := getattr(self, name)) is not None}


class Tier(_Rates):
    """What changes for prompts above so many tokens."""

    above: Annotated[int, Field(gt=0)]


class OwnPrice(_Rates):
    """One entry of the file."""

    model: Annotated[str, Field(min_length=1)]
    provider: str | None = None
    service_tier: str | None = None
    since: Annotated[date | None, Field(alias="from")] = None
    until: date | None = None
    tiers: tuple[Tier, ...] = ()
    per_call: Dollars | None = None
    per_web_search: Dollars | None = None
    per_file_search: Dollars | None = None
    per_page: Dollars | None = None
    per_audio_hour: Dollars | None = None
    charges: dict[str, Dollars] = Field(default_factory=dict)
    like: str | None = None
    factor: Annotated[Decimal, Field(gt=0)] = Decimal(1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.like is None and self.input is None and self.output is None and self.per_call is None and not self.per:
            raise ValueError("gives no price: it needs input and output, or like")
        if self.like is not None and (self.known or self.tiers):
            raise ValueError("has like, and so no prices of its own for tokens")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("ends before it begins")
        return self

    @property
    def dollars(self) -> dict[str, Decimal]:
        """The prices for one of something beside tokens, by the key of the entry or the kind of charge."""
        named = {name: price for name in PER if (price := getattr(self, name)) is not None}
        return {name: price * self.factor for name, price in (named | self.charges).items()}

    @property
    def per(self) -> dict[str, Fraction]:
        """Dollars for one of each kind of charge that has a price."""
        kinds = {name: PER.get(name, (name, 1)) for name in self.dollars}
        return {kind: Fraction(self.dollars[name]) / many for name, (kind, many) in kinds.items()}

    def holds(self, model: str, provider: str | None, service_tier: str | None, day: date) -> bool:
        """Tell whether the entry sets the price of a call."""
        wanted = self.model.strip().lower()
        literal = model.strip().lower()
        is_apart = literal.endswith((catalogue.FREE, catalogue.ONLINE))  # these cost something else
        names = {literal, literal.rsplit("/", 1)[-1]} if is_apart else {literal, catalogue.bare_name(model)}
        names |= set() if is_apart else {catalogue.without_route(literal)}
        is_meant = any(name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted for name in names)
        return (
            is_meant
            and (self.provider is None or catalogue.provider_name(self.provider) == catalogue.provider_name(provider))
            and self.service_tier == service_tier
            and (self.since is None or self.since <= day)
            and (self.until is None or day < self.until)
        )

    def prices(self) -> "ModelPrice":
        """Return its own prices as the table would have them."""
        from genai_prices.types import ModelPrice, Tier, TieredPrices

        found: dict[str, Decimal | TieredPrices] = {}
        for name, base in self.known.items():
            above = [Tier(tier.above, tier.known[name]) for tier in self.tiers if name in tier.known]
            found[_KEYS[name]] = TieredPrices(base, above) if above else base
        cached = {key: price for key, price in found.items() if key.startswith("cache_")}
        for medium in ("audio", "image", "video"):  # the table's arithmetic wants a price for these in a cache
            if f"input_{medium}_mtok" in found:
                found |= {_of_medium(key, medium): price for key, price in cached.items()}
        return times(self.with_fee(ModelPrice(**found)), self.factor)

    def with_fee(self, prices: "ModelPrice") -> "ModelPrice":
        """Return prices with what the entry asks for each call."""
        from genai_prices.types import ModelPrice

        return (
            prices
            if self.per_call is None
            else ModelPrice(**(vars(prices) | {"requests_kcount": self.per_call * 1000}))
        )


def _of_medium(key: str, medium: str) -> str:
    return key.replace("cache_", f"cache_{medium}_")


@dataclass(frozen=True, eq=False, slots=True)
class PriceList:
    """The entries of one state of the file."""

    entries: tuple[OwnPrice, ...] = ()

    def find(self, model: str, provider: str | None, service_tier: str | None, day: date) -> OwnPrice | None:
        """Return the last entry that holds for a call, or None."""
        return next((each for each in reversed(self.entries) if each.holds(model, provider, service_tier, day)), None)


NONE = PriceList()
_known: tuple[float, PriceList] = (0.0, NONE)


def current() -> PriceList:
    """Return the user's own prices; whether they have changed is looked up once a second.

    Those of a file that can no longer be read hold on.
    """
    global _known
    now = time.monotonic()
    if now >= _known[0]:
        try:
            _known = (now + 1, load())
        except ConfigurationError:
            if _known[1] is NONE:
                raise
            _known = (now + 1, _known[1])  # a file that has gone, or is half written: its prices held until now
    return _known[1]


def forget() -> None:
    """Have the next question look the prices up."""
    global _known
    _known = (0.0, NONE)


def times(prices: "ModelPrice", factor: Decimal) -> "ModelPrice":
    """Return all prices, multiplied."""
    from genai_prices.types import ModelPrice

    return ModelPrice(**{key: _times(price, factor) for key, price in vars(prices).items() if price is not None})


def _times(price: "Decimal | TieredPrices", factor: Decimal) -> "Decimal | TieredPrices":
    from genai_prices.types import Tier, TieredPrices

    if isinstance(price, Decimal):
        return price * factor
    return TieredPrices(price.base * factor, [Tier(tier.start, tier.price * factor) for tier in price.tiers])


def load() -> PriceList:
    """Return the entries of the file that the settings name.

    Raises ConfigurationError that names file, entry and value.
    """
    path = settings.load().prices
    if path is None:
        return NONE
    path = settings.absolute(path)
    try:
        return _read(path, os.stat(path).st_mtime_ns)  # noqa: PTH116  # one call
    except OSError as error:
        let_pass(error)
        raise ConfigurationError(f"prices: {path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=4)
def _read(path: Path, _changed_ns: int) -> PriceList:
    with loading.lock:
        import yaml  # most programs have no file of prices

    try:
        entries = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader) or []  # noqa: S506  # makes only text
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"prices: {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list):
        raise ConfigurationError(f"prices: {path} must hold a list of prices")
    return PriceList(tuple(_entry(path, number, entry) for number, entry in enumerate(entries, start=1)))


def _entry(path: Path, number: int, entry: object) -> OwnPrice:
    try:
        return OwnPrice.model_validate(entry)
    except ValidationError as error:
        problems = error.errors()
        problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
        key = ".".join(map(str, problem["loc"]))
        fields = (Tier if key.startswith("tiers.") else OwnPrice).model_fields
        known = [field.alias or name for name, field in fields.items()]
        said = settings.explained(problem, key, known).removeprefix(": ")
        named = f"{entry['model']!r}" if isinstance(entry, dict) and "model" in entry else f"number {number}"
        raise ConfigurationError(f"{path}: price {named}: {said}") from error
