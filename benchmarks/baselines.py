"""What the figures are held against: an ORM with a commit for each event, the seed document's table, a bare driver."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel

from tc_core.model import ids
from tc_core.model.event import TrackingEvent, from_us

SEED_SCHEMA = """
CREATE TABLE events (
    event_id TEXT PRIMARY KEY,
    timestamp DATETIME NOT NULL,
    event_type TEXT NOT NULL,
    model TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost REAL,
    parent_id TEXT,
    labels TEXT,
    metadata TEXT
);
CREATE INDEX idx_timestamp ON events(timestamp);
CREATE INDEX idx_event_type ON events(event_type);
CREATE INDEX idx_parent_id ON events(parent_id);
CREATE INDEX idx_labels_time ON events(json_extract(labels, '$.agent_id'), timestamp);
CREATE INDEX idx_model_time ON events(model, timestamp);
"""
"""The table and the indexes of the seed document, where steps without model, tokens and cost are allowed too."""


class _Base(SQLModel, registry=registry()):
    """A registry of its own: the store makes all tables of SQLModel's."""


class NaiveEvent(_Base, table=True):
    """An event as one writes it down at first: all text, an index for each question."""

    __tablename__ = "naive_event"
    event_id: str = Field(primary_key=True)
    timestamp: str = Field(index=True)
    event_type: str
    model: str | None = Field(default=None, index=True)
    agent_id: str | None = Field(default=None, index=True)
    session_id: str | None = Field(default=None, index=True)
    workflow_id: str | None = Field(default=None, index=True)
    environment: str | None = None
    status: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    latency_ms: float | None = None
    parent_id: str | None = Field(default=None, index=True)
    labels: str
    details: str


def naive_engine(place: Path | str) -> Engine:
    """Make the table for the ORM: in a file, in WAL mode as ours, or in the PostgreSQL database that a URL names."""
    if isinstance(place, str):
        engine = create_engine(make_url(place).set(drivername="postgresql+psycopg"))
    else:
        engine = create_engine(f"sqlite:///{place}")
        event.listen(engine, "connect", _set_wal)
    _Base.metadata.create_all(engine)
    return engine


def _set_wal(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def save_by_orm(engine: Engine, events: Iterable[TrackingEvent]) -> None:
    """Save events as most trackers do: an object, a session and a commit each."""
    for each in events:
        with Session(engine) as session:
            session.add(
                NaiveEvent(
                    event_id=each.event_id,
                    timestamp=each.timestamp.isoformat(),
                    event_type=each.event_type,
                    model=each.model,
                    agent_id=each.agent_id,
                    session_id=each.session_id,
                    workflow_id=each.workflow_id,
                    environment=each.environment,
                    status=each.status,
                    input_tokens=each.input_tokens,
                    output_tokens=each.output_tokens,
                    cached_tokens=each.cached_tokens,
                    cost=each.cost,
                    latency_ms=each.latency_ms,
                    parent_id=each.parent_id,
                    labels=json.dumps(dict(each.labels)),
                    details=json.dumps(dict(each.metadata)),
                )
            )
            session.commit()


def naive_copy(source: Path, path: Path) -> sqlite3.Connection:
    """Make the naive table of all events that a store of ours has."""
    naive_engine(path).dispose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ATTACH ? AS ours", (str(source),))
    connection.create_function("uuid", 1, lambda id_: None if id_ is None else ids.to_text(id_))
    connection.create_function("iso", 1, lambda at_us: from_us(at_us).isoformat())
    texts = ("event_type", "model", "agent_id", "session_id", "workflow_id", "environment", "status")
    values = ", ".join(f"(SELECT value FROM ours.dimension WHERE id = event.{name})" for name in texts)
    connection.execute(
        f"""
        INSERT INTO naive_event (event_id, timestamp, {", ".join(texts)}, input_tokens, output_tokens, cached_tokens,
                                 cost, latency_ms, parent_id, labels, details)
        SELECT uuid(event.id), iso(at), {values}, input_tokens, output_tokens, cached_tokens,
               cost_nanos / 1e9, latency_us / 1000.0,
               uuid((SELECT id FROM ours.event AS parent WHERE parent."key" = event.parent)),
               coalesce((SELECT body FROM ours.label_set WHERE id = event.labels), '{{}}'),
               coalesce((SELECT body FROM ours.metadata_body WHERE id = event.details), '{{}}')
        FROM ours.event AS event
        """
    )
    return connection


def seed_database(path: Path) -> sqlite3.Connection:
    """Make the table of the seed document, in WAL mode as ours."""
    connection = _bare(path)
    connection.executescript(SEED_SCHEMA)
    return connection


def save_by_seed(connection: sqlite3.Connection, events: Iterable[TrackingEvent]) -> None:
    """Save events into the table of the seed document, each by itself as `save_event` does."""
    for each in events:
        labels = {"agent_id": each.agent_id, "session_id": each.session_id, **each.labels}
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                each.event_id,
                each.timestamp.isoformat(),
                each.event_type,
                each.model,
                each.input_tokens,
                each.output_tokens,
                each.cost,
                each.parent_id,
                json.dumps(labels),
                json.dumps(dict(each.metadata)),
            ),
        )
        connection.execute("COMMIT")


