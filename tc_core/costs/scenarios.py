"""What-if: the recorded calls of a period, priced as they would have been had something been different."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tc_core.errors import ConfigurationError
from tc_core.model import money
from tc_core.model.ports import Filters


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is to be different; what is left out stays as it was.

    `volume` is how many times as many calls. `model_map` has, for models that were asked for or that answered, the one
    that takes their place. `prompt_tokens` is how many times as many input tokens, `cache_hit_rate` the share of them
    that is read from the provider's cache. `price_date` is the day whose prices hold (default: each call's own).
    `batch` has all go through the provider's batch interface. `filters` say which calls are replayed.
    """

    volume: float = 1.0
    model_map: Mapping[str, str] = field(default_factory=dict)
    prompt_tokens: float = 1.0
    cache_hit_rate: float | None = None
    price_date: date | str | None = None
    batch: bool = False
    filters: Filters = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, most in (("volume", 1e6), ("prompt_tokens", 1e3)):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise ValueError(f"{name} must be a number from 0 to {most:,.0f}, not {value!r}")
        rate: object = self.cache_hit_rate
        if rate is not None and (not isinstance(rate, (int, float)) or not 0 <= rate <= 1):
            raise ValueError(f"cache_hit_rate must be a share from 0 to 1, not {rate!r}")
        models: object = self.model_map
        if not isinstance(models, Mapping):
            raise ValueError(f"model_map must map names of models to others, not be {models!r}")
        for model, other in models.items():
            if not str(model).strip() or not str(other).strip():
                raise ValueError(f"model_map must map names of models to others, not {model!r} to {other!r}")
        object.__setattr__(self, "price_date", _day(self.price_date))

    @property
    def changes_every_call(self) -> bool:
        """Whether calls are different whatever their model."""
        return (self.prompt_tokens, self.cache_hit_rate, self.price_date, self.batch) != (1.0, None, None, False)

    @property
    def is_priced_anew(self) -> bool:
        """Whether anything but the number of calls is different."""
        return bool(self.model_map) or self.changes_every_call


@dataclass(frozen=True, slots=True)
class ScenarioGroup:
    """What the calls of one group cost, and would cost, in US dollars; None where no call has a price.

    `cost_before` is of the recorded calls as they were, whatever the volume; `cost_after` lies between `low` and `high`
    with a probability of 80 %, were such a period to come again. `change` is of the calls that have a price both
    before and after: other volumes are part of it.
    """

    key: Mapping[str, str | None]
    calls: int
    cost_before: float | None
    cost_after: float | None
    low: float | None
    high: float | None
    change: float | None
    unpriced_before: int
    unpriced_after: int
    cost_before_nanos: int | None = None
    cost_after_nanos: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"key": dict(self.key)}


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What a scenario does to the costs of a period: of all calls as fields, of each group in `groups`, dearest first.

    `unknown_models` are those of the scenario that have no price, `unused_models` those that no call names. `days` is
    how many days with calls there are; `monthly_change` what the change comes to in 30 days. `notes` say what there is
    to doubt.
    """

    calls: int
    cost_before: float | None
    cost_after: float | None
    low: float | None
    high: float | None
    change: float | None
    unpriced_before: int
    unpriced_after: int
    groups: list[ScenarioGroup]
    unknown_models: list[str]
    unused_models: list[str]
    days: int
    monthly_change: float | None
    start: datetime | None
    end: datetime | None
    interval: float = 0.8
    notes: list[str] = field(default_factory=list)
    cost_before_nanos: int | None = None
    cost_after_nanos: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {
            "groups": [group.to_dict() for group in self.groups],
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
        }


def dollars(nanos: int | None) -> float | None:
    """Return US dollars; None stays None."""
    return None if nanos is None else money.to_dollars(nanos)


def _day(value: object) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        return value.date() if isinstance(value, datetime) else date.fromisoformat(str(value))
    except ValueError as error:
        raise ConfigurationError(f"cannot read {value!r} as the date of prices: use 2026-01-31") from error
