"""The kinds of stores, and how one is opened by its name."""

import itertools
import logging
import os
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from pydantic import ValidationError

from tc_core import settings
from tc_core.errors import ConfigurationError, StorageError
from tc_core.store.base import StorageBackend
from tc_core.store.engine.address import SERVER_SCHEMES, check_is_path
from tc_core.store.engine.driver import EncryptedDriver, Key
from tc_core.store.engine.driver import from_environment as driver_of_environment
from tc_core.store.engine.sqlite import SQLite
from tc_core.store.sql import SqlStore

log = logging.getLogger("tc_core")

_serial = itertools.count(1)
_pickled: "WeakValueDictionary[str, SqlStore]" = WeakValueDictionary()
"""The stores in memory of this process that were pickled, or that stand for such of another process."""


class SQLiteStorage(SqlStore):
    """Events in a SQLite file, made on first use; `:memory:` keeps them in memory.

    With a `key`, a text or a callable that returns one, the file is encrypted (extra `encrypted`); without it the key
    is TOKEN_CALC_STORAGE_KEY, where that is set. Raises StorageError for a file that is no store of ours, that a newer
    version made, or that the key does not fit, ConfigurationError for a server's address. A file that cannot be written
    opens for questions, and raises when something is saved.
    """

    def __init__(self, path: str | Path, *, key: Key | None = None) -> None:
        self._key = key if callable(key) else None
        if str(path) == ":memory:":
            if key is not None:
                raise ConfigurationError("a store in memory takes no key: it is written nowhere")
            super().__init__(SQLite(None), f"memory:{next(_serial)}")
            return
        check_is_path(str(path))
        try:
            resolved = Path(path).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:
            reason = "the working directory does not exist any more" if isinstance(error, FileNotFoundError) else error
            raise StorageError(f"cannot open {str(path)!r}: {reason}") from error
        if resolved.is_dir():
            raise StorageError(f"{resolved} is a folder: name a file in it")
        driver = driver_of_environment() if key is None else EncryptedDriver(key)
        super().__init__(SQLite(resolved, read_only=_is_read_only(resolved), driver=driver), str(resolved))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            return _by_token(self)
        # a key that is a text stays out of the pickle: there TOKEN_CALC_STORAGE_KEY has it, or the store cannot be read
        return SQLiteStorage if self._key is None else partial(SQLiteStorage, key=self._key), (str(self.path),)


class PostgreSQLStorage(SqlStore):
    """Events in a PostgreSQL database, which several hosts may write to at once.

    `url` is `postgresql://user:password@host:5432/database`; without it the settings say which (TOKEN_CALC_PG_HOST,
    ...). The tables are made in the schema that comes first on the search path. Raises ConfigurationError for what is
    no URL, StorageError for a server that refuses us, ImportError where psycopg is missing.
    """

    def __init__(self, url: str | None = None) -> None:
        from tc_core.store.engine.postgresql import PostgreSQL

        self._url = url or settings.load().storage.postgresql.url
        database = PostgreSQL(self._url)
        super().__init__(database, str(database))

    def __reduce__(self) -> tuple[Any, ...]:
        return PostgreSQLStorage, (self._url,)  # password and all: what is unpickled must get in


class InMemoryStorage(SqlStore):
    """Events in memory, for development and tests; gone with the process, and not shared with a forked child."""

    def __init__(self) -> None:
        super().__init__(SQLite(None), f"memory:{next(_serial)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_token(self)


def _by_token(store: SqlStore) -> tuple[Any, ...]:
    token = next((token for token, each in list(_pickled.items()) if each is store), None) or uuid.uuid4().hex
    _pickled[token] = store
    return _in_memory, (token,)


def _in_memory(token: str) -> SqlStore:
    """Return the store in memory that was pickled here; in another process an empty one that stands for it."""
    found = _pickled.get(token)
    if found is None:
        log.warning("token-calculator: a store in memory stays in its process; what is recorded here is seen only here")
        found = _pickled[token] = InMemoryStorage()
    return found


def create_storage(url_or_kind: str | Path, **options: Any) -> StorageBackend:
    """Open a store by kind (`memory`, `sqlite`, `postgresql`), URL (`sqlite:///costs.db`, `postgresql://...`) or path.

    The kind `sqlite` takes `path=` and `key=` (see `SQLiteStorage`), as a path or URL of a file takes `key=`; the kind
    `postgresql` takes `url=`, or `host=`, `port=`, `database=`, `user=` and `password=`, each by default what the
    settings say. Raises ConfigurationError for a kind that does not exist.
    """
    if not isinstance(url_or_kind, (str, Path)):
        raise ConfigurationError(f"cannot open {url_or_kind!r} as storage: name a kind, a URL or a path")
    text, kind = str(url_or_kind), str(url_or_kind).lower()
    if kind in ("memory", ":memory:", "memory://", "sqlite://"):
        _refuse(options, "a store in memory takes none")
        return InMemoryStorage()
    if kind == "sqlite":
        path = options.pop("path", None) or options.pop("db_path", None) or DEFAULT_PATH
        key = options.pop("key", None)
        _refuse(options, "sqlite takes path and key")
        return SQLiteStorage(path, key=key)
    if kind in ("postgresql", "postgres"):
        url = options.pop("url", None)
        if url is None:
            return PostgreSQLStorage(_postgresql_url(options))
        _refuse(options, "all is in the url")
        return PostgreSQLStorage(url)
    is_file = text.startswith("sqlite:///") or "://" not in text
    key = options.pop("key", None) if is_file else None
    _refuse(options, "a path takes key alone" if is_file else "a URL takes none")
    if text.startswith("sqlite:///"):
        return SQLiteStorage(text.removeprefix("sqlite:///"), key=key)
    if "://" in text:
        scheme = kind.partition("://")[0]
        if scheme in SERVER_SCHEMES:
            return PostgreSQLStorage(text)
        known = "memory, sqlite, sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE or a path"
        named = f" {scheme!r}" if scheme.isalpha() else ""  # else it may hold more than a scheme: a password
        raise ConfigurationError(f"unknown kind of storage{named}: use {known}")
    return SQLiteStorage(text, key=key)


DEFAULT_PATH = "token_calculator.db"
"""The file of the default store, in the working directory."""


def _refuse(options: Mapping[str, Any], known: str) -> None:
    if options:
        raise ConfigurationError(f"cannot use {', '.join(options)}: {known}")


def _postgresql_url(options: Mapping[str, Any]) -> str:
    said = settings.load().storage.postgresql
    try:
        return settings.PostgreSQL(**{**said.model_dump(), **options}).url
    except ValidationError as error:
        wrong = ", ".join(str(each["loc"][0]) for each in error.errors())
        raise ConfigurationError(f"cannot use {wrong}: PostgreSQL takes host, port, database, user, password") from None


def _is_read_only(path: Path) -> bool:
    if path.exists():
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    return False


def path_of(where: str) -> Path | None:
    """Return the file that a path or URL of a store means; None for a server, and for memory."""
    if where in ("memory", ":memory:") or ("://" in where and not where.startswith("sqlite:///")):
        return None
    path = where.removeprefix("sqlite:///")
    check_is_path(path)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # a user without a home
        raise StorageError(f"cannot open {path!r}: {error}") from error
