"""Which arm a unit belongs to: by a keyed hash, so that it is the same each time, everywhere, without being asked."""

from hashlib import blake2b

from tc_core.model import ids
from tc_core.model.ids import EventId
from tc_core.model.scope import DIMENSIONS, Scope, bounded_text

NAMED_UNITS = {"session": "session_id", "workflow": "workflow_id"}
"""Units with names of their own, and the dimensions that they are."""
RUN = "run"

_UNIT_BYTES = 16
_POINTS = 1 << 64


def place(key: bytes, salt: bytes, unit_id: object, split: float) -> tuple[bytes, int]:
    """Return the hash that stands for a unit in one test, and its arm: 1, which is b, for a share `split` of units.

    Raises ValueError for what names no unit.
    """
    if isinstance(unit_id, bool) or not isinstance(unit_id, str | int) or unit_id == "":
        raise ValueError(f"a unit is named by a text or a whole number, not {unit_id!r}")
    text = bounded_text(unit_id).encode()
    digest = blake2b(text, key=key, salt=salt, person=b"tc-ab-unit", digest_size=_UNIT_BYTES + 8).digest()
    return digest[:_UNIT_BYTES], int(int.from_bytes(digest[_UNIT_BYTES:]) < split * _POINTS)


def unit_in(unit: str, scope: Scope, root_id: EventId | None) -> str | None:
    """Return the id of the unit that a call belongs to, by its dimensions and labels and its run; None for none."""
    if unit == RUN:
        return None if root_id is None else ids.to_text(root_id)
    name = NAMED_UNITS.get(unit, unit)
    found: str | None = getattr(scope, name) if name in DIMENSIONS else scope.labels.get(name)
    return found or None
