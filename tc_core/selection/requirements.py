"""What a model has to be: named requirements, checked before anything is asked of the store."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from tc_core.errors import ConfigurationError
from tc_core.selection.known_models import MODALITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a model has to be; what is left out does not matter.

    `current_model` and `agent_id` say whose calls are in question. `max_cost` is US dollars that an average call may
    cost, `max_latency_ms` what 95 of 100 calls do not exceed, `min_context` how many tokens of input a model takes.
    `modalities` are what prompts have in them, beside text. `min_quality` runs from 0 to 1.
    """

    current_model: str | None = None
    agent_id: str | None = None
    max_cost: float | None = None
    max_latency_ms: float | None = None
    min_context: int | None = None
    modalities: tuple[str, ...] = ()
    tools: bool | None = None
    region: str | None = None
    min_quality: float | None = None

    @classmethod
    def of(cls, given: object) -> Self:
        """Read a mapping; raise ConfigurationError that names the key, what it cannot be, and what is possible."""
        if given is None:
            return cls()
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"requirements are a mapping such as {{'max_cost': 0.01}}, not {given!r}")
        unknown = [key for key in given if key not in KEYS]
        if unknown:
            raise ConfigurationError(f"there is no requirement {unknown[0]!r}: use {', '.join(KEYS)}")
        read: dict[str, Any] = {key: _READ[key](key, value) for key, value in given.items() if value is not None}
        return cls(**read)

    def to_dict(self) -> dict[str, Any]:
        """Return those that are set, as plain JSON values."""
        plain = {name: getattr(self, name) for name in KEYS}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value not in (None, ())
        }


KEYS: tuple[str, ...] = tuple(each.name for each in fields(Requirements))
"""The names of all requirements."""


def _name(key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"requirement {key} must be a name, not {value!r}")
    return value.strip()


def _region(key: str, value: object) -> str:
    return _name(key, value).lower()


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"requirement {key} must be a number from 0 on, not {value!r}")
    return value


def _whole(key: str, value: object) -> int:
    number = _number(key, value)
    if number != int(number):
        raise ConfigurationError(f"requirement {key} must be a whole number of tokens, not {value!r}")
    return int(number)


def _share(key: str, value: object) -> float:
    number = _number(key, value)
    if number > 1:
        raise ConfigurationError(f"requirement {key} must be a number from 0 to 1, not {value!r}")
    return number


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"requirement {key} must be True or False, not {value!r}")
    return value


def _several(key: str, value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Iterable):
        raise ConfigurationError(f"requirement {key} must be some of {', '.join(MODALITIES)}, not {value!r}")
    found = tuple(dict.fromkeys(str(name).strip().lower() for name in names))
    for name in found:
        if name not in MODALITIES:
            raise ConfigurationError(f"there is no modality {name!r}: use {', '.join(MODALITIES)}")
    return found


_READ: Mapping[str, Callable[[str, object], object]] = {
    "current_model": _name,
    "agent_id": _name,
    "max_cost": _number,
    "max_latency_ms": _number,
    "min_context": _whole,
    "modalities": _several,
    "tools": _flag,
    "region": _region,
    "min_quality": _share,
}
