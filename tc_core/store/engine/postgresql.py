"""PostgreSQL: everything that it says in its own words.

Rows come by COPY. A commit waits until the server has flushed it, also where its settings say otherwise: what a
server loses, this process would not send again.
"""

import os
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    Select,
    Text,
    cast,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, TimeoutError  # noqa: A004  # the pool's own

from tc_core.errors import ConfigurationError, StorageError
from tc_core.store.engine.address import SERVER_SCHEMES, is_clear, is_shown
from tc_core.store.engine.database import LOCK_SECONDS, ConflictError, Database, Rows, adding, names, view
from tc_core.store.engine.gate import gate
from tc_core.store.engine.own_engine import OwnQueuePool, own_engine
from tc_core.store.schema.tables import StoreTable

CONNECT_SECONDS = 5
MOST_CONNECTIONS = 20
"""Connections of one process at most; most have one or two."""

MOST_AT_ONCE = 8
"""Connections that are kept for single statements."""

_inherited: list[object] = []  # connections of a parent process, kept so that nothing closes them

_WRITERS = 0x746B63616C63
"""The advisory lock that a write transaction holds: shared with other writers, or alone."""

_PASSING = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE of what may be over when it is tried again: connection, conflict, resources, locks, shutdown."""
_CONFLICTS = ("40001", "40P01", "23505")
"""Another transaction was faster: serialization failure, deadlock, unique violation."""
_NO_SUCH_TABLE = "42P01"
_WRONG_FOR_GOOD = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied")
_WHOLE_NUMBERS = ("int8", "int4")
_TYPES = ((BigInteger, "int8"), (Integer, "int4"), (LargeBinary, "bytea"), (Text, "text"), (Float, "float8"))

_ON_CONNECT = f"""
SET lock_timeout = '{int(LOCK_SECONDS * 1000)}ms';
SET synchronous_commit = on
"""


class PostgreSQL(Database):
    """A PostgreSQL database, named by its URL."""

    placeholder = "%s"
    may_be_away = True
    writers_overlap = True
    has_events_in_order = False  # the index on time is a BRIN, a thousandth of a tree's size
    row_lock = " FOR UPDATE"

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self._may_write = True
        self._filenode: int | None = None
        super().__init__()

    def __str__(self) -> str:
        """The address without its password."""
        return _shown(self._url)

    @property
    def read_only(self) -> bool:  # type: ignore[override]  # here it is found out
        """Whether this role, or a server that only follows another one, may only be asked."""
        return not self._may_write

    # Transactions

    def _create_engine(self) -> Engine:
        try:
            return own_engine(
                self._url,
                OwnQueuePool,
                _on_connect,
                connect_args={**_CONNECT_ARGUMENTS, **self._url.query},
                pool_pre_ping=True,
                pool_size=2,
                max_overflow=MOST_CONNECTIONS - 2,
            )
        except ImportError as error:
            raise ImportError("PostgreSQL needs psycopg: pip install 'token-calculator-suite[postgres]'") from error

    def _begin_reading(self, connection: Connection) -> None:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def _begin_writing(self, connection: Connection, *, alone: bool) -> None:
        connection.execution_options(isolation_level="READ COMMITTED")
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        begin = f"SELECT {lock}({_WRITERS}), pg_relation_filenode(to_regclass('dimension'))"
        _, filenode = connection.exec_driver_sql(begin).one()
        before, self._filenode = self._filenode, filenode
        if before not in (None, filenode):  # dropped and made anew, or truncated
            self.on_replaced()

    def do_at_once(self, statement: str, parameters: tuple[Any, ...] = ()) -> tuple[int, Sequence[Any]]:
        """Execute one statement that is a transaction by itself; return how many rows it concerns, and what it gives.

        It waits for no writer, and keeps none out. Some connections are kept for it alone, since it is asked for before
        each call, and the pool opens those beyond its first ones anew.
        """
        self._notice_changes()
        with gate.passed(), self._explained("use"):
            was_idle = bool(self._at_once)
            connection = self._at_once.pop() if was_idle else self._connect_at_once()
            try:
                done = connection.execute(statement, parameters)
                found = done.rowcount, done.fetchall() if done.description else ()
            except BaseException as error:
                connection.close()
                if was_idle and getattr(error, "sqlstate", None) is None and isinstance(error, self.driver_errors):
                    return self.do_at_once(statement, parameters)  # the server has closed it since
                raise
            if len(self._at_once) < MOST_AT_ONCE:
                self._at_once.append(connection)
            else:
                connection.close()
            return found

    def _connect_at_once(self) -> Any:
        taken = self.engine.raw_connection()
        connection: Any = taken.driver_connection
        taken.detach()
        connection.autocommit = True
        return connection

    def _begin(self) -> None:
        if hasattr(self, "_at_once"):
            _inherited.append(self._at_once)
        self._at_once: deque[Any] = deque()
        super()._begin()

    def discard(self) -> None:
        """Close all connections for good."""
        if os.getpid() == self._process:
            while self._at_once:
                self._at_once.pop().close()
        super().discard()

    @property
    def driver_errors(self) -> tuple[type[BaseException], ...]:  # type: ignore[override]  # psycopg is an extra
        """What goes wrong in SQLAlchemy, or in psycopg where it is asked by itself."""
        return (SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error)

    def _storage_error(self, verb: str, cause: BaseException) -> StorageError:
        state, said = getattr(cause, "sqlstate", None), str(cause).strip().partition("\n")[0]
        if state == _NO_SUCH_TABLE:  # somebody has dropped ours
            self._is_ready = False
        if state is not None:
            is_passing = state.startswith(_PASSING) or state == _NO_SUCH_TABLE
        else:  # no connection, or none any more
            lost = (self.engine.dialect.loaded_dbapi.OperationalError, TimeoutError)
            is_passing = isinstance(cause, lost) and not any(words in said for words in _WRONG_FOR_GOOD)
        kind = ConflictError if state in _CONFLICTS else StorageError
        return kind(f"cannot {verb} {self}: {said}", is_passing=is_passing)

    @property
    def _why_read_only(self) -> str:
        return "this role may not insert into its tables, or the server only follows another one"

    # Its life

    def make_durable(self, file: str) -> None:
        """Nothing is to be done: each commit is flushed."""

    def tables(self) -> set[str]:
        """Return the names of the tables in the schema that comes first on the search path."""
        with self.reading() as connection:
            follows_another = connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()
            found = connection.exec_driver_sql(
                "SELECT relname, has_table_privilege(pg_class.oid, 'INSERT') FROM pg_class "
                "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
            ).all()
        may_insert = {name: may for name, may in found}  # noqa: C416  # rows are not pairs
        self._may_write = not follows_another and may_insert.get("event", True)
        return set(may_insert)

    def is_foreign(self, tables: set[str]) -> bool:
        """Other tables may be beside ours, but none in their place."""
        return not tables.isdisjoint(StoreTable.metadata.tables)

    def prepare(self) -> None:
        """Nothing is to be done before the tables are made."""

    def mark_as_new(self, connection: Connection) -> None:
        """Have keys counted on from those that are reserved."""
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('dimension', 'id'), (SELECT max(id) FROM dimension))"
        )

    def size(self, connection: Connection) -> int:
        """Return the bytes of all our tables and their indexes."""
        sizes = [f"coalesce(pg_total_relation_size(to_regclass('{name}')), 0)" for name in StoreTable.metadata.tables]
        return int(connection.exec_driver_sql(f"SELECT {' + '.join(sizes)}").scalar_one())

    def damage(self, connection: Connection) -> list[tuple[str, str]]:
        """Have the server read every row of every table, and by its checksums every page of theirs."""
        found = []
        for name in StoreTable.metadata.tables:
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(f"SELECT count(each::text) FROM {name} AS each")
            except SQLAlchemyError as error:
                found.append((name, str(getattr(error, "orig", None) or error).strip().partition("\n")[0]))
        return found

    def table_bytes(self, connection: Connection) -> dict[str, int]:
        """Ask the server."""
        found = connection.exec_driver_sql(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
        )
        return {name: size for name, size in found if name in StoreTable.metadata.tables}

    def compact(self) -> None:
        """Have the server use the room again, and know its tables; nobody waits."""
        self.check_writable()
        self._notice_changes()
        with gate.passed(), self._explained("write"), self.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.exec_driver_sql(f"VACUUM (ANALYZE) {', '.join(StoreTable.metadata.tables)}")

    # Its SQL

    def allocate_keys(self, connection: Connection, table: str, key: str, count: int) -> Sequence[int]:
        """Return `count` keys from the sequence, which several writers use at once."""
        sequence = f"(SELECT pg_get_serial_sequence('{table}', '{key}')::regclass)"  # looked up once, not for each key
        question = f"SELECT nextval({sequence}) FROM generate_series(1, %s)"
        return connection.exec_driver_sql(question, (count,)).scalars().all()

    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows that are new, by COPY in its binary form."""
        if not rows:
            return
        types = _types(table)
        with (
            _cursor(connection) as cursor,
            cursor.copy(f"COPY {table} ({names(columns)}) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types([types[column] for column in columns])
            write = copy.write_row
            for row in rows:
                write(row)

    def insert_missing(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert those rows whose key is not there yet."""
        self._insert_arrays(connection, table, columns, rows, "ON CONFLICT DO NOTHING")

    def add_up(self, connection: Connection, table: str, key: Sequence[str], sums: Sequence[str], rows: Rows) -> None:
        """Add to the sums of rows, always in the same order, so that no two writers wait for each other."""
        self._insert_arrays(connection, table, (*key, *sums), sorted(rows), adding(table, key, sums))

    def _insert_arrays(
        self, connection: Connection, table: str, columns: Sequence[str], rows: Rows, on_conflict: str
    ) -> None:
        """Insert rows as one array for each column: one statement, however many rows there are."""
        if not rows:
            return
        types = _types(table)
        arrays = ", ".join(f"%s::{types[column]}[]" for column in columns)
        statement = f"INSERT INTO {table} ({names(columns)}) SELECT * FROM unnest({arrays}) {on_conflict}"
        arrays_given = [
            _array_of_numbers(values) if types[column] in _WHOLE_NUMBERS else _array(values)
            for column, values in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        connection.exec_driver_sql(statement, tuple(arrays_given))

    def one_of(self, column: str, values: Sequence[object]) -> tuple[str, tuple[object, ...]]:
        """Return the condition that a column has one of some values: as one array, which is read at once."""
        kind = "bytea" if isinstance(values[0], bytes) else "int8" if isinstance(values[0], int) else "text"
        return f"{column} = ANY(%s::{kind}[])", (_array(values),)

    def listed(self, values: Sequence[int]) -> Select[tuple[int]]:
        """Return a question for some whole numbers."""
        return select(func.unnest(cast(list(values), ARRAY(BigInteger))))

    def label_value(self, body: ColumnElement[str], key: str) -> ColumnElement[str | None]:
        """Return the value of a label in a JSON object."""
        return func.jsonb_extract_path_text(cast(body, JSONB), key, type_=Text())

    def digits(self, id_: ColumnElement[bytes]) -> ColumnElement[str]:
        """Return an id's bytes as lower-case hexadecimal digits."""
        return func.encode(id_, "hex")

    @property
    def events_view(self) -> str:
        """The view `events`."""
        return view(
            lambda column: f"encode({column}, 'hex')::uuid::text",
            "to_char(to_timestamp(event.at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') || "
            "'.' || lpad(mod(event.at, 1000000)::text, 6, '0') || '+00:00'",
            "({body}::jsonb || jsonb_strip_nulls(jsonb_build_object({dimensions})))::text",
        )


_CONNECT_ARGUMENTS: Mapping[str, object] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "token-calculator",
    "client_encoding": "utf8",
    "keepalives_idle": 30,
    "tcp_user_timeout": 20_000,  # a server that is gone without a word is given up after so many ms
}


def without_secrets(url: str) -> str:
    """Return a URL without its password; raise ConfigurationError, which does not repeat it, when it is none."""
    return _shown(_checked(url))


def _checked(url: str) -> URL:
    """Read a URL; raise ConfigurationError, which does not repeat it, when it is none."""
    try:
        if not is_clear(url):
            raise ValueError("an @ too many")
        parsed = make_url(url)
        if parsed.drivername.lower() not in SERVER_SCHEMES:
            raise ValueError("another kind of server")
        parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()().create_connect_args(parsed)  # which looks at hosts and ports, several ones too
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "cannot read the PostgreSQL URL: use postgresql://user:password@host:5432/database, with %XX for special "
            "characters such as @ and / in its parts"
        ) from None
    return parsed


def _shown(url: URL) -> str:
    options = {name: value for name, value in url.query.items() if is_shown(name)}
    return URL.create("postgresql", url.username, None, url.host, url.port, url.database, options).render_as_string()


def _on_connect(connection: Any, _record: object) -> None:
    was_automatic, connection.autocommit = connection.autocommit, True
    connection.execute(_ON_CONNECT)
    connection.autocommit = was_automatic


def _cursor(connection: Connection) -> Any:
    return connection.connection.driver_connection.cursor()  # type: ignore[union-attr]  # psycopg's own


def _array_of_numbers(values: Sequence[object]) -> str:
    """Write an array of whole numbers and None: as Python writes a list, but for braces and NULL."""
    return "{" + str(list(values))[1:-1].replace("None", "NULL") + "}"


def _array(values: Sequence[object]) -> str:
    """Write an array as PostgreSQL does; the driver, which looks at each value's type, takes three times as long."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f'"\\\\x{value.hex()}"' if isinstance(value, bytes) else str(value)


@cache
def _types(table: str) -> dict[str, str]:
    """Return the name of each column's type."""
    columns = StoreTable.metadata.tables[table].columns
    return {column.name: next(name for kind, name in _TYPES if isinstance(column.type, kind)) for column in columns}
