"""Keeping what prompts and answers say, where a user has asked for it: each text once, redacted, for some days."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, delete, exists, select

from tc_core import settings
from tc_core.errors import ConfigurationError
from tc_core.ledger.canonical import ASSISTANT, CALL, RESULT, SCHEMA, SYSTEM, TEXT, TOOL, USER, Item
from tc_core.ledger.tables import ContentRow, NodeRow, ProducedRow, PromptRow, SegmentRow
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.event import TrackingEvent
from tc_core.record.guard import attempt
from tc_core.store.engine.database import Database
from tc_core.store.read.filters import EVENT
from tc_core.store.schema.tables import table
from tc_core.store.sql import SqlStore

Redaction = Callable[[str], str | None]
"""Returns a text as it may be kept, or None for one that may not."""

MOST_KEPT = 65_536
SECONDS_A_DAY = 86_400

_CONTENT = table(ContentRow)
_NODE = table(NodeRow)
_PRODUCED = table(ProducedRow)
_PROMPT = table(PromptRow)
_SEGMENT = table(SegmentRow)
_ROLES = {SYSTEM: "system", USER: "user", ASSISTANT: "assistant", TOOL: "tool"}
_KINDS = {TEXT: "text", CALL: "tool_call", RESULT: "tool_result", SCHEMA: "tool_schema"}

_redaction: Redaction | None = None


def redact_content(redaction: Redaction) -> Redaction:
    """Have each text pass a function before it is kept, where `capture_content` is on; usable as a decorator.

    It is given a text and returns what may be kept of it, None for nothing; one that raises keeps nothing of that text.
    It runs on a thread of ours. It beats `redaction` under `tracking` in the settings file, which names such a function
    as `module:name`.
    """
    global _redaction
    _redaction = redaction
    return redaction


def redaction() -> Redaction | None:
    """Return the function that texts pass, if any. Raises ConfigurationError where the one named is not there."""
    named = settings.load().tracking.redaction
    if _redaction is not None or named is None:
        return _redaction
    module, _, name = named.partition(":")
    try:
        found: Redaction = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"tracking.redaction: {named!r} cannot be imported: {error}") from error
    return found


class Capture:
    """Collects the texts of a batch, each once a day; on one thread."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing: what was taken may not be in the store."""
        self._day = 0
        self._kept: set[int] = set()
        self._texts: dict[int, bytes] = {}

    def take(self, items: Iterable[Item], segments: Iterable[int]) -> None:
        """Take the texts of some segments."""
        today = clock.wall_ns() // 1_000_000_000 // SECONDS_A_DAY
        if today != self._day or len(self._kept) > MOST_KEPT:
            self._day, self._kept = today, set()
        for item, segment in zip(items, segments, strict=True):
            if segment not in self._kept:
                self._kept.add(segment)
                kept = attempt(_redacted, item.body)  # a redaction that fails keeps nothing
                if kept is not None:
                    self._texts[segment] = kept.encode("utf-8", "surrogatepass")

    def rows(self) -> list[tuple[int, int, bytes]]:
        """Return the rows that the batch has."""
        texts, self._texts = self._texts, {}
        return sorted((segment, self._day, text) for segment, text in texts.items())


def _redacted(text: str) -> str | None:
    function = redaction()
    return text if function is None else function(text)


def write(connection: Connection, database: Database, rows: Sequence[tuple[int, int, bytes]]) -> None:
    """Keep texts; those that are there already begin their time anew."""
    if rows:
        values = ", ".join([database.placeholder] * 3)
        statement = f"INSERT INTO content (segment, day, text) VALUES ({values})"  # noqa: S608  # placeholders
        connection.exec_driver_sql(f"{statement} ON CONFLICT (segment) DO UPDATE SET day = excluded.day", list(rows))


class Expiry:
    """Takes texts away whose days are over, once a day."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done_on: int | None = None

    def daily(self) -> float:
        """Do it, if it is not done today; return in how many seconds it is to be done again."""
        now = clock.wall_ns() / 1e9
        today = int(now // SECONDS_A_DAY)
        if self._done_on != today:
            days = settings.load().tracking.content_retention_days
            old = _CONTENT.c.day < today - days
            with self._database.reading() as connection:
                is_there = connection.execute(select(exists().where(old))).scalar()
            if is_there:
                self._database.transact(lambda connection: connection.execute(delete(_CONTENT).where(old)))
            self._done_on = today
        return (today + 1) * SECONDS_A_DAY - now


@dataclass(frozen=True, slots=True)
class ContentPart:
    """One part of a prompt or an answer: who says it, what it is, its tokens, and its text where that is kept."""

    role: str
    kind: str
    tokens: int
    text: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Content:
    """What a call was sent, and what it, a tool or a retriever has put out."""

    prompt: tuple[ContentPart, ...]
    output: tuple[ContentPart, ...]

    @property
    def is_kept(self) -> bool:
        """Whether any text of it is kept."""
        return any(part.text is not None for part in (*self.prompt, *self.output))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: [part.to_dict() for part in getattr(self, name)] for name in ("prompt", "output")}


def content_of(store: SqlStore, event: TrackingEvent) -> Content:
    """Return what the ledger has of an event's content: of texts only those that are kept."""
    of_event = select(EVENT.c.key).where(EVENT.c.id == ids.from_text(event.event_id)).scalar_subquery()
    with store.question() as connection:
        ends = connection.execute(select(_PROMPT.c.node, _PROMPT.c.out_node).where(_PROMPT.c.event == of_event)).first()
        if ends is None:
            question = select(_PRODUCED.c.segment).where(_PRODUCED.c.event == of_event)
            made = [(segment, TOOL * 8 + RESULT) for segment in connection.execute(question).scalars()]
            return Content((), tuple(_parts(connection, made)))
        prompt = _path(connection, ends.node)
        whole = prompt if ends.out_node is None else _path(connection, ends.out_node)
        return Content(tuple(_parts(connection, prompt)), tuple(_parts(connection, whole[len(prompt) :])))


def _path(connection: Connection, end: int) -> list[tuple[int, int]]:
    columns = (_NODE.c.id, _NODE.c.parent, _NODE.c.segment, _NODE.c.what, _NODE.c.depth)
    way = select(*columns).where(_NODE.c.id == end).cte("way", recursive=True)
    way = way.union_all(select(*columns).join(way, way.c.parent == _NODE.c.id))
    return [(row.segment, row.what) for row in connection.execute(select(way).order_by(way.c.depth))]


def _parts(connection: Connection, places: Sequence[tuple[int, int]]) -> Iterable[ContentPart]:
    question = select(_SEGMENT.c.id, _SEGMENT.c.tokens, _CONTENT.c.text).select_from(
        _SEGMENT.outerjoin(_CONTENT, _CONTENT.c.segment == _SEGMENT.c.id)
    )
    known: dict[int, Any] = {}
    for segment, what in places:
        if segment not in known:
            known[segment] = connection.execute(question.where(_SEGMENT.c.id == segment)).one()
        row = known[segment]
        text = None if row.text is None else bytes(row.text).decode("utf-8", "surrogatepass")
        yield ContentPart(_ROLES[what >> 3], _KINDS[what & 7], row.tokens, text)
