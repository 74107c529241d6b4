"""The outline of a run: its events as columns, in the order in which a tree shows them, however many there are.

A hundred thousand events as objects take seconds and hundreds of megabytes; as columns they take a tenth of that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tc_core.errors import LineageError
from tc_core.lineage import sql
from tc_core.lineage.bare_graph import NOWHERE, Mask, Numbers
from tc_core.lineage.critical import CriticalPath, CriticalStep, Piece, path_of, waited_for, waited_name
from tc_core.lineage.sql import RELATION_OF
from tc_core.model import ids
from tc_core.model.event import CALL_TYPES
from tc_core.model.ids import EventId
from tc_core.store.sql import SqlStore


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over each event and all below it, by places."""

    calls: Numbers
    priced: Numbers
    unpriced: Numbers
    estimated: Numbers
    failed: Numbers
    cost_nanos: Numbers

    def cost_of(self, place: int) -> int | None:
        """Return a subtree's cost, None where it has calls and no price is known for any."""
        nanos = int(self.cost_nanos[place])
        return None if self.calls[place] and not self.priced[place] and not nanos else nanos


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A run as columns: each event has a place, parents come before children, these in order of time.

    Where times are unknown, or tokens, the column has None. `facts` are (newer, relation, older); the older is
    `NOWHERE` where it lies in another run. `begins` are microseconds since 1970, `ends` too, of what has none recorded
    the last below it.
    """

    run_id: str
    ids: Sequence[EventId]
    parents: Sequence[int]
    depths: Sequence[int]
    sizes: Sequence[int]
    """How many events each subtree has, with its root."""
    begins: Sequence[int]
    took: Sequence[int | None]
    ends: Sequence[int]
    types: Sequence[str]
    names: Sequence[str]
    agents: Sequence[str | None]
    statuses: Sequence[str]
    errors: Sequence[str | None]
    input_tokens: Sequence[int | None]
    output_tokens: Sequence[int | None]
    cached_tokens: Sequence[int | None]
    usage_sources: Sequence[str | None]
    own_costs: Sequence[int | None]
    facts: Sequence[tuple[int, str, int]]
    sums: Sums

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.ids)

    def below(self, place: int) -> range:
        """Return the places of an event and of all below it."""
        return range(place, place + self.sizes[place])

    def children(self, place: int) -> Iterator[int]:
        """Yield the places right below one."""
        child, end = place + 1, place + self.sizes[place]
        while child < end:
            yield child
            child += self.sizes[child]

    def place_of(self, tail: str) -> int | None:
        """Return the place of the event whose id ends with some digits, None where there is none."""
        digits = tail.replace("-", "").lower()
        return next((place for place, id_ in enumerate(self.ids) if id_.hex().endswith(digits)), None)

    def critical_path(self, place: int = 0) -> CriticalPath:
        """Return what the run, or a branch of it, waited for; see `critical.critical_path`."""
        began = self.begins[place]
        steps = tuple(
            CriticalStep(
                *(ids.to_text(self.ids[at]), self.names[at], self.types[at], self.agents[at]),
                (begin - began) / 1000,
                (end - begin) / 1000,
                is_wait,
            )
            for at, begin, end, is_wait in self.waited_for(place)
        )
        return path_of(steps, (self.ends[place] - began) / 1000)

    def who_was_waited_for(self, pieces: Sequence[Piece]) -> tuple[list[str], int]:
        """Return the agents and tools of a path in their order, and how long they worked (us)."""
        names: list[str] = []
        busy_us = 0
        for at, begin, end, is_wait in pieces:
            if not is_wait:
                busy_us += end - begin
                name = waited_name(self.types[at], self.names[at], self.agents[at])
                if not names or names[-1] != name:
                    names.append(name)
        return names, busy_us

    def waited_for(self, place: int = 0) -> list[Piece]:
        """Return the pieces of that path."""
        children: list[list[int]] = [[] for _ in range(len(self))]
        for child in self.below(place)[1:]:
            children[self.parents[child]].append(child)
        return waited_for(children, self.begins, self.ends, place)


def outline(store: SqlStore, run_id: str) -> Outline:
    """Return a run by the id of its root; raise LineageError where it is not recorded."""
    with store.question() as connection:
        columns, facts = sql.outline_of(connection, run_id)
        rows = dict(zip(sql.OUTLINE, columns, strict=True))
        keys = set().union(*(rows[name] for name in _TEXTS)) - {None}
        texts: dict[int | None, str | None] = {None: None}
        texts.update(store.interned.values(connection, keys).items())
    if not rows["key"]:
        raise LineageError(f"No run {run_id} is recorded: `token-calc runs` lists what is.")
    return _made(run_id, rows, facts, texts)


_TEXTS = ("event_type", "name", "model", "agent_id", "status", "error_type", "usage_source")


def _made(
    run_id: str,
    rows: Mapping[str, Sequence[Any]],
    facts: Sequence[Sequence[int]],
    texts: Mapping[int | None, str | None],
) -> Outline:
    order, parents, depths = _in_tree_order(rows, ids.from_text(run_id))

    def column(name: str) -> list[Any]:
        values = rows[name]
        return [values[number] for number in order]

    def texts_of(name: str) -> list[Any]:
        return [texts[key] for key in column(name)]

    begins, took = column("at"), column("latency_us")
    types, sizes = texts_of("event_type"), _sizes(parents)
    named = zip(types, texts_of("name"), texts_of("model"), strict=True)
    places = {key: place for place, key in enumerate(column("key"))}
    statuses, sources, costs = texts_of("status"), texts_of("usage_source"), column("cost_nanos")
    tokens = {name: column(name) for name in ("input_tokens", "output_tokens", "cached_tokens")}
    return Outline(
        run_id=run_id,
        ids=[bytes(id_) for id_ in column("id")],
        parents=parents,
        depths=depths,
        sizes=sizes,
        begins=begins,
        took=took,
        ends=_ends(begins, took, parents),
        types=types,
        names=[(model if type_ in CALL_TYPES else name) or type_ for type_, name, model in named],
        agents=texts_of("agent_id"),
        statuses=statuses,
        errors=texts_of("error_type"),
        **tokens,
        usage_sources=sources,
        own_costs=costs,
        facts=[
            (places[newer], RELATION_OF[kind], places.get(older, NOWHERE))
            for newer, kind, older in facts
            if newer in places
        ],
        sums=_sums(types, statuses, sources, costs, tokens, sizes),
    )


def _in_tree_order(rows: Mapping[str, Sequence[Any]], root_id: bytes) -> tuple[list[int], list[int], list[int]]:
    """Return the numbers of rows as a tree shows them, with the place of each one's parent, and its depth."""
    numbers: dict[int | None, int] = {key: number for number, key in enumerate(rows["key"])}
    root = next((number for number, id_ in enumerate(rows["id"]) if bytes(id_) == root_id), 0)
    # One whose parent is elsewhere hangs under the root.
    above = [numbers.get(parent, root) for parent in rows["parent"]]
    # Children as chains of numbers: a list for each event would keep the garbage collector busy longer than all else.
    first, following = [NOWHERE] * len(above), [NOWHERE] * len(above)
    for number in range(len(above) - 1, -1, -1):
        if number != root:
            following[number], first[above[number]] = first[above[number]], number
    order: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    place_of = [NOWHERE] * len(above)
    waiting = [root]
    while waiting:
        number = waiting.pop()
        if number == NOWHERE or place_of[number] != NOWHERE:
            number = NOWHERE
        else:
            place_of[number] = len(order)
            parent = NOWHERE if number == root else max(place_of[above[number]], 0)
            order.append(number)
            parents.append(parent)
            depths.append(0 if number == root else depths[parent] + 1)
            waiting += (following[number], first[number]) if number != root else (first[number],)
        if not waiting and len(order) < len(above):  # parents in a circle, as imported ones may be
            waiting.append(place_of.index(NOWHERE))
    return order, parents, depths


