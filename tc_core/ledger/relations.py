"""What prompts say of each other: which call one goes on from, and whose output it has been given.

The rules and their thresholds are those that were measured (`docs/provenance.md`): a relation is stated from a
confidence of 0.9 on, and where content alone cannot decide, nothing is said.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from tc_core.ledger.canonical import ASSISTANT, SCHEMA, SYSTEM
from tc_core.ledger.tree import Path, Place
from tc_core.model.ids import EventId
from tc_core.model.ports import Link
from tc_core.model.provenance import FACT, Relation
from tc_core.store.engine.database import Database, chunks
from tc_core.store.schema.tables import SEED_KEYS

MOST_CANDIDATES = 64
LEAST_DERIVED = 32
"""So many tokens a segment has at least that is said to be derived from another call's output."""
LEAST_TRIMMED = 16
MOST_UNMATCHED = 1
"""Segments between the system text and what is equal: one summary of what was cut."""
RETRY_US = 600_000_000

_OPEN_CHOICE = 0.8
_FAILED = SEED_KEYS["status", "error"]

_OF_EVENT = "event.key, event.id, event.at, event.session_id, event.root, event.status, event.model"
_OF_PROMPT = "prompt.node"
_OF_END = "prompt.out_node"
_OF_SEGMENT = "produced.segment"
_FROM = {
    _OF_PROMPT: "prompt JOIN event ON event.key = prompt.event",
    _OF_END: "prompt JOIN event ON event.key = prompt.event",
    _OF_SEGMENT: "produced JOIN event ON event.key = produced.event LEFT JOIN prompt ON prompt.event = produced.event",
}
_ORDER = {_OF_PROMPT: "prompt.event", _OF_END: "prompt.event", _OF_SEGMENT: "produced.event"}


class Event(NamedTuple):
    """What the rules know of an event."""

    key: int
    id: EventId
    at: int
    session: int | None
    root: int
    status: int
    model: int | None
    out_node: int | None


def found(connection: Connection, database: Database, prompts: Iterable[tuple[Event, Path]]) -> list[Link]:
    """Return the relations of some calls, whose rows are written, to older events."""
    rules = _Rules(connection, database)
    return [link for event, path in prompts for link in rules.of(event, path)]


def events(connection: Connection, database: Database, ids: Iterable[EventId]) -> dict[EventId, Event]:
    """Return what the rules know of some events, of those that are in the store."""
    found: dict[EventId, Event] = {}
    for some in chunks(list(ids)):
        condition, values = database.one_of("event.id", some)
        question = f"SELECT {_OF_EVENT}, NULL FROM event WHERE {condition}"  # noqa: S608  # names of ours
        found.update((row[1], Event(*row)) for row in map(tuple, connection.exec_driver_sql(question, values)))
    return found


