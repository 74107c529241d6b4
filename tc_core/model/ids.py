"""Event ids: sixteen bytes inside, text outside.

Ids are UUIDs. One that the framework made is kept as it is; one that we make is version 7, so that
ids sort by time and the index over them stays cheap. Any other text that a user chooses (`req_123`)
gets a UUID version 8 made from the text, so that it can be found without a look-up table.
"""

import hashlib
import os
import random
import re

from tc_core.model.clock import clock
from tc_core.model.scope import label_text

EventId = bytes
"""The sixteen bytes of a UUID."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NANOS_PER_MS = 1_000_000

_random = random.Random()  # noqa: S311  # ids are no secrets; os.urandom would give up the interpreter's lock
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def new_id() -> EventId:
    """Make a UUID version 7 whose order follows the clock down to a quarter of a microsecond."""
    milliseconds, rest = divmod(clock.wall_ns(), _NANOS_PER_MS)
    sub_ms = (rest << 12) // _NANOS_PER_MS  # RFC 9562, method 3: the fraction fills rand_a
    return (milliseconds << 80 | 0x7 << 76 | sub_ms << 64 | 0b10 << 62 | _random.getrandbits(62)).to_bytes(16)


def to_text(event_id: EventId) -> str:
    """Write an id in the canonical form `01890a5d-ac96-774b-bcce-b302099a8057`."""
    digits = event_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def from_text(text: str) -> EventId:
    """Return the id that `text` stands for: a canonical UUID itself, any other text by its hash.

    Characters that no database keeps do not tell ids apart (see `label_text`), so that an id is found by what is shown
    of it. Raises ValueError for an empty text.
    """
    if _CANONICAL.fullmatch(text):
        return bytes.fromhex(text.replace("-", ""))
    if not text:
        raise ValueError("an event id must not be empty")
    digest = hashlib.blake2b(label_text(text).encode(), digest_size=16, person=b"tc-event-id")
    number = int.from_bytes(digest.digest())
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0b11 << 62) | 0b10 << 62
    return number.to_bytes(16)


def is_external(text: str) -> bool:
    """Tell whether `text` must be kept beside its id, because the id does not spell it."""
    return not _CANONICAL.fullmatch(text)