def seed_copy(source: Path, path: Path) -> sqlite3.Connection:
    """Make the table of the seed document of all events that a store of ours has: our view `events` has its columns."""
    connection = seed_database(path)
    connection.execute("ATTACH ? AS ours", (str(source),))
    connection.execute(
        """
        INSERT INTO main.events
        SELECT event_id, timestamp, event_type, model, input_tokens, output_tokens, cost, parent_id, labels, metadata
        FROM ours.events
        """
    )
    return connection


class BareTable:
    """The same rows in the same table with the same indexes, by sqlite3 alone: nothing in Python can be faster."""

    def __init__(self, path: Path, source: Path) -> None:
        self._source = sqlite3.connect(source)
        self._connection = _bare(path)
        made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'event' AND sql IS NOT NULL ORDER BY type DESC"
        for (statement,) in self._source.execute(made):
            self._connection.execute(statement)

    def rows_after(self, key: int) -> list[tuple[Any, ...]]:
        """Return the rows that the store has behind a key."""
        return self._source.execute('SELECT * FROM event WHERE "key" > ? ORDER BY "key"', (key,)).fetchall()

    def insert(self, rows: Sequence[tuple[Any, ...]], batch: int = 1000) -> None:
        """Insert rows in transactions of so many."""
        statement = f"INSERT INTO event VALUES ({', '.join('?' * len(rows[0]))})"
        for start in range(0, len(rows), batch):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(statement, rows[start : start + batch])
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close both files."""
        self._connection.close()
        self._source.close()


class BareCopy:
    """The same rows in the same table with the same indexes, in the same PostgreSQL database, by COPY alone."""

    def __init__(self, url: str, name: str) -> None:
        self._connection = psycopg.connect(url)
        self._table = name
        self._connection.execute(f"CREATE TABLE {name} (LIKE event INCLUDING ALL)".encode())
        self._types = [column.type_code for column in self._connection.execute("SELECT * FROM event").description or ()]
        self._connection.commit()

    def rows_after(self, key: int) -> list[tuple[Any, ...]]:
        """Return the rows that the store has behind a key."""
        rows = self._connection.execute('SELECT * FROM event WHERE "key" > %s ORDER BY "key"', (key,)).fetchall()
        self._connection.commit()
        return rows

    def insert(self, rows: Sequence[tuple[Any, ...]], batch: int = 1000) -> None:
        """Insert rows in transactions of so many."""
        for start in range(0, len(rows), batch):
            statement = f"COPY {self._table} FROM STDIN (FORMAT BINARY)".encode()
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(self._types)
                for row in rows[start : start + batch]:
                    copy.write_row(row)
            self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size=8192", "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-16384"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
