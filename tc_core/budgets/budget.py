"""A budget: what it limits, which calls it is about, and what a call takes of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from tc_core.budgets import periods
from tc_core.budgets.periods import Span
from tc_core.costs.filters import NOT, Condition
from tc_core.meter import prices
from tc_core.model import money
from tc_core.model.event import CALL_TYPES
from tc_core.model.part import Booked
from tc_core.model.scope import DIMENSIONS, Scope, label_text

Unit = Literal["usd", "tokens", "calls"]
UNITS: tuple[Unit, ...] = ("usd", "tokens", "calls")
OF_CALLS = ("event_type", "provider", "model")
"""What a filter can name beside dimensions and labels."""

REFUSE, ALLOW = "refuse", "allow"
"""What becomes of a call whose model has no price; any other text is a model by whose price it is counted."""

_EACH_BY = {"session": "session_id", "workflow": "workflow_id"}


@dataclass(frozen=True, eq=False)
class Budget:
    """A limit that is set. Amounts are nano-dollars, tokens or calls; `extra` is granted on top until `extra_until_us`.

    Each of `filters` names a dimension, a label (also as `labels.NAME`), `model`, `provider` or `event_type`, and the
    values that count, None for a call without one; values that end in `*` are beginnings, and those of a name that ends
    in `!` are left out. `max_override` is the most that can be granted, as a share.
    """

    id: int
    name: str
    amount: int
    period: str
    filters: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    hard: bool = False
    unit: Unit = "usd"
    tz: str = "UTC"
    thresholds: Sequence[float] = ()
    unpriced: str = REFUSE
    max_override: float = 1.0
    extra: int = 0
    extra_until_us: int = 0

    def limit(self, now_us: int) -> int:
        """Return the amount with what is granted on top now."""
        return self.amount + (self.extra if now_us < self.extra_until_us else 0)

    def is_about(self, event_type: str, provider: str | None, model: str | None, scope: Scope) -> bool:
        """Tell whether a call counts."""
        return event_type in CALL_TYPES and matches(self._conditions, event_type, provider, model, scope)

    @cached_property
    def _conditions(self) -> list[Condition]:
        return conditions_of(self.filters)

    def counts(self, booked: Booked, at_us: int) -> int:
        """Return what a recorded call takes of it; an unknown cost takes nothing, unless a price stands in for it."""
        if self.unit == "calls":
            return 1
        usage = booked.usage
        if self.unit == "tokens":
            return (usage.input_tokens or 0) + (usage.output_tokens or 0)
        if booked.cost_nanos is not None or self.unpriced in (REFUSE, ALLOW):
            return booked.cost_nanos or 0
        if usage.input_tokens is None and usage.output_tokens is None:
            return 0
        price = prices.price_of(usage, self.unpriced, at_us=at_us)
        return 0 if price is None else price.cost_nanos

    @cached_property
    def spans(self) -> Any:
        """What tells the period that has a moment."""
        return periods.spans(self.period, self.tz)

    def span(self, at_us: int, scope: Scope, root: bytes | None) -> Span | None:
        """Return the period that a call at a moment belongs to, None for one in none."""
        if self.period == "run":
            return None if root is None else Span(root.hex(), None, None)
        if self.period in _EACH_BY:
            found = getattr(scope, _EACH_BY[self.period])
            return None if found is None else Span(found, None, None)
        span: Span | None = self.spans(at_us)
        return span

    @property
    def key_filter(self) -> str:
        """The filter that chooses one of its periods, where these are no times."""
        return _EACH_BY.get(self.period, "root_id")

    def shown(self, amount: int) -> float:
        """Return an amount as users see it: dollars, or whole tokens or calls."""
        return money.to_dollars(amount) if self.unit == "usd" else amount

    def said(self, amount: int) -> str:
        """Write an amount for people."""
        if self.unit != "usd":
            return f"{amount:,} {self.unit}"
        exact = f"{money.to_decimal(abs(amount)):f}"
        whole, _, decimals = exact.partition(".")
        return f"{'-' if amount < 0 else ''}${int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def conditions_of(filters: Mapping[str, Sequence[str | None]]) -> list[Condition]:
    """Return what filters ask for, of filters as `filters_of` returns them."""
    return [Condition.of(name, wanted) for name, wanted in filters.items()]


def matches(
    conditions: Iterable[Condition], event_type: str, provider: str | None, model: str | None, scope: Scope
) -> bool:
    """Tell whether a call has what filters ask for."""
    for condition in conditions:
        name = condition.name
        if name == "event_type":
            found: str | None = event_type
        elif name in OF_CALLS:
            found = provider if name == "provider" else model
        else:
            found = getattr(scope, name) if name in DIMENSIONS else scope.labels.get(name.removeprefix("labels."))
        if not condition.holds(found):
            return False
    return True


def amount_of(value: object, unit: Unit, name: str = "amount", *, may_be_zero: bool = False) -> int:
    """Return an amount in whole nano-dollars, tokens or calls; raise ValueError for one that no budget can have."""
    if isinstance(value, bool) or (not isinstance(value, (int, float, str)) and not hasattr(value, "is_finite")):
        raise ValueError(f"{name} must be a number, not {value!r}")
    try:
        nanos = money.to_nanos(value)  # type: ignore[arg-type]  # looked at above
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{name} must be a finite number, not {value!r}") from error
    if nanos < 0 or (nanos == 0 and not may_be_zero):
        raise ValueError(f"{name} must {'not be below' if may_be_zero else 'be above'} zero, not {value!r}")
    if nanos > 10**18:
        raise ValueError(f"{name} must be at most a billion, not {value!r}")
    if unit == "usd":
        return nanos
    whole, rest = divmod(nanos, money.NANOS_PER_DOLLAR)
    if rest:
        raise ValueError(f"{name} must be whole {unit}, not {value!r}")
    return whole


def filters_of(filters: Mapping[str, Any] | None, whose: str = "a budget") -> dict[str, list[str | None]]:
    """Return filters as they are kept; raise ValueError for what nothing of the kind can be filtered by."""
    if filters is not None and not isinstance(filters, Mapping):
        raise ValueError(f"filters must be names and values such as {{'agent_id': 'writer'}}, not {filters!r}")
    found: dict[str, list[str | None]] = {}
    for name, value in (filters or {}).items():
        if label_text(name).removesuffix(NOT) in _NOT_FOR_BUDGETS:
            known = ", ".join((*DIMENSIONS, *OF_CALLS))
            raise ValueError(f"{whose} cannot be filtered by {name!r}: use {known}, or a label")
        several = isinstance(value, (list, tuple, set, frozenset))
        values = [None if each is None else label_text(each) for each in (value if several else [value])]
        Condition.of(label_text(name), values)
        found[label_text(name)] = sorted(set(values), key=lambda each: (each is not None, each or ""))
    return dict(sorted(found.items()))


_NOT_FOR_BUDGETS = frozenset(
    [
        "event_id",
        "parent_id",
        "root_id",
        "hour",
        "day",
        "month",
        "name",
        "served_model",
        "service_tier",
        "status",
        "error_type",
        "usage_source",
        "price_source",
    ]
)
