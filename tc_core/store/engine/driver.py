"""The driver of SQLite: Python's own, or that of SQLCipher, which is like it and encrypts all that it writes.

The key is never written down or logged. SQLCipher makes its own of a text, slowly on purpose (PBKDF2 with SHA-512 over
256,000 rounds and the file's first 16 bytes); here that is done once for each file and process, not for each
connection. What it makes is the same, so that the tools of SQLCipher open these files with the same text.
"""

import hashlib
import importlib
import os
import re
import sqlite3
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tc_core.errors import ConfigurationError

VARIABLE = "TOKEN_CALC_STORAGE_KEY"
MAGIC = b"SQLite format 3\0"
"""What a file begins with that is not encrypted."""

Key = str | Callable[[], str]
"""What a file is encrypted with, or what returns that: a text, or `x'...'` with 64 hexadecimal digits."""

_ROUNDS, _KEY_BYTES = 256_000, 32
_RAW = re.compile(r"x'[0-9a-fA-F]{64}([0-9a-fA-F]{32})?'")
_NOT_A_DATABASE = 26


class Driver:
    """Python's own driver; `module` is as PEP 249 says."""

    is_encrypted = False

    @property
    def module(self) -> ModuleType:
        """The driver itself."""
        return sqlite3

    @property
    def error(self) -> type[Exception]:
        """What all errors of the driver are."""
        return self.module.Error  # type: ignore[no-any-return]  # as PEP 249 says

    def connect(self, database: str | Path, **options: Any) -> sqlite3.Connection:
        """Open a file or a URI."""
        connection: sqlite3.Connection = sqlite3.connect(database, **options)
        return connection

    def why(self, error: BaseException, path: Path | None = None) -> str:
        """Say why a file could not be opened."""
        is_none = getattr(error, "sqlite_errorcode", 0) == _NOT_A_DATABASE
        return f"{error}; if it is encrypted, set {VARIABLE} or give its key" if is_none else str(error)


class EncryptedDriver(Driver):
    """The driver of SQLCipher, with the key of one store. Raises ImportError where it is not installed."""

    is_encrypted = True

    def __init__(self, key: Key) -> None:
        self._key = key
        self._module = _sqlcipher()

    @property
    def module(self) -> ModuleType:
        """The driver itself."""
        return self._module

    def connect(self, database: str | Path, **options: Any) -> sqlite3.Connection:
        """Open a file or a URI with the key; whether that fits is known once something is read."""
        text, file = self.text(), _identity(_path_of(str(database), is_uri=options.get("uri", False)))
        known = None if file is None or _RAW.fullmatch(text) else _salts.get(file)
        if file is not None and known is not None:
            connection = self._opened(f"x'{_derived(text, known)}{known}'", database, options)
            try:
                connection.execute("SELECT count(*) FROM sqlite_master")
            except self.error:  # there is another file of that number now, with another salt
                connection.close()
                _salts.pop(file, None)
            else:
                return connection
        connection = self._opened(text.replace('"', '""'), database, options)
        if file is not None and os.stat(file.path).st_size:  # noqa: PTH116  # else its salt is not chosen yet
            ((salt,),) = connection.execute("PRAGMA cipher_salt")
            _salts[file] = salt
        return connection

    def _opened(self, key: str, database: str | Path, options: Mapping[str, Any]) -> sqlite3.Connection:
        connection: sqlite3.Connection = self._module.connect(str(database), **options)
        try:
            connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to the standard error
            connection.execute(f'PRAGMA key = "{key}"')
        except BaseException:
            connection.close()
            raise
        return connection

    def why(self, error: BaseException, path: Path | None = None) -> str:
        """Say why a file could not be opened."""
        if getattr(error, "sqlite_errorcode", 0) != _NOT_A_DATABASE:
            return str(error)
        if path is not None and is_plain(path):
            return (
                "it is not encrypted, but there is a key for it: make an encrypted copy with `token-calc db encrypt`, "
                f"or leave {VARIABLE} out"
            )
        return "the key does not fit, or it is no encrypted store"

    def text(self) -> str:
        """Return the key; raise ConfigurationError for one that is none."""
        key: object = self._key() if callable(self._key) else self._key  # which may return anything
        if not isinstance(key, str) or not key or "\0" in key:
            raise ConfigurationError("the key of a store must be a text that is not empty")
        return key


def from_environment() -> Driver:
    """Return the driver that the environment asks for."""
    return EncryptedDriver(_of_environment) if os.environ.get(VARIABLE) else Driver()


def _of_environment() -> str:
    key = os.environ.get(VARIABLE)
    if not key:
        raise ConfigurationError(f"{VARIABLE} is not set any more, and the store needs its key")
    return key


def _sqlcipher() -> ModuleType:
    try:
        return importlib.import_module("sqlcipher3.dbapi2")
    except ImportError as error:
        raise ImportError(
            "An encrypted store needs an extra: pip install 'token-calculator-suite[encrypted]'"
        ) from error


@lru_cache(maxsize=64)
def _derived(key: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha512", key.encode(), bytes.fromhex(salt), _ROUNDS, _KEY_BYTES).hex()


class _File(NamedTuple):
    """A file, which another one of the same name is told from."""

    path: Path
    device: int
    number: int


def _identity(path: Path) -> _File | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _File(path, found.st_dev, found.st_ino)


_salts: dict[_File, str] = {}
"""The salts of files, as SQLCipher says them: whoever read them from the file would give up its locks by closing it."""


def is_plain(path: Path) -> bool:
    """Tell whether a file is a SQLite one that is not encrypted; only of one that this process does not have open."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _path_of(database: str, *, is_uri: bool) -> Path:
    return Path(unquote(urlsplit(database).path)) if is_uri else Path(database)
