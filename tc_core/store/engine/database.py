"""What every kind of database must say in its own words; each kind has a file of its own."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import tenacity
from sqlalchemy import ColumnElement, Connection, Engine, Select

from tc_core.errors import StorageError
from tc_core.foreign import let_pass
from tc_core.model.patience import is_out, left
from tc_core.model.scope import DIMENSIONS
from tc_core.store.engine.gate import gate
from tc_core.store.engine.own_engine import raise_swallowed

LOCK_SECONDS = 5.0
"""How long a lock of another process is waited for."""

_FORK_SECONDS = 0.05
"""How long a fork may have to wait for who waits in line."""

Rows = Sequence[tuple[Any, ...]]
T = TypeVar("T")


class ConflictError(StorageError):
    """Another transaction was faster: the same work may succeed when it is done again at once."""


def give_way(database: object) -> None:
    """Where a fork waits for this thread, which only waits itself: raise ConflictError."""
    if gate.is_closed:
        raise ConflictError(f"cannot write {database}: the process is being forked")


class Database(ABC):
    """A database: its connections, its transactions, and what its SQL says differently.

    A forked child neither uses nor closes the connections of its parent.
    """

    placeholder: str
    """How a parameter is written."""
    driver_errors: tuple[type[BaseException], ...]
    """What goes wrong in SQLAlchemy or below it."""
    path: Path | None = None
    """The database's file, if it is one."""
    read_only = False
    is_in_memory = False
    """Whether it is gone with this process."""
    is_encrypted = False
    """Whether nobody can read its file without a key, which the files beside it must not tell either."""
    may_be_away = False
    """Whether it can be out of reach for a while: then what is recorded waits in the spool."""
    writers_overlap = False
    """Whether several write transactions may be under way at once."""
    has_events_in_order = True
    """Whether an index has the events in order of time, so that the latest are found without a search."""
    schema_before: str | None = None
    """The schema that it had when it was opened; None when it was made then."""
    row_lock = ""
    """What a SELECT ends with whose rows will be changed."""

    def __init__(self) -> None:
        self.on_fork: Callable[[], object] = lambda: None
        """Called in a forked child before the first use there, where what is kept in memory is gone."""
        self.on_begin: Callable[[Connection], object] = lambda _: None
        """Called at the start of each transaction; what it raises ends that."""
        self.on_replaced: Callable[[], object] = lambda: None
        """Called when there is another database in the old one's place: what is known of its rows is wrong."""
        self.make_ready: Callable[[], object] = lambda: None
        """Brings it to today's schema."""
        self._is_ready = self._is_getting_ready = False
        self._readying = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self.engine = self._create_engine()
        self._turn: AbstractContextManager[object] = nullcontext()
        self._writers = threading.Lock()

    def get_ready(self) -> None:
        """Bring it to today's schema, once; others wait meanwhile. Raises StorageError when that fails."""
        with self._readying:
            if self._is_ready or self._is_getting_ready:
                return
            self._is_getting_ready = True
            try:
                self.make_ready()
                self._is_ready = True
            finally:
                self._is_getting_ready = False

    # Transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection inside one consistent read transaction; raise StorageError when that fails."""
        self._notice_changes()
        inside = gate.passed(at_file=self.path is not None)
        with inside, self._turn, self._explained("read"), self.engine.connect() as connection:
            self._begin_reading(connection)
            self.on_begin(connection)
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """Give a connection inside one write transaction, committed at the end of the block.

        With `alone` no other write transaction is under way meanwhile. Raises StorageError when that fails.
        """
        self.check_writable()
        self._notice_changes()
        with (
            gate.passed(at_file=self.path is not None),
            self._turn,
            self._as_writer(),
            self._explained("write"),
            self.engine.connect() as connection,
        ):
            self._begin_writing(connection, alone=alone)
            self.on_begin(connection)
            yield connection
            connection.commit()

    def transact(self, do: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Do some work in one write transaction, and again where another one was faster; return what it returns.

        Of what the work leaves behind outside the database, only that of the last time counts. Raises StorageError.
        """
        for attempt in _CONFLICTS:
            with attempt, self.writing(alone=alone) as connection:
                result = do(connection)
        return result

    def check_writable(self) -> None:
        """Raise StorageError for a database that can only be read."""
        if self.read_only:
            raise StorageError(f"{self} can only be read: {self._why_read_only}")

    @contextmanager
    def _as_writer(self) -> Iterator[None]:
        """Where one transaction at a time may write: wait in line behind this process's other threads.

        Many threads that ask the database again and again keep each other from getting a turn.
        """
        if self.writers_overlap:
            yield
            return
        line, deadline = self._writers, time.monotonic() + left(LOCK_SECONDS)
        is_mine = line.acquire(blocking=False)
        while not is_mine and (rest := deadline - time.monotonic()) > 0:
            give_way(self)
            is_mine = line.acquire(timeout=min(rest, _FORK_SECONDS))
        if not is_mine and not is_out():  # its holder is very slow, or was struck by a signal's exception
            self._writers = threading.Lock()
        try:
            yield
        finally:
            if is_mine:
                line.release()

    def close(self) -> None:
        """Give back all connections; the next use opens new ones."""
        self.discard()

    def discard(self) -> None:
        """Close all connections for good."""
        if os.getpid() == self._process:
            with self._turn:
                self.engine.dispose()

    def _notice_changes(self) -> None:
        """Before each transaction: in a forked child, begin anew."""
        if os.getpid() != self._process:
            _inherited.append(self.engine)
            self._readying, self._is_getting_ready = threading.RLock(), False
            self._begin()
            self._after_fork()
        if not self._is_ready:
            self.get_ready()

    def _after_fork(self) -> None:  # noqa: B027  # nothing to do where nothing lies in memory
        """In a forked child, once it has an engine of its own."""

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
            raise_swallowed()
        except self.driver_errors as error:
            raise_swallowed()
            let_pass(error)
            raise self._storage_error(verb, getattr(error, "orig", None) or error) from error

    @abstractmethod
    def _create_engine(self) -> Engine: ...

    @abstractmethod
    def _begin_reading(self, connection: Connection) -> None: ...

    @abstractmethod
    def _begin_writing(self, connection: Connection, *, alone: bool) -> None: ...

    @abstractmethod
    def _storage_error(self, verb: str, cause: BaseException) -> StorageError: ...

    @property
    @abstractmethod
    def _why_read_only(self) -> str: ...

    # Its life

    @abstractmethod
    def make_durable(self, file: str) -> None:
        """Return once every commit before, and with it the mark of a spool file, survives a loss of power."""

    @abstractmethod
    def tables(self) -> set[str]:
        """Return the names of the tables without changing anything; raise StorageError for what is no database."""

    @abstractmethod
    def is_foreign(self, tables: set[str]) -> bool:
        """Tell whether a database with these tables, and none that names a version, is somebody else's."""

    @abstractmethod
    def prepare(self) -> None:
        """Do what must be done before the first table is made."""

    @abstractmethod
    def mark_as_new(self, connection: Connection) -> None:
        """Do what must be done once the tables of a new database are made and seeded."""

    @abstractmethod
    def size(self, connection: Connection) -> int:
        """Return how many bytes it takes on the disk."""

    @abstractmethod
    def damage(self, connection: Connection) -> list[tuple[str, str]]:
        """Return which tables cannot be read as they should, and why."""

    @abstractmethod
    def table_bytes(self, connection: Connection) -> dict[str, int]:
        """Return the bytes of each table with its indexes, as far as that is known."""

    @abstractmethod
    def compact(self) -> None:
        """Give back the room of what was deleted; others wait meanwhile where it must be so."""

    # What readers keep of events

    def note_edit(self, connection: Connection) -> None:  # noqa: B027  # nothing to do where nobody keeps any
        """Note, with what a write transaction does, that events that had ended change or go."""

    def edition(self, connection: Connection) -> object | None:
        """Return what is another thing after each `note_edit`; None where nothing may be kept."""
        return None

    # Its SQL

    @abstractmethod
    def allocate_keys(self, connection: Connection, table: str, key: str, count: int) -> Sequence[int]:
        """Return `count` keys that no row has or will have, in ascending order."""

    @abstractmethod
    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows that are new."""

    @abstractmethod
    def insert_missing(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert those rows whose key is not there yet."""

    @abstractmethod
    def add_up(self, connection: Connection, table: str, key: Sequence[str], sums: Sequence[str], rows: Rows) -> None:
        """Add to the sums of rows, each of them its key and its sums; a row that is not there yet is made."""

    def one_of(self, column: str, values: Sequence[object]) -> tuple[str, tuple[object, ...]]:
        """Return the condition that a column has one of some values, and its parameters."""
        return f"{column} IN ({', '.join([self.placeholder] * len(values))})", tuple(values)

    @abstractmethod
    def listed(self, values: Sequence[int]) -> Select[tuple[int]]:
        """Return a question for some whole numbers, to be used with IN, however many they are: one parameter."""

    @abstractmethod
    def label_value(self, body: ColumnElement[str], key: str) -> ColumnElement[str | None]:
        """Return the value of a label in a JSON object, whatever characters its name has."""

    @abstractmethod
    def digits(self, id_: ColumnElement[bytes]) -> ColumnElement[str]:
        """Return an id's bytes as lower-case hexadecimal digits."""

    @property
    @abstractmethod
    def events_view(self) -> str:
        """The view `events`: the seed documents' table, its labels with the dimensions, and what is asked most."""


_CONFLICTS = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type(ConflictError),
    wait=tenacity.wait_random(0, 0.02),
    stop=tenacity.stop_after_attempt(10),
    reraise=True,
)
_inherited: list[object] = []  # engines of a parent process, kept so that nothing closes their connections


