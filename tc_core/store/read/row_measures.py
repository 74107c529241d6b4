"""What each row of `event` adds to sums, in SQL: the same as `model.totals.measures` says in Python."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_

from tc_core.model.totals import CALLS_ONLY, MEASURES
from tc_core.store.read.filters import EVENT
from tc_core.store.schema.tables import CALLS, OPEN, SEED_KEYS

_ERROR = SEED_KEYS["status", "error"]
_PROVIDER = SEED_KEYS["usage_source", "provider"]

IS_CALL = EVENT.c.event_type.in_(CALLS)
_HAS_USAGE = EVENT.c.input_tokens.is_not(None) | EVENT.c.output_tokens.is_not(None)
IS_UNPRICED = IS_CALL & EVENT.c.cost_nanos.is_(None) & (_HAS_USAGE | (EVENT.c.status != _ERROR))

COUNTED: dict[str, ColumnElement[bool]] = {
    "calls": IS_CALL,
    "priced": IS_CALL & EVENT.c.cost_nanos.is_not(None),
    "unpriced": IS_UNPRICED,
    "estimated": IS_CALL & (EVENT.c.usage_source != _PROVIDER),
    "errors": EVENT.c.status == _ERROR,
}
"""Measures that count events, and which ones; unknown is no."""

_FIGURES = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cost_nanos",
    "charges_nanos",
)
IS_ADDING = or_(IS_CALL, *(EVENT.c[name].is_not(None) for name in _FIGURES))
"""Whether an event adds to sums that name no event type, if it has ended: a tool rarely has tokens of its own."""

_AUDIO = func.coalesce(EVENT.c.audio_input_tokens, 0) + func.coalesce(EVENT.c.audio_output_tokens, 0)


def measure_of_row(name: str, *, all_types: bool) -> ColumnElement[Any]:
    """Return what a row that is not open adds to one of `MEASURES`; None is nothing."""
    if name in COUNTED:
        measure: ColumnElement[Any] = case((COUNTED[name], 1), else_=0)
    else:
        measure = _AUDIO if name == "audio_tokens" else EVENT.c[name]
    if name in CALLS_ONLY and not all_types:
        measure = case((IS_CALL, measure), else_=0)
    return measure


def row_measures(*, all_types: bool) -> Sequence[ColumnElement[int]]:
    """Return the sums over rows of `event`, named like the fields of `Totals`."""
    return [
        _summed(name, case((EVENT.c.status == OPEN, 0), else_=measure_of_row(name, all_types=all_types)))
        for name in MEASURES
    ]


def measures_of_adding(*, all_types: bool) -> Sequence[ColumnElement[int]]:
    """Return the same sums for rows of which `adds` says that they count, which takes SQLite less."""
    return [_summed(name, measure_of_row(name, all_types=all_types)) for name in MEASURES]


def adds(*, all_types: bool) -> ColumnElement[bool]:
    """Return the condition that a row adds anything to sums."""
    has_ended = EVENT.c.status != OPEN
    return has_ended if all_types else and_(has_ended, IS_ADDING)


def _summed(name: str, measure: ColumnElement[Any]) -> ColumnElement[int]:
    return func.coalesce(func.sum(measure), 0).label(name)
