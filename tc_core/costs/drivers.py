"""Why a cost has changed: by prices, by how many calls, by which models, by tokens per call.

Both periods are first valued at the prices of one moment; what that takes away is the prices' part. Of the rest, so
many more calls at the old average cost are the volume; calls that moved between models, each at its old cost, are the
mix; what a call of the same model costs more is due to its tokens. The parts sum to the difference exactly: fractions
are rounded by largest remainders.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from tc_core.model import money

DriverKind = Literal["price", "volume", "tokens_per_call", "model_mix"]
KINDS: tuple[DriverKind, ...] = ("price", "volume", "tokens_per_call", "model_mix")


@dataclass(frozen=True, slots=True)
class Driver:
    """One reason for a change, and what of it it makes up; less is negative.

    `tokens_per_call` holds what changes a call of the same model: its input, how much of that comes from a cache, its
    output, and charges beside tokens. `by_model` tells whose calls it is about, and sums to `cost_nanos`.
    """

    kind: DriverKind
    cost_nanos: int
    explanation: str
    by_model: Mapping[str, int]

    @property
    def cost(self) -> float:
        """The part in dollars."""
        return money.to_dollars(self.cost_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"cost": self.cost, **{name: getattr(self, name) for name in self.__slots__}} | {
            "by_model": dict(self.by_model)
        }


class Segment(NamedTuple):
    """Priced calls of one period that are alike: of one model, provider and tier, priced in one way."""

    model: str
    calls: int
    cost_nanos: int
    valued: Fraction
    """What they would cost at the prices of the moment that both periods are compared at."""
    input_tokens: int
    cached_tokens: int
    output_tokens: int


Side = Mapping[Any, Segment]
"""The segments of a period, by what makes them alike."""


def drivers(before: Side, after: Side) -> list[Driver]:
    """Return the four reasons for the change from one period to another, the largest first."""
    parts = _parts(before, after)
    rounded = _rounded(parts, _cost(after) - _cost(before))
    found = []
    for kind in KINDS:
        by_model: dict[str, int] = {}
        for (each, model), nanos in rounded.items():
            if each == kind and nanos:
                by_model[model] = by_model.get(model, 0) + nanos
        ordered = dict(sorted(by_model.items(), key=lambda item: (-abs(item[1]), item[0])))
        found.append(Driver(kind, sum(by_model.values()), _explained(kind, before, after, ordered), ordered))
    return sorted(found, key=lambda driver: -abs(driver.cost_nanos))


def together(groups: Iterable[tuple[str, Sequence[Driver]]]) -> list[Driver]:
    """Return the sums of the drivers of groups that have no call in common; each is explained by its largest part."""
    found: dict[DriverKind, list[tuple[str, Driver]]] = {kind: [] for kind in KINDS}
    for name, each in groups:
        for driver in each:
            found[driver.kind].append((name, driver))
    return sorted(
        (_sum(kind, named) for kind, named in found.items()),
        key=lambda driver: -abs(driver.cost_nanos),
    )


def _sum(kind: DriverKind, named: Sequence[tuple[str, Driver]]) -> Driver:
    by_model: dict[str, int] = {}
    for _, driver in named:
        for model, nanos in driver.by_model.items():
            by_model[model] = by_model.get(model, 0) + nanos
    ordered = dict(sorted(by_model.items(), key=lambda item: (-abs(item[1]), item[0])))
    name, largest = max(named, key=lambda each: abs(each[1].cost_nanos))
    said = f"{name}: {largest.explanation}" if largest.cost_nanos else largest.explanation
    return Driver(kind, sum(driver.cost_nanos for _, driver in named), said, ordered)


def _parts(before: Side, after: Side) -> dict[tuple[DriverKind, str], Fraction]:
    parts: dict[tuple[DriverKind, str], Fraction] = {}

    def add(kind: DriverKind, model: str, nanos: Fraction) -> None:
        parts[kind, model] = parts.get((kind, model), Fraction(0)) + nanos

    for sign, side in ((-1, before), (1, after)):
        for each in side.values():
            add("price", each.model, sign * (each.cost_nanos - each.valued))
    calls_before, calls_after = _calls(before), _calls(after)
    growth = Fraction(calls_after, calls_before) if calls_before else Fraction(0)
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        model = (new or before[key]).model
        if not calls_before:
            add("volume", model, Fraction(0) if new is None else new.valued)
            continue
        if old is not None:
            add("volume", model, (growth - 1) * old.valued)
        new_calls = 0 if new is None else new.calls
        cost_each = _each(old or new)
        expected = growth * (0 if old is None else old.calls)
        add("model_mix", model, (new_calls - expected) * cost_each)
        if new is not None:
            add("tokens_per_call", model, new.valued - new.calls * cost_each)
    return parts


def _rounded(parts: Mapping[Any, Fraction], whole: int) -> dict[Any, int]:
    """Round parts so that they sum to the whole, which is their exact sum."""
    floors = {key: math.floor(part) for key, part in parts.items()}
    missing = whole - sum(floors.values())
    nearest = sorted(parts, key=lambda key: floors[key] - parts[key])
    for key in nearest[:missing]:
        floors[key] += 1
    return floors


def _each(segment: Segment | None) -> Fraction:
    return segment.valued / segment.calls if segment is not None and segment.calls else Fraction(0)


def _calls(side: Side) -> int:
    return sum(each.calls for each in side.values())


def _cost(side: Side) -> int:
    return sum(each.cost_nanos for each in side.values())


# In words


def _explained(kind: DriverKind, before: Side, after: Side, by_model: Mapping[str, int]) -> str:
    if kind == "volume":
        noun = "call" if _calls(after) == 1 else "calls"
        return f"{_calls(after):,} priced {noun} instead of {_calls(before):,}"
    if not any(by_model.values()):
        return {"price": "no price has changed", "model_mix": "the models have the same shares"}.get(
            kind, "a call takes the same tokens"
        )
    if kind == "price":
        return "the price has changed of " + ", ".join(list(by_model)[:3])
    if kind == "model_mix":
        return _shares(before, after)
    return _tokens(before, after, next(iter(by_model)))


def _shares(before: Side, after: Side) -> str:
    """Name the models whose share of the calls has changed most."""
    then, now = (_share_of_calls(side) for side in (before, after))
    none = Fraction(0)
    models = sorted({*then, *now}, key=lambda name: (-float(abs(now.get(name, none) - then.get(name, none))), name))
    said = [f"{name} {_percent(now.get(name))} of calls instead of {_percent(then.get(name))}" for name in models]
    return ", ".join(said[:2]) if len(models) > 1 else "calls moved between tiers or versions of a model"


def _share_of_calls(side: Side) -> dict[str, Fraction]:
    whole, shares = _calls(side), dict[str, Fraction]()
    for each in side.values():
        shares[each.model] = shares.get(each.model, Fraction(0)) + Fraction(each.calls, max(1, whole))
    return shares


def _tokens(before: Side, after: Side, model: str) -> str:
    """Say what a call of the model that matters most takes, and took."""
    old, new = (_of_model(side.values(), model) for side in (before, after))
    said = [
        f"{name} {_rate(now, new[0])} tokens instead of {_rate(then, old[0])}"
        for name, then, now in (("input", old[1], new[1]), ("output", old[3], new[3]))
        if _rate(then, old[0]) != _rate(now, new[0])
    ]
    cached = [_percent(Fraction(each[2], each[1]) if each[1] else None) for each in (old, new)]
    if cached[0] != cached[1]:
        said.append(f"{cached[1]} of the input cached instead of {cached[0]}")
    return f"a call of {model}: " + (", ".join(said) or "other kinds of tokens, or charges beside them")


def _of_model(segments: Iterable[Segment], model: str) -> Sequence[int]:
    mine = [each for each in segments if each.model == model]
    rows = [(each.calls, each.input_tokens, each.cached_tokens, each.output_tokens) for each in mine]
    return [sum(column) for column in zip(*rows, strict=True)] if rows else [0, 0, 0, 0]


def _rate(tokens: int, calls: int) -> str:
    return f"{round(Fraction(tokens, calls)):,}" if calls else "0"


def _percent(share: Fraction | None) -> str:
    return f"{round(100 * (share or 0))} %"