def insert_into(table: str, columns: Sequence[str], placeholder: str) -> str:
    """Return `INSERT INTO table (columns) VALUES (?, ...)`; the names are ours, never a user's."""
    return f"INSERT INTO {table} ({names(columns)}) VALUES ({', '.join([placeholder] * len(columns))})"


def names(columns: Sequence[str]) -> str:
    """Return column names as SQL lists them."""
    return ", ".join(f'"{column}"' for column in columns)


def adding(table: str, key: Sequence[str], sums: Sequence[str]) -> str:
    """Return what an INSERT ends with whose sums are added to those that are there."""
    added = ", ".join(f'"{name}" = {table}."{name}" + excluded."{name}"' for name in sums)
    return f"ON CONFLICT ({names(key)}) DO UPDATE SET {added}"


def chunks(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces that fit into one IN (...)."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def view(uuid_text: Callable[[str], str], timestamp: str, labels: str) -> str:
    """Return the statement that makes the view `events`, with a database's own words for ids, times and labels.

    `labels` is what lays `{dimensions}`, pairs of a name and a value, over the JSON object `{body}`.
    """
    dimensions = ", ".join(f"'{name}', {name}.value" for name in DIMENSIONS)
    joins = "\n".join(f"LEFT JOIN dimension AS {name} ON {name}.id = event.{name}" for name in DIMENSIONS)
    body = "coalesce(label_set.body, '{}')"
    return f"""
CREATE VIEW events AS
SELECT coalesce(own.value, {uuid_text("event.id")}) AS event_id,
       {timestamp} AS timestamp,
       event_type.value AS event_type,
       model.value AS model,
       event.input_tokens AS input_tokens,
       event.output_tokens AS output_tokens,
       event.cost_nanos / 1e9 AS cost,
       coalesce(above.value, {uuid_text("coalesce(parent.id, orphan.parent_id)")}) AS parent_id,
       {labels.format(body=body, dimensions=dimensions)} AS labels,
       coalesce(metadata_body.body, '{{}}') AS metadata,
       event.cost_nanos AS cost_nanos,
       status.value AS status,
       provider.value AS provider,
       event.cached_tokens AS cached_tokens,
       event.latency_us / 1e3 AS latency_ms
FROM event
JOIN dimension AS event_type ON event_type.id = event.event_type
JOIN dimension AS status ON status.id = event.status
LEFT JOIN dimension AS model ON model.id = event.model
LEFT JOIN dimension AS provider ON provider.id = event.provider
{joins}
LEFT JOIN label_set ON label_set.id = event.labels
LEFT JOIN metadata_body ON metadata_body.id = event.details
LEFT JOIN external_id AS own ON own.id = event.id
LEFT JOIN event AS parent ON parent."key" = event.parent
LEFT JOIN orphan ON orphan.event = event."key"
LEFT JOIN external_id AS above ON above.id = coalesce(parent.id, orphan.parent_id)
"""
