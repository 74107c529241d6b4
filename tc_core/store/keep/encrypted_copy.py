"""Making an encrypted copy of a store's file."""

import os
import secrets
from contextlib import closing
from pathlib import Path

from tc_core.errors import StorageError
from tc_core.store.engine.database import LOCK_SECONDS
from tc_core.store.engine.driver import Driver, EncryptedDriver, Key


def encrypt(source: Path, target: Path, key: Key) -> None:
    """Copy a plain file, as it is at one moment, into a new one that is encrypted; the old one stays as it is.

    Raises StorageError where the new one exists or cannot be written, ImportError without the extra `encrypted`.
    """
    driver = EncryptedDriver(key)
    secret = driver.text()
    if target.exists():
        raise _exists(target)
    # Under another name until it is whole: a part of it would pass for an encrypted store.
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageError(f"cannot create {target}: {error.strerror}") from error
    try:
        _copy(source, part, driver, secret)
        _rename(part, target)
    except driver.error as error:
        raise StorageError(f"cannot encrypt {source} into {target}: {Driver().why(error)}") from error
    finally:  # also after Ctrl-C
        part.unlink(missing_ok=True)


def _copy(source: Path, target: Path, driver: EncryptedDriver, secret: str) -> None:
    with closing(driver.module.connect(str(source), timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        connection.execute("ATTACH DATABASE ? AS encrypted KEY ?", (str(target), secret))
        connection.execute("BEGIN")
        connection.execute("SELECT sqlcipher_export('encrypted')").fetchone()
        (mark,) = connection.execute("PRAGMA main.user_version").fetchone()
        connection.execute(f"PRAGMA encrypted.user_version = {int(mark)}")
        connection.execute("COMMIT")
        connection.execute("DETACH DATABASE encrypted")
    with closing(driver.connect(target, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchone()


def _rename(part: Path, target: Path) -> None:
    """Give the copy its name, unless there is a file of that name by now."""
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError:  # a file system without links
        if target.exists():
            raise _exists(target) from None
        part.rename(target)


def _exists(target: Path) -> StorageError:
    return StorageError(f"{target} exists: name a new file")
