"""What is known of a model: what the user says of it, what it is known to do, and the price table's context."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.meter import catalogue, prices
from tc_core.selection.known_models import MODALITIES, known

_OF_BEDROCK = re.compile(r"(?:(?P<region>[a-z\-]+)\.)?(?P<maker>anthropic|openai|google)\.(?P<model>.+)")
_ANYWHERE = "global"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What the user says of a model, or of all models of a provider; None is not said.

    `quality` runs from 0 to 1 and is the user's own measure; `latency_ms` is how long a call takes. `regions` are where
    it runs, in the user's words, such as `eu`.
    """

    quality: float | None = None
    regions: frozenset[str] | None = None
    latency_ms: float | None = None
    context: int | None = None
    longest_output: int | None = None
    modalities: frozenset[str] | None = None
    tools: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model; None is unknown.

    `context` is how many tokens it holds, of which no more than `longest_input` may be its prompt, and `longest_output`
    its answer.
    """

    model: str
    provider: str | None
    context: int | None = None
    longest_input: int | None = None
    longest_output: int | None = None
    modalities: frozenset[str] | None = None
    tools: bool | None = None
    thinks: bool | None = None
    is_leaving: bool = False
    regions: frozenset[str] | None = None
    stated: Stated = Stated()


class Place(NamedTuple):
    """Where a model stands in the price table."""

    provider: str
    model: str


@lru_cache(maxsize=4096)
def place_of(model: str, provider: str | None = None) -> Place | None:
    """Return where a model stands in the price table, or None."""
    found = prices.look_up(model, provider) or prices.look_up(model, None)
    return None if found is None else Place(found[0], found[1].id)


def facts_of(model: str, provider: str | None, stated: Mapping[str, Stated]) -> ModelFacts:
    """Return what is known of a model, with what the user says of it or of its provider first."""
    found = prices.look_up(model, provider) or prices.look_up(model, None)
    facts = ModelFacts(model, provider)
    if found is not None:
        facts = replace(facts, provider=found[0], context=found[1].context_window)
        facts = replace(facts, longest_input=facts.context, is_leaving=bool(found[1].deprecated))
        known_by = known(found[0], found[1].id)
        inner = _OF_BEDROCK.fullmatch(catalogue.bare_name(model))
        maker = prices.look_up(inner["model"], inner["maker"]) if inner else None
        if known_by is None and maker is not None:  # the same model at Amazon
            known_by = known(maker[0], maker[1].id)
        if known_by is not None:
            facts = replace(
                facts,
                longest_input=known_by.longest_input,
                longest_output=known_by.longest_output,
                modalities=known_by.modalities,
                tools=known_by.calls_tools,
                thinks=known_by.thinks,
                is_leaving=facts.is_leaving or known_by.is_leaving,
            )
        if inner and inner["region"] and inner["region"] != _ANYWHERE:
            facts = replace(facts, regions=frozenset({inner["region"]}))
    return _with_stated(facts, _stated_of(facts, stated))


def _stated_of(facts: ModelFacts, stated: Mapping[str, Stated]) -> Stated:
    """Return what is said of a model under any of its names, and of its provider where that says nothing."""
    table_name = place_of(facts.model, facts.provider)
    names = [facts.model, *([] if table_name is None else [table_name.model])]
    own = next((stated[name] for name in names if name in stated), Stated())
    of_all = stated.get(facts.provider or "", Stated())
    values = {each.name: getattr(own, each.name) for each in fields(Stated)}
    return Stated(**{name: getattr(of_all, name) if value is None else value for name, value in values.items()})


def _with_stated(facts: ModelFacts, said: Stated) -> ModelFacts:
    return replace(
        facts,
        context=said.context or facts.context,
        longest_input=said.context or facts.longest_input,
        longest_output=said.longest_output or facts.longest_output,
        modalities=facts.modalities if said.modalities is None else said.modalities | {"text"},
        tools=facts.tools if said.tools is None else said.tools,
        regions=facts.regions if said.regions is None else said.regions,
        stated=said,
    )


# What the user writes


def stated_in_settings() -> dict[str, Stated]:
    """Return what the settings say of models."""
    return read_stated(
        {name: said.model_dump(exclude_none=True) for name, said in settings.load().selection.models.items()}
    )


def read_stated(given: object, where: str = "the table of models") -> dict[str, Stated]:
    """Read what a user says of models: a number (its quality), or a mapping of what is known.

    Raises ConfigurationError that names the model, the key and what is possible.
    """
    if given is None:
        return {}
    if isinstance(given, (str, Path)):
        return _of_file(Path(given))
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where} must map names of models to a quality from 0 to 1, not be {given!r}")
    return {str(model): _one(str(model), value, where) for model, value in given.items()}


def _of_file(path: Path) -> dict[str, Stated]:
    try:
        text = path.read_text(encoding="utf-8")
        given = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"the table of models {str(path)!r} cannot be read: {error}") from error
    return read_stated({} if given is None else given, f"the table of models {str(path)!r}")


def _one(model: str, value: object, where: str) -> Stated:
    if isinstance(value, Stated):
        return value
    said = value if isinstance(value, Mapping) else {"quality": value}
    read: dict[str, Any] = {}
    for key, each in said.items():
        if key not in _READ:
            raise ConfigurationError(f"{where}: there is no {key!r} of {model!r}: use {', '.join(_READ)}")
        if each is not None:
            try:
                read[key] = _READ[key](each)
            except ValueError as error:
                raise ConfigurationError(f"{where}: {key} of {model!r} must be {error}, not {each!r}") from error
    return Stated(**read)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1")
    return float(value)


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError("a number above 0")
    return float(value)


def _tokens(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number of tokens above 0")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _names(value: object) -> frozenset[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in names):
        raise ValueError("a list of names")
    return frozenset(name.strip().lower() for name in names)


def _modalities(value: object) -> frozenset[str]:
    found = _names(value)
    if not found <= set(MODALITIES):
        raise ValueError(f"some of {', '.join(MODALITIES)}")
    return found


_READ = {
    "quality": _share,
    "regions": _names,
    "latency_ms": _positive,
    "context": _tokens,
    "longest_output": _tokens,
    "modalities": _modalities,
    "tools": _flag,
}
