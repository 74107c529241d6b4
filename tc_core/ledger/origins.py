"""Who made what was sent: an event that has put it out, else whose words it is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import Connection

from tc_core.ledger import sql
from tc_core.ledger.canonical import ASSISTANT, RESULT, SCHEMA, SYSTEM
from tc_core.ledger.columns import (
    NOWHERE,
    UNKNOWN,
    Columns,
    Mask,
    Numbers,
    are_among,
    distinct,
    grouped,
    ordered,
    places,
)
from tc_core.ledger.relations import LEAST_DERIVED
from tc_core.ledger.tree import PER_SEGMENT
from tc_core.model import ids
from tc_core.store.engine.database import Database
from tc_core.store.schema.tables import SEED_KEYS

if TYPE_CHECKING:
    from tc_core.ledger.waterfall import OriginKind

_TOOL = SEED_KEYS["event_type", "tool"]
_RETRIEVAL = SEED_KEYS["event_type", "retrieval"]
_TYPES = (_TOOL, _RETRIEVAL, sql.LLM_CALL)


class Origin(NamedTuple):
    """Where a content comes from."""

    kind: "OriginKind"
    id: str | None
    name: str


class Makers(NamedTuple):
    """The events that have put out some segments: one of each segment, in the order of `segments`."""

    segments: Numbers
    events: Numbers
    types: Numbers
    names: Numbers
    agents: Numbers

    def of(self, segments: Numbers) -> Numbers:
        """Return the place of the maker of each segment, `NOWHERE` where none is known."""
        return places(self.segments, segments)


def makers_of(connection: Connection, database: Database, segments: Numbers, chosen: Columns) -> Makers:
    """Return who has put out some segments: an event of the runs in question, else the first of all.

    A tool's own result comes before its echo by a model.
    """
    made = sql.produced(connection, database, segments)
    events = _events(connection, database, distinct(made["event"]), chosen)
    place = places(events["key"], made["event"])
    segment, place = made["segment"][place != NOWHERE], place[place != NOWHERE]
    is_elsewhere = ~are_among(events["root"], chosen["root"])
    is_model = events["event_type"] == sql.LLM_CALL
    order = ordered(
        (segment, is_elsewhere[place], is_model[place], events["at"][place], events["key"][place]),
    )
    found, first = np.unique(segment[order], return_index=True)
    best = place[order][first]
    return Makers(found, *(events[name][best] for name in ("key", "event_type", "name", "agent_id")))


def _events(connection: Connection, database: Database, keys: Numbers, chosen: Columns) -> Columns:
    """Return some events in the order of their keys; of those that are chosen all is known."""
    is_chosen = are_among(chosen["key"], keys)
    known = {name: chosen[name][is_chosen] for name in ("key", "name", "agent_id", "root", "at")}
    known["event_type"] = np.full(len(known["key"]), sql.LLM_CALL)
    missing = keys[~are_among(keys, known["key"])]
    read = sql.makers(connection, database, missing)
    order = np.argsort(np.concatenate([known["key"], read["key"]]))
    return {name: np.concatenate([known[name], column])[order] for name, column in read.items()}


class Contents(NamedTuple):
    """Parts of prompts: which content each is, in which role and kind, and what it weighs in tokens."""

    segments: Numbers
    whats: Numbers
    weights: Numbers


class Origins:
    """Knows the origin of each part; parts of the same one have the same code, from 0 on."""

    def __init__(self, contents: Contents, makers: Makers, is_short: Mask, *, is_single: bool) -> None:
        self._contents, self._makers = contents, makers
        maker = makers.of(contents.segments)
        has_type = np.isin(makers.types, _TYPES)[maker] if makers.types.size else np.zeros(len(maker), np.bool_)
        is_free = is_short & can_be_short(contents.whats)
        is_made = (maker != NOWHERE) & has_type & (contents.whats & 7 != SCHEMA) & ~is_free
        self._maker = np.where(is_made, maker, NOWHERE)
        if is_single:
            columns = [contents.segments, contents.whats]
        else:
            known = [np.append(each, UNKNOWN) for each in (makers.types, makers.names, makers.agents)]
            columns = [np.where(is_made, UNKNOWN, contents.whats), *(each[self._maker] for each in known)]
        self.codes, self._examples = grouped(columns)
        self._is_single = is_single

    def origins(self, texts: Mapping[int, str], event_ids: Mapping[int, bytes]) -> list[Origin]:
        """Return the origin of each code; two may have the same."""
        return [self._origin(place, texts, event_ids) for place in self._examples.tolist()]

    @property
    def named(self) -> set[int]:
        """The keys of the texts that `origins` needs."""
        makers = distinct(self._maker[self._examples])
        makers = makers[makers != NOWHERE]
        return {*self._makers.names[makers].tolist(), *self._makers.agents[makers].tolist()} - {UNKNOWN}

    @property
    def events(self) -> set[int]:
        """The keys of the events whose ids `origins` needs."""
        makers = distinct(self._maker[self._examples]) if self._is_single else self._examples[:0]
        return set(self._makers.events[makers[makers != NOWHERE]].tolist())

    def _origin(self, place: int, texts: Mapping[int, str], event_ids: Mapping[int, bytes]) -> Origin:
        what, maker = int(self._contents.whats[place]), int(self._maker[place])
        if maker != NOWHERE:
            id_ = ids.to_text(event_ids[int(self._makers.events[maker])]) if self._is_single else None
            return _of_maker(
                int(self._makers.types[maker]),
                id_,
                texts.get(int(self._makers.names[maker])),
                texts.get(int(self._makers.agents[maker])),
            )
        content = f"{int(self._contents.segments[place]) & (1 << 64) - 1:016x}" if self._is_single else None
        return _of_words(what >> 3, what & 7, content)


def _of_maker(event_type: int, id_: str | None, name: str | None, agent: str | None) -> Origin:
    if event_type == _TOOL:
        return Origin("tool", id_, f"tool {name}" if name else "tool results")
    if event_type == _RETRIEVAL:
        return Origin("passage", id_, f"passages of {name}" if name else "passages")
    return Origin("answer", id_, f"agent {agent}'s answers" if agent else "answers")


def _of_words(role: int, kind: int, id_: str | None) -> Origin:
    if kind == SCHEMA:
        return Origin("tools", id_, "tool schemas")
    if kind == RESULT:
        return Origin("tool", id_, "tool results")
    if role == SYSTEM:
        return Origin("system", id_, "system prompt")
    return Origin("answer", id_, "answers") if role == ASSISTANT else Origin("user", id_, "user")


def can_be_short(whats: Numbers) -> Mask:
    """Tell of which contents it matters how short they are: not of what a model or a tool has surely said."""
    found: Mask = (whats >> 3 != ASSISTANT) & (whats & 7 != RESULT) & (whats & 7 != SCHEMA)
    return found


def are_short(weights: Numbers) -> Mask:
    """Tell of which contents a user may say the same as a model, such as yes: nobody's but whose words they are."""
    return weights < LEAST_DERIVED + PER_SEGMENT
