"""The parts of prompts: each segment at its place, and what it quotes as parts of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from tc_core.ledger import sql
from tc_core.ledger.canonical import RESULT, TOOL, what
from tc_core.ledger.columns import NOWHERE, Columns, Mask, Numbers, distinct, grouped, ordered
from tc_core.ledger.origins import Contents, Makers, Origin, Origins, are_short, can_be_short, makers_of
from tc_core.ledger.paths import Paths, blocks
from tc_core.store.sql import SqlStore

QUOTED = what(TOOL, RESULT)
"""What a quotation is taken for: however short, it is its maker's."""

MOST_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the nodes that calls end in or have above them, node by node.

    `codes` are places in `origins`, where the same one may be more than once; `weights` are tokens.
    """

    codes: Numbers
    weights: Numbers
    origins: Sequence[Origin]


def parts_of(store: SqlStore, connection: Connection, paths: Paths, calls: Columns, *, is_single: bool) -> Parts:
    """Return the parts of some calls' prompts, and tell `paths` how many each node has."""
    database, asked = store.database, slice(paths.asked)
    segments = distinct(paths.segments[asked])
    quoted = sql.quoted(connection, database, segments)
    makers = makers_of(connection, database, distinct(np.concatenate([segments, quoted["source"]])), calls)
    is_known = makers.of(quoted["source"]) != NOWHERE
    contents = _contents(paths, {name: column[is_known] for name, column in quoted.items()})
    origins = Origins(contents, makers, _are_short(contents, makers, paths, calls), is_single=is_single)
    texts = store.interned.values(connection, origins.named)
    event_ids = sql.ids_of(connection, database, origins.events) if is_single else {}
    return Parts(origins.codes, contents.weights, origins.origins(texts, event_ids))


def _contents(paths: Paths, quoted: Columns) -> Contents:
    segments, whats, weights = (each[: paths.asked] for each in (paths.segments, paths.whats, paths.weights))
    if not quoted["segment"].size:
        return Contents(segments, whats, weights)
    first = np.searchsorted(quoted["segment"], segments, "left")
    quotes = np.searchsorted(quoted["segment"], segments, "right") - first
    counts = np.ones(len(paths.segments), np.int64)
    counts[: paths.asked] += quotes
    paths.cut(counts)
    before = np.append(0, np.cumsum(quoted["tokens"]))
    node = np.repeat(np.arange(paths.asked), quotes + 1)
    number = np.arange(len(node)) - paths.first_part[node]
    is_quote = number > 0
    quote = np.where(is_quote, first[node] + number - 1, 0)
    own = weights - (before[first + quotes] - before[first])
    return Contents(
        np.where(is_quote, quoted["source"][quote], segments[node]),
        np.where(is_quote, QUOTED, whats[node]),
        np.where(is_quote, quoted["tokens"][quote], own[node]),
    )


def _are_short(contents: Contents, makers: Makers, paths: Paths, calls: Columns) -> Mask:
    """Tell which contents are too short to be more than words that two may say; those that are alike as the first is.

    The same content may weigh more or less where it was counted for another model.
    """
    found = are_short(contents.weights)
    asked = np.flatnonzero(can_be_short(contents.whats))
    asked = asked[makers.of(contents.segments[asked]) != NOWHERE]
    code, first = grouped([contents.segments[asked], contents.whats[asked]])
    if (found[asked] == found[asked][first][code]).all():
        return found
    code_of_part = np.full(len(found), NOWHERE)
    code_of_part[asked] = code
    is_known, is_short = np.zeros(len(first), np.bool_), np.zeros(len(first), np.bool_)
    ends = paths.places(calls["node"][ordered((calls["at"], calls["key"]))])
    ends = ends[ends != NOWHERE]
    for some in blocks(paths.lengths[ends], MOST_AT_ONCE):
        parts, _ = paths.flat(ends[some])
        parts = parts[code_of_part[parts] != NOWHERE]
        codes, at = np.unique(code_of_part[parts], return_index=True)
        is_new = ~is_known[codes]
        is_known[codes] = True
        is_short[codes[is_new]] = found[parts[at[is_new]]]
    found[asked] = is_short[code]
    return found
