"""What of a context still matters: the steps that hang together with the newest ones by ids and names.

A step is a message, or a call with its results. It reads low where conversations share names, so it is a trend.
"""

import re
from collections.abc import Iterator

from tc_core.health.messages import Entry

NEWEST = 4
"""So many of the newest steps that carry keys are the live thread."""
LINK = 0.2
"""A step is live when this share of its keys stands in live steps after it."""
LEAST = 2
"""And at least so many of them, or all that it has."""
MOST_CHARACTERS = 100_000
"""More of one message is not searched for keys."""

LONGEST = 200
"""What is longer without a blank is one key as a whole: to look for keys in it takes the square of its length."""

_NAMED = re.compile(r"(?<![\w@./-])(?=[\w.-]*[\d_@/])[\w@./-]+")
"""A run of the characters that keys are of, with one of those that no key is without."""
_KEY = re.compile(r"[A-Za-z][\w@./-]*\d\w*|\d+[A-Za-z]\w*|\w+(?:_\w+)+|[\w.]+@[\w.]+\w|(?:[\w.-]+/)+[\w.-]+|\b\d{4,}\b")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_WORDY = re.compile(r"^[a-z]+(?:_[a-z]+)+$")


class Thread:
    """The steps with their keys and lengths, kept as messages come."""

    def __init__(self) -> None:
        self._keys: list[set[int]] = []
        self._bars: list[float] = []
        """So many keys of each step must stand in live steps."""
        self._length: list[int] = []
        self._results: list[int] = []
        """Of each step, the characters that tools have brought."""
        self._superseded: set[int] = set()
        self._latest: dict[int, int] = {}
        """Of each call, by name and arguments, the step that brought its latest result."""

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, entry: Entry) -> None:
        """Take in the next message; the system's stand apart."""
        if entry.role == "system":
            return
        if entry.role != "tool" or not self._keys:
            self._keys.append(set())
            self._bars.append(0)
            self._length.append(0)
            self._results.append(0)
        text = " ".join([entry.text, *(call.arguments for call in entry.calls)])
        self._keys[-1] |= keys(text)
        count = len(self._keys[-1])
        self._bars[-1] = max(LINK * count, min(LEAST, count))
        self._length[-1] += len(text)
        if entry.role == "tool":
            self._results[-1] += len(entry.text)
        for call in entry.calls:
            asked = hash((call.name, call.arguments))
            before = self._latest.get(asked)
            if before is not None:
                self._superseded.add(before)
            self._latest[asked] = len(self._keys) - 1

    def irrelevant(self, steps: int | None = None) -> float:
        """Return the share of the characters outside the live thread, 0 to 1; of the first `steps` where given."""
        count = len(self._keys) if steps is None else steps
        return self._outside(self.live(count))

    def _outside(self, live: list[bool]) -> float:
        outside = sum(length for length, is_live in zip(self._length, live, strict=False) if not is_live)
        return outside / (sum(self._length[: len(live)]) or 1)

    def shares(self) -> tuple[float, float]:
        """Return the irrelevant share, and the stale share of what tools have brought.

        Stale is what a newer result of the same call replaces, or what is off the thread; 0 where no tool was called.
        """
        live = self.live(len(self._keys))
        irrelevant, whole = self._outside(live), sum(self._results)
        if not whole:
            return irrelevant, 0.0
        gone = (
            length
            for step, (length, is_live) in enumerate(zip(self._results, live, strict=True))
            if not is_live or step in self._superseded
        )
        return irrelevant, sum(gone) / whole

    def live(self, count: int) -> list[bool]:
        """Tell of each of the first steps whether it hangs together with the newest of them."""
        live: set[int] = set()
        found: list[bool | None] = [None] * count
        taken = 0
        for step in range(count - 1, -1, -1):
            own = self._keys[step]
            if not own:
                continue
            is_live = taken < NEWEST or (not own.isdisjoint(live) and len(own & live) >= self._bars[step])
            if is_live:
                live |= own
                taken += 1
            found[step] = is_live
        return list(_filled(found))


def _filled(found: list[bool | None]) -> Iterator[bool]:
    """Let a step without keys go with the one before it."""
    state = True
    for each in found:
        state = state if each is None else each
        yield state


def keys(text: str) -> set[int]:
    """Return the hashes of what names something in a text: ids, codes, paths, addresses, long numbers."""
    found: list[str] = []
    for run in _NAMED.findall(text[:MOST_CHARACTERS]):
        found += _KEY.findall(run) if len(run) <= LONGEST else [run]
    return {hash(key) for key in found if not _WORDY.match(key) and not _DATE.match(key)}
