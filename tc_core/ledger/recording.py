"""What the ledger does with each call whose event is in the store: it reads the texts, and writes hashes and sizes."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from tc_core.ledger import content, relations
from tc_core.ledger.canonical import TOOL_RESULT, Schemas, items
from tc_core.ledger.quoting import Quotes, Quoting
from tc_core.ledger.tables import NodeRow, SegmentRow
from tc_core.ledger.tree import News, Path, Tree
from tc_core.meter import tokens
from tc_core.model.ids import EventId
from tc_core.model.part import Texts
from tc_core.model.ports import Batch, Link
from tc_core.record.guard import faults
from tc_core.store.engine.database import Database, Rows, chunks
from tc_core.store.schema.tables import table
from tc_core.store.sql import SqlStore

_SEGMENT = table(SegmentRow)
_NODE = table(NodeRow)


class Call(NamedTuple):
    """What a batch has of one call, tool or retrieval."""

    id: EventId
    path: Path
    """The prompt's; empty for what is no call."""
    answer: Path
    produced: Sequence[int]
    """The segments that it has put out."""


class Recording:
    """Reads texts, batch by batch, on one thread."""

    def __init__(self, store: SqlStore, key: Callable[[], bytes], capture: content.Capture | None = None) -> None:
        self._store = store
        self._key = key
        self._schemas = Schemas()
        self._quoting = Quoting(store.database, key)
        self._capture = capture

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self._key(), _count)  # at the first text: a key is made where there is none

    def after(self, texts: Sequence[Texts]) -> None:
        """Write what the ledger keeps of some events, in one transaction, and what their texts say of each other.

        Raises StorageError; then these events have no details.
        """
        try:
            try:
                links = self._write(texts)
            except _GoneError:  # what we remember to be in the store was swept, or the store is another one
                self._forget()
                links = self._write(texts)
        except BaseException:
            self._forget()
            raise
        if links:
            self._store.sink.write(Batch(links=links))

    def _write(self, texts: Sequence[Texts]) -> list[Link]:
        calls = [call for each in texts if (call := self._read(each)) is not None]
        kept = [] if self._capture is None else self._capture.rows()
        batch = _Batch(calls, self._tree.take_news(), self._quoting.take(), kept)
        batch.news.leant_on_segments.update(source for _, source, _ in batch.quotes.quoted)
        return self._store.database.transact(lambda connection: _write(connection, self._store.database, batch))

    def _forget(self) -> None:
        self._tree.forget()
        self._quoting.forget()
        if self._capture is not None:
            self._capture.forget()

    def _read(self, texts: Texts) -> Call | None:
        record = texts.record
        said = items(texts.output, self._schemas)
        model = record.served_model or record.model
        if record.event_type == "llm_call":
            if not texts.prompt:
                return None
            asked = items(texts.prompt, self._schemas)
            path = self._tree.path(asked, model)
            self._quoting.ask(asked, path, self._tree.news.segments)
            answer = self._tree.extend(path, said, model)
            self._quoting.offer(said, ((place.segment, place.tokens) for place in answer))
            if self._capture is not None:
                self._capture.take([*asked, *said], (place.segment for place in (*path, *answer)))
            return Call(record.id, path, answer, [place.segment for place in answer]) if path else None
        if record.event_type in ("tool", "retrieval") and said:
            produced = [self._tree.segment(item.body, model) for item in said]
            self._quoting.offer((item._replace(what=TOOL_RESULT) for item in said), produced)
            segments = [segment for segment, _ in produced]
            if self._capture is not None:
                self._capture.take(said, segments)
            return Call(record.id, [], [], segments)
        return None


class _GoneError(Exception):
    """Something that was in the store is not there any more."""


class _Batch(NamedTuple):
    """What the ledger writes in one transaction."""

    calls: Sequence[Call]
    news: News
    quotes: Quotes
    content: Sequence[tuple[int, int, bytes]]


def _write(connection: Connection, database: Database, batch: _Batch) -> list[Link]:
    news, quotes = batch.news, batch.quotes
    _check(connection, _NODE.c.id, news.leant_on_nodes - news.nodes.keys())
    _check(connection, _SEGMENT.c.id, news.leant_on_segments - news.segments.keys())
    known = relations.events(connection, database, [call.id for call in batch.calls])
    calls = [call for call in batch.calls if call.id in known]
    rows: dict[str, tuple[Sequence[str], Rows]] = {
        "segment": (("id", "tail", "tokens"), sorted(news.segments.values())),
        "node": (
            ("id", "parent", "segment", "what", "depth", "prefix"),
            sorted(news.nodes.values(), key=lambda row: row[0]),
        ),
        "prompt": (
            ("event", "node", "out_node"),
            sorted(
                (known[call.id].key, call.path[-1].node, call.answer[-1].node if call.answer else None)
                for call in calls
                if call.path
            ),
        ),
        "produced": (
            ("segment", "event"),
            sorted({(segment, known[call.id].key) for call in calls for segment in call.produced}),
        ),
        "quotable": (("segment", "blocks"), quotes.quotable),
        "quoted": (("segment", "source", "tokens"), quotes.quoted),
    }
    for name, (columns, values) in rows.items():
        database.insert_missing(connection, name, columns, values)
    _note_clashes(connection, news)
    content.write(connection, database, batch.content)
    return relations.found(connection, database, [(known[call.id], call.path) for call in calls if call.path])


def _check(connection: Connection, column: ColumnElement[int], wanted: Iterable[int]) -> None:
    """Raise where not all of these are in the store."""
    known = sorted(wanted)
    there = sum(len(connection.execute(select(column).where(column.in_(some))).all()) for some in chunks(known))
    if there != len(known):
        raise _GoneError


def _note_clashes(connection: Connection, news: News) -> None:
    """Count contents whose id is another one's in the store: once in millions of years, unless somebody makes them."""
    for some in chunks(sorted(news.segments)):
        question = select(_SEGMENT.c.id, _SEGMENT.c.tail).where(_SEGMENT.c.id.in_(some))
        for id_, tail in connection.execute(question):
            if news.segments[id_][1] != tail:
                faults.note("ledger: two contents have one id, and are taken for the same")


def _count(text: str, model: str | None) -> int:
    return tokens.count(text, model, corrects=False).tokens
