"""Repetition and loops: how much of the newest steps has been seen before, at a constant cost for each message.

Each side (the assistant with its tools, and each other speaker) has a level that fades; the signal is the highest.
Calls and prose of the assistant share one: that keeps "Now looking at item 7" with a call that is new below a loop.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable

from tc_core.health.messages import Entry, ToolCall

WINDOW = 32
"""Steps within which a repeat counts."""
FADE = 0.65
"""What a step keeps of the evidence before it."""
LEAST_WORDS = 6
"""Shorter messages ("Yes, please") are neither repeats nor progress."""
NEAR = 0.35
"""The share of known shingles from which prose counts as a repeat."""
MOST_SHINGLES = 12
"""So many are looked up of one message: its first words tell as much as all of it."""
MOST_WAITING = 256
"""Calls whose result never comes are forgotten beyond that many."""

_DIGITS = str.maketrans("0123456789", "0000000000")


class Repetition:
    """Add messages one by one; `level` is 0 (all new) to 1 (nothing new for many steps)."""

    def __init__(self) -> None:
        self.level = self.peak = 0.0
        self.evidence = ""
        self._step = 0
        self._sides: dict[str, float] = {}
        self._seen: OrderedDict[Hashable, int] = OrderedDict()
        self._waiting: deque[ToolCall] = deque(maxlen=MOST_WAITING)
        self._streak: dict[str, int] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next message."""
        self._waiting.extend(entry.calls)
        if entry.role == "tool":
            for id_ in entry.answers or (None,):
                call = self._answered(id_)
                asked = (call.name, call.arguments) if call else (entry.name, "")
                is_known = self._is_known((*asked, entry.text))
                self._note(
                    "assistant", float(is_known), f"the same call of {asked[0] or 'a tool'} with the same result"
                )
        elif entry.text and entry.role != "system":
            share = self._known_share(entry)
            if share is not None:
                self._note(entry.role, share, f"what the {entry.role} said before, nearly word for word")
        self._forget()

    def _answered(self, id_: str | None) -> ToolCall | None:
        for call in self._waiting:
            if id_ is None or call.id is None or call.id == id_:
                self._waiting.remove(call)
                return call
        return None

    def _note(self, side: str, known: float, what: str) -> None:
        self._sides[side] = self._sides.get(side, 0.0) * FADE + known * (1 - FADE)
        self._streak[side] = self._streak.get(side, 0) + 1 if known > NEAR else 0
        self.level = max(self._sides.values())
        self.peak = max(self.peak, self.level)
        if known > NEAR and self._sides[side] == self.level:
            self.evidence = f"the last {self._streak[side]} of its steps repeat {what}"
        self._step += 1

    def _is_known(self, key: Hashable) -> bool:
        last = self._mark(key)
        return last is not None and self._step - last <= WINDOW

    def _mark(self, key: Hashable) -> int | None:
        key = hash(key)
        last = self._seen.get(key)
        self._seen[key] = self._step
        self._seen.move_to_end(key)
        return last

    def _known_share(self, entry: Entry) -> float | None:
        """Return 0 up to NEAR known shingles, then linear to 1; None for a short message."""
        words = entry.text[:4000].lower().translate(_DIGITS).split(None, MOST_SHINGLES + 2)[: MOST_SHINGLES + 2]
        if len(words) < LEAST_WORDS:
            return None
        since, hits = self._step - WINDOW, 0
        for shingle in zip(words, words[1:], words[2:], strict=False):
            last = self._mark(shingle)
            hits += last is not None and since <= last < self._step
        return max(0.0, (hits / (len(words) - 2) - NEAR) / (1 - NEAR))

    def _forget(self) -> None:
        while self._seen:
            key, last = next(iter(self._seen.items()))
            if self._step - last <= WINDOW:
                return
            del self._seen[key]