def _ends(begins: Sequence[int], took: Sequence[int | None], parents: Sequence[int]) -> list[int]:
    """Return when events ended, as `critical.ends_of` does."""
    ends = [begin if us is None else begin + us for begin, us in zip(begins, took, strict=True)]
    for place in range(len(parents) - 1, 0, -1):
        parent = parents[place]
        if took[parent] is None and ends[place] > ends[parent]:
            ends[parent] = ends[place]
    return ends


def _sizes(parents: Sequence[int]) -> list[int]:
    sizes = [1] * len(parents)
    for place in range(len(parents) - 1, 0, -1):
        sizes[parents[place]] += sizes[place]
    return sizes


def _sums(
    types: Sequence[str],
    statuses: Sequence[str],
    sources: Sequence[str | None],
    costs: Sequence[int | None],
    tokens: Mapping[str, Sequence[int | None]],
    sizes: Sequence[int],
) -> Sums:
    """Return what `model.totals` says of each event, summed up over what lies below it."""
    count = len(types)

    def mask(values: Iterable[bool]) -> Mask:
        return np.fromiter(values, np.bool_, count)

    is_ended = mask([status != "open" for status in statuses])
    is_call = mask([type_ in CALL_TYPES for type_ in types]) & is_ended
    is_error, is_priced = mask([status == "error" for status in statuses]), mask([cost is not None for cost in costs])
    has_usage = mask([read is not None for read in tokens["input_tokens"]])
    has_usage |= mask([read is not None for read in tokens["output_tokens"]])
    is_estimated = mask([source is not None and source != "provider" for source in sources])
    own: list[Any] = [
        is_call,
        is_call & is_priced,
        is_call & ~is_priced & (has_usage | ~is_error),
        is_call & is_estimated,
        is_call & is_error,
        np.fromiter([cost or 0 for cost in costs], np.int64, count) * is_ended,
    ]
    begins = np.arange(count)
    ends = begins + np.asarray(sizes, np.int64)
    upto = [np.concatenate([[0], np.cumsum(each, dtype=np.int64)]) for each in own]
    return Sums(*(each[ends] - each[begins] for each in upto))
