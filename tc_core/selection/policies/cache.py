"""Cache: an exact duplicate gets the answer again that is kept in this process's memory, and no model is asked.

Of prompts only a keyed hash is kept, with a key that ends with the process; answers are text in memory, and nowhere
else. What asks for tools, or has a schema for its answer, is not kept.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TypeVar

from tc_core.ledger.canonical import Schemas, items
from tc_core.model.clock import clock
from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.part import Decision, Followed, Request
from tc_core.model.segment import segments
from tc_core.selection.policies.acting import Acting, Verdict
from tc_core.selection.policies.sql import Applied

MOST_BYTES = 64 << 20
"""So much text is kept at most, whatever `most` says."""
_UNSEEN = frozenset({"image"})
"""Kinds of segments whose content is not looked at, so that two that differ would look the same."""


@dataclass(slots=True)
class _Kept:
    answer: str
    until_ns: int


class Cache(Acting):
    """Keeps answers by what they answer."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied)
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._schemas = Schemas()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._bytes = 0
        self._asked: OrderedDict[EventId, bytes] = OrderedDict()
        """What was asked and is not answered yet."""
        self._made: OrderedDict[EventId, bytes] = OrderedDict()
        """The same by the ids of events: these tell what an answer has cost."""
        self._costs: OrderedDict[bytes, int] = OrderedDict()
        self._owed: OrderedDict[bytes, int] = OrderedDict()
        """How often an answer has served whose cost is not known yet."""
        self._saved = 0

    def decide(self, request: Request) -> Verdict | None:
        """Answer what was answered before; remember what is asked for the first time."""
        if not request.can_answer or not self._is_steady(request.temperature):
            return None
        place = self._place(request)
        if place is None:
            return None
        with self._lock:
            kept = self._kept.get(place)
            if kept is not None and kept.until_ns > clock.steady_ns():
                cost = self._costs.get(place)
                if cost is None:  # what it is answered with has not been written yet
                    _put(self._owed, place, self._owed.get(place, 0) + 1)
                self._saved += cost or 0
                return Verdict(1, Decision(answer=kept.answer))
            if request.event_id is not None:
                _put(self._asked, request.event_id, place)
        return Verdict(0)

    def followed(self, event_id: EventId, what: Followed) -> bool:
        """Keep an answer."""
        with self._lock:
            place = self._asked.pop(event_id, None)
            if place is not None and what.answer:
                self._keep(place, what.answer)
        return False

    def withdraw(self, event_id: EventId) -> None:
        """Expect no answer."""
        with self._lock:
            self._asked.pop(event_id, None)

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Know which event tells what the answer has cost."""
        with self._lock:
            place = self._asked.get(event_id)
            if place is not None:
                _put(self._made, other, place)

    def ended(self, event_id: EventId, record: EventRecord) -> None:
        """Know what an answer has cost: each time that it serves, this is saved."""
        with self._lock:
            place = self._made.pop(event_id, None)
            if place is not None and record.cost_nanos is not None:
                _put(self._costs, place, record.cost_nanos)
                self._saved += record.cost_nanos * self._owed.pop(place, 0)

    def take_saved(self) -> int:
        """Return what kept answers have saved since this was last asked."""
        with self._lock:
            saved, self._saved = self._saved, 0
        return saved

    def _keep(self, place: bytes, answer: str) -> None:
        before = self._kept.pop(place, None)
        self._bytes += len(answer) - (0 if before is None else len(before.answer))
        self._kept[place] = _Kept(answer, clock.steady_ns() + round((self.policy.ttl_s or 0) * 1e9))
        while len(self._kept) > (self.policy.most or 0) or self._bytes > MOST_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= len(gone.answer)

    def _is_steady(self, temperature: float | None) -> bool:
        return temperature == 0 or (temperature is None and self.policy.temperature == "unset")

    def _place(self, request: Request) -> bytes | None:
        """Return what stands for a request; None for one that cannot be told from another."""
        setup = None if request.setup is None else request.setup()
        parts = segments(request.content)
        if setup is None or not parts or any(part.kind in _UNSEEN for part in parts):
            return None
        digest = blake2b(key=self._key, digest_size=16)
        for text in (request.provider or "", request.model or "", setup):
            _add(digest, text)
        for what, body in items(parts, self._schemas):
            digest.update(bytes([what]))
            _add(digest, body)
        return digest.digest()


MOST_OPEN = 10_000


_Value = TypeVar("_Value")


def _put(table: OrderedDict[bytes, _Value], key: bytes, value: _Value) -> None:
    table[key] = value
    if len(table) > MOST_OPEN:
        table.popitem(last=False)


def _add(digest: "blake2b", text: str) -> None:
    """Add a text with its length, so that two texts never run together."""
    written = text.encode("utf-8", "surrogatepass")
    digest.update(len(written).to_bytes(8))
    digest.update(written)
