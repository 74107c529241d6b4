"""Finding what new texts quote of earlier outputs, also of those that other processes have recorded."""

from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, func, select

from tc_core.ledger.canonical import ANSWER, SYSTEM, TEXT, TOOL_RESULT, USER, Item, what
from tc_core.ledger.relations import LEAST_DERIVED
from tc_core.ledger.tables import QuotableRow, SegmentRow
from tc_core.ledger.tree import Place
from tc_core.meter import loading
from tc_core.store.engine.database import Database, chunks
from tc_core.store.schema.tables import table

if TYPE_CHECKING:
    from tc_core.ledger.quotations import Quotations

MOST_READ = 100_000
"""So many of the newest outputs of a store may be found."""

_QUOTABLE = table(QuotableRow)
_SEGMENT = table(SegmentRow)
_SOURCES = frozenset({ANSWER, TOOL_RESULT})
_ASKED = frozenset({what(USER, TEXT), what(SYSTEM, TEXT)})


class Quotes(NamedTuple):
    """What a batch has of quotations: the rows of both tables."""

    quotable: list[tuple[int, bytes]]
    quoted: list[tuple[int, int, int]]


class Quoting:
    """Takes the texts of a batch, on one thread."""

    def __init__(self, database: Database, key: Callable[[], bytes]) -> None:
        self._database, self._key = database, key
        self._index: Quotations | None = None
        self.forget()

    def forget(self) -> None:
        """Know nothing: what was taken may not be in the store."""
        self._offered: list[tuple[int, str]] = []
        self._quoted: list[tuple[int, int, int]] = []
        self._asked: set[int] = set()
        if self._index is not None:
            self._index.forget()

    def offer(self, items: Iterable[Item], places: Iterable[tuple[int, int]]) -> None:
        """Let outputs be found by what comes after them; `places` are segments and their tokens."""
        for item, (segment, tokens) in zip(items, places, strict=True):
            if tokens >= LEAST_DERIVED and item.what in _SOURCES:
                self._offered.append((segment, item.body))

    def ask(self, items: Iterable[Item], places: Iterable[Place], new: Container[int]) -> None:
        """Find what the texts of a prompt quote that are new."""
        wanted = {
            place.segment: (item.body, place.tokens)
            for item, place in zip(items, places, strict=True)
            if place.segment in new and place.tokens >= LEAST_DERIVED and item.what in _ASKED
        }
        wanted = {segment: asked for segment, asked in wanted.items() if segment not in self._asked}
        if not wanted:
            return
        index = self._loaded()
        if not self._asked:
            self._catch_up(index)
        self._take_offered(index)
        self._asked.update(wanted)
        for segment in wanted.keys() - self._in_store(wanted):  # what was said before cannot quote what came after
            body, tokens = wanted[segment]
            for source, share in index.of(segment, body):
                self._quoted.append((segment, source, max(1, round(tokens * share))))

    def take(self) -> Quotes:
        """Return what the batch has, and begin the next one."""
        quotable: list[tuple[int, bytes]] = []
        if self._offered or self._index is not None:
            index = self._loaded()
            self._take_offered(index)
            quotable = [(source.segment, source.blocks) for source in index.take_news()]
        quoted, self._quoted, self._asked = self._quoted, [], set()
        return Quotes(sorted(quotable), sorted(quoted))

    def _take_offered(self, index: "Quotations") -> None:
        for segment, body in self._offered:
            index.add(segment, body)
        self._offered = []

    def _loaded(self) -> "Quotations":
        if self._index is None:
            with loading.lock:  # numpy takes a tenth of a second, which no host waits for
                from tc_core.ledger.quotations import Quotations
            self._index = Quotations(self._key())
        return self._index

    def _catch_up(self, index: "Quotations") -> None:
        with self._database.reading() as connection:
            for key, segment, blocks in _sources_after(connection, index.newest):
                index.read(key, segment, blocks)

    def _in_store(self, segments: Iterable[int]) -> set[int]:
        with self._database.reading() as connection:
            return {
                found
                for some in chunks(list(segments))
                for found in connection.execute(select(_SEGMENT.c.id).where(_SEGMENT.c.id.in_(some))).scalars()
            }


def _sources_after(connection: Connection, key: int) -> list[tuple[int, int, bytes]]:
    newest = connection.execute(select(func.max(_QUOTABLE.c.key))).scalar() or 0
    question = select(_QUOTABLE.c.key, _QUOTABLE.c.segment, _QUOTABLE.c.blocks)
    question = question.where(_QUOTABLE.c.key > max(key, newest - MOST_READ)).order_by(_QUOTABLE.c.key)
    return [(row.key, row.segment, row.blocks) for row in connection.execute(question)]
