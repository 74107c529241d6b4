"""Making an encrypted copy of a store's file."""

import os
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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise StorageError(f"{target} exists: name a new file") from error
    except OSError as error:
        raise StorageError(f"cannot create {target}: {error.strerror}") from error
    try:
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
    except BaseException as error:  # also Ctrl-C: what is there of the copy would pass for an encrypted store
        target.unlink(missing_ok=True)
        if not isinstance(error, driver.error):
            raise
        raise StorageError(f"cannot encrypt {source} into {target}: {Driver().why(error)}") from error
