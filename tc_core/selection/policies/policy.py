"""A policy: what is done with which calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from tc_core.budgets.budget import conditions_of, filters_of, matches
from tc_core.costs.filters import Condition
from tc_core.model.event import check_text
from tc_core.model.part import Request

PolicyKind = Literal["route", "trim", "cache", "loop"]
KINDS: tuple[PolicyKind, ...] = get_args(PolicyKind)

REQUIRED = object()
UNITS = ("run", "session")
TEMPERATURES = ("zero", "unset")

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "route": {"model": REQUIRED, "to": REQUIRED, "floor": 0.1, "margin": 0.05, "unit": "run"},
    "trim": {"at": REQUIRED},
    "cache": {"ttl_s": 3600.0, "most": 1000, "temperature": "zero"},
    "loop": {"rounds": 3},
}
"""What can be said of each kind, with what holds where nothing is said."""

_BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "floor": (0.0, 0.5, "a share of the runs from 0 to 0.5"),
    "margin": (0.001, 0.5, "a share from 0.001 to 0.5"),
    "at": (0.01, 10_000_000, "a share of the model's window up to 1, or a number of tokens"),
    "ttl_s": (1, 7 * 86_400, "seconds from 1 to 604800, a week"),
    "most": (1, 100_000, "a whole number from 1 to 100000"),
    "rounds": (2, 100, "a whole number from 2 to 100"),
}
_WHOLE = ("most", "rounds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is done with the calls that `filters` choose, by dimensions, labels, model or provider.

    `kind` is one of these, and has its own options; raises ValueError, which names the value, for others:

    * `route`: calls of `model` go to the cheaper `to`. Of all runs (or sessions, as `unit` says) the share `floor` does
      at first; more, as outcomes prove that `to` is not worse by more than `margin`, a share of the successes.
    * `trim`: prompts from `at` on, a share of the model's window or a number of tokens, are made shorter.
    * `cache`: an exact duplicate within `ttl_s` seconds gets the answer that is kept in memory, of at most so many as
      `most` says. `temperature` is `zero` for calls that ask for that alone, or `unset` for those too that say nothing.
    * `loop`: an agent is stopped that has asked its tools the same `rounds` times, and was told the same.
    """

    name: str
    kind: PolicyKind
    filters: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    to: str | None = None
    floor: float | None = None
    margin: float | None = None
    unit: str | None = None
    at: float | None = None
    ttl_s: float | None = None
    most: int | None = None
    temperature: str | None = None
    rounds: int | None = None
    _conditions: Sequence[Condition] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_text("name", self.name)
        if not self.name.isprintable():
            raise ValueError(f"the name of a policy stands in one line, so it cannot be {self.name!r}")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        filters = {key: tuple(values) for key, values in filters_of(self.filters, "a policy").items()}
        object.__setattr__(self, "filters", filters)
        object.__setattr__(self, "_conditions", conditions_of(filters))
        known = OPTIONS[self.kind]
        for name in _ALL_OPTIONS:
            value = getattr(self, name)
            if name not in known:
                if value is not None:
                    said = f"a policy of kind {self.kind!r} has no {name}: it takes {', '.join(known)}"
                    raise ValueError(f"{said}, not {value!r}")
            elif value is None and known[name] is REQUIRED:
                raise ValueError(f"a policy of kind {self.kind!r} needs {name}: {self.name!r} has none")
            else:
                object.__setattr__(self, name, _checked(name, known[name] if value is None else value))
        if self.kind == "route" and self.model == self.to:
            raise ValueError(f"model and to must differ: {self.name!r} would route {self.model!r} to itself")

    @property
    def options(self) -> dict[str, Any]:
        """What is said of its kind."""
        return {name: getattr(self, name) for name in OPTIONS[self.kind]}

    def is_about(self, request: Request) -> bool:
        """Tell whether a request is one of those that it is about."""
        return request.event_type == "llm_call" and matches(
            self._conditions, request.event_type, request.provider, request.model, request.scope
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, of which `Policy(**values)` makes the same again."""
        filters = {name: list(values) for name, values in self.filters.items()}
        return {"name": self.name, "kind": self.kind, "filters": filters, **self.options}

    @property
    def said(self) -> str:
        """What it does, in a few words."""
        whose = about(self.filters)
        if self.kind == "route":
            return f"{self.model} to {self.to}, {whose}"
        if self.kind == "trim":
            at = self.at or 0
            return f"prompts from {f'{at:.0%} of the window' if at <= 1 else f'{at:,.0f} tokens'} on, {whose}"
        if self.kind == "cache":
            return f"exact duplicates within {span(self.ttl_s or 0)}, {whose}"
        return f"the same asked {self.rounds} times, {whose}"


_ALL_OPTIONS = tuple(dict.fromkeys(name for options in OPTIONS.values() for name in options))


def about(filters: Mapping[str, Sequence[str | None]]) -> str:
    """Say which calls filters choose."""
    said = []
    for name, values in filters.items():
        known, short = [each for each in values if each is not None], name.removesuffix("_id")
        ways = [f"{short} {' or '.join(known)}"] if known else []
        said.append(" or ".join([*ways, *([f"no {short}"] if None in values else [])]))
    return ", ".join(said) or "all calls"


def span(seconds: float) -> str:
    """Write a duration: `1 hour`, `90 s`."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and not seconds % length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:g} s"


def _checked(name: str, value: Any) -> Any:
    if name in ("model", "to"):
        check_text(name, value)
        return value
    if name in ("unit", "temperature"):
        known = UNITS if name == "unit" else TEMPERATURES
        if value not in known:
            raise ValueError(f"{name} must be {' or '.join(known)}, not {value!r}")
        return value
    least, most, wanted = _BOUNDS[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
    if not is_number or (name in _WHOLE and value != int(value)) or (name == "at" and value > 1 and value < 2):
        raise ValueError(f"{name} must be {wanted}, not {value!r}")
    return int(value) if name in _WHOLE else float(value)


assert {each.name for each in fields(Policy)} >= set(_ALL_OPTIONS)  # noqa: S101  # each option is a field