class _Rules:
    """Holds what the calls of one batch ask of the store, most of it more than once."""

    def __init__(self, connection: Connection, database: Database) -> None:
        self._connection, self._database = connection, database
        self._known: dict[tuple[str, int], list[Event]] = {}
        self._up: dict[int, tuple[int | None, int, int]] = {}
        self._sources: dict[int, list[int]] = {}

    def of(self, event: Event, path: Path) -> Iterator[Link]:
        """Yield the relations of one call."""
        retried = self._retried(event, path)
        if retried is not None:
            yield retried
        continued = self._continued(event, path)
        if continued is not None and continued.confidence >= FACT:
            yield continued
        last = _last_answer(path)
        start = 0 if continued is None or last is None else path.index(last) + 1
        yield from self._derived(event, path[start:], continued)

    def _retried(self, event: Event, path: Path) -> Link | None:
        """The same prompt to the same model, shortly after a call with it has failed."""
        earlier = [
            each
            for each in self._candidates(_OF_PROMPT, path[-1].node)
            if each.at < event.at and each.model == event.model
        ]
        if not earlier or earlier[0].status != _FAILED or event.at - earlier[0].at > RETRY_US:
            return None
        if event.root == earlier[0].root or _same_scope(event, earlier[0]):
            return _link(event, "retry_of", earlier[0], 0.99)
        is_alone = len([each for each in earlier if each.status == _FAILED]) == 1
        return _link(event, "retry_of", earlier[0], 0.95) if len(path) > 2 or is_alone else None

    def _continued(self, event: Event, path: Path) -> Link | None:
        """The call whose prompt and answer this prompt begins with; else the one from which a trimmed history is."""
        last = _last_answer(path)
        if last is None:
            return None
        exact = [each for each in self._candidates(_OF_END, last.node) if each.at < event.at]
        return self._pick(event, exact, 0.99) if exact else self._trimmed(event, path, path.index(last))

    def _trimmed(self, event: Event, path: Path, last: int) -> Link | None:
        best: list[Event] = []
        best_run = best_weight = 0
        for other in self._candidates(_OF_SEGMENT, path[last].segment):
            if other.at >= event.at or other.out_node is None:
                continue
            run, weight = self._run_back(path, last, other.out_node)
            if run > best_run:
                best, best_run, best_weight = [other], run, weight
            elif run == best_run and run:
                best.append(other)
        head = next((place for place, each in enumerate(path) if each.what >> 3 != SYSTEM), 0)
        unmatched = last + 1 - best_run - head
        if not best or best_weight < LEAST_TRIMMED or unmatched > MOST_UNMATCHED:
            return None
        return self._pick(event, best, _trimmed_confidence(best_run, best_weight, unmatched))

    def _run_back(self, path: Path, last: int, node: int | None) -> tuple[int, int]:
        """Return length and tokens of what is equal before and with the last answer of a path, and another's answer."""
        run = weight = 0
        while node is not None and last - run >= 0:
            parent, segment, what = self._above(node)
            here = path[last - run]
            if (segment, what) != (here.segment, here.what) or what >> 3 == SYSTEM:
                break
            weight += here.tokens
            run, node = run + 1, parent
        return run, weight

    def _derived(self, event: Event, places: Iterable[Place], continued: Link | None) -> Iterator[Link]:
        """Segments that are no history of this conversation, and that another call or tool has put out."""
        said: set[EventId] = {continued.target} if continued is not None else set()
        for place in places:
            if not _may_be_derived(place):
                continue
            found = [self._maker(event, place.segment, 0.97, said)]
            if found == [None]:
                found = [self._maker(event, source, FACT, said) for source in self._quoted(place)]
            for link in found:
                if link is not None and link.target not in said:
                    said.add(link.target)
                    yield link

    def _maker(self, event: Event, segment: int, sure: float, said: set[EventId]) -> Link | None:
        """Return whose output a segment is, where that can be decided; none of those that are said already."""
        makers = [each for each in self._candidates(_OF_SEGMENT, segment) if each.at < event.at]
        makers = [each for each in makers if each.id not in said and each.key != event.key]
        near = [each for each in makers if _same_scope(event, each)]
        pool = near or makers
        if not pool:
            return None
        confidence = sure if len(pool) == 1 else FACT if near else FACT / len(pool)
        return _link(event, "derived_from", pool[0], confidence) if confidence >= FACT else None

    def _quoted(self, place: Place) -> list[int]:
        """Return the segments that a text quotes."""
        known = self._sources.get(place.segment)
        if known is None:
            written = f"SELECT source FROM quoted WHERE segment = {self._database.placeholder}"  # noqa: S608
            known = self._sources[place.segment] = [source for (source,) in self._rows(written, place.segment)]
        return known

    def _pick(self, event: Event, candidates: Sequence[Event], sure: float) -> Link | None:
        """Choose one of several that are alike: what is in the same session or run, then the latest."""
        near = [each for each in candidates if _same_scope(event, each)]
        pool = near or list(candidates)
        if len(pool) == 1:
            return _link(event, "continuation_of", pool[0], max(sure, 0.95) if near else sure)
        return _link(event, "continuation_of", pool[0], _OPEN_CHOICE / len(pool))

    # Questions

    def _candidates(self, question: str, value: int) -> list[Event]:
        """Return the newest events that a question has for a value, the latest first."""
        known = self._known.get((question, value))
        if known is None:
            known = sorted(
                (Event(*row) for row in self._rows(self._written(question), value)),
                key=lambda event: (event.at, event.key),
                reverse=True,
            )
            self._known[question, value] = known
        return known

    def _written(self, question: str) -> str:
        return (
            f"SELECT {_OF_EVENT}, prompt.out_node"  # noqa: S608  # names of ours
            f" FROM {_FROM[question]} WHERE {question} = {self._database.placeholder}"
            f" ORDER BY {_ORDER[question]} DESC LIMIT {MOST_CANDIDATES}"
        )

    def _above(self, node: int) -> tuple[int | None, int, int]:
        known = self._up.get(node)
        if known is None:
            written = f"SELECT parent, segment, what FROM node WHERE id = {self._database.placeholder}"  # noqa: S608
            ((parent, segment, what),) = self._rows(written, node)
            known = self._up[node] = (parent, segment, what)
        return known

    def _rows(self, question: str, value: int) -> Sequence[Sequence[Any]]:
        """Ask the driver itself: there are several questions for each call, and SQLAlchemy takes ten times as long."""
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(question, (value,))
            return cursor.fetchall()
        finally:
            cursor.close()


def _last_answer(path: Path) -> Place | None:
    return next((place for place in reversed(path) if place.what >> 3 == ASSISTANT), None)


def _may_be_derived(place: Place) -> bool:
    return place.tokens >= LEAST_DERIVED and place.what & 7 != SCHEMA and place.what >> 3 != ASSISTANT


def _same_scope(event: Event, other: Event) -> bool:
    return event.root == other.root or (event.session is not None and event.session == other.session)


def _trimmed_confidence(run: int, tokens: int, unmatched: int) -> float:
    if not unmatched:
        return 0.96 if run >= 2 else 0.85 if tokens >= 48 else 0.7
    return 0.92 if run >= 3 else 0.6


def _link(event: Event, relation: Relation, target: Event, confidence: float) -> Link:
    return Link(event.id, relation, target.id, "content", confidence)
