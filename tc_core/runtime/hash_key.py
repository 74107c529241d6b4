"""The key that makes short ids of texts: without it nobody can try which text an id stands for.

It is `hash_key` in the settings (TOKEN_CALC_HASH_KEY), else a file in the user's data directory that only the user can
read.
"""

import os
import secrets
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from platformdirs import user_data_path

from tc_core import settings
from tc_core.record.guard import faults

KEY_BYTES = 32
ID_BYTES = 5


_used: set[bytes] = set()


def short_id(text: str) -> str:
    """Return ten hexadecimal digits that stand for a text: the same on this machine, and telling nothing of it."""
    key = hash_key()
    _used.add(key)
    return blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=ID_BYTES).hexdigest()


def used() -> frozenset[str]:
    """Return the ids of the keys that this process has used; an id tells nothing of its key."""
    return frozenset(key_id(key) for key in tuple(_used))


def key_id(key: bytes) -> str:
    """Return the id of a key, which tells nothing of it."""
    return blake2b(key, digest_size=4, person=b"tc-key-id").hexdigest()


def hash_key() -> bytes:
    """Return the key: that of the settings, else the one in the user's data directory, which is made if need be."""
    said = settings.load().hash_key
    if said is not None:
        return blake2b(said.get_secret_value().encode(), digest_size=KEY_BYTES, person=b"tc-hash-key").digest()
    return _kept(settings.user_folder(user_data_path, "token-calculator"))


@lru_cache(maxsize=8)
def _kept(folder: Path | None) -> bytes:
    if folder is None:
        faults.note("no place for a hash key")
        return secrets.token_bytes(KEY_BYTES)
    path = folder / "hash.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:  # a home that cannot be written: the ids hold for this process
        faults.note("no place for a hash key", error)
        return secrets.token_bytes(KEY_BYTES)
    return key if len(key) == KEY_BYTES else blake2b(key, digest_size=KEY_BYTES).digest()


def _make(path: Path) -> None:
    """Make the file whole, and only where there is none: several processes may begin at once."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(new, path)
    except FileExistsError:
        return
    finally:
        new.unlink()
