"""What a text quotes of earlier outputs: an index of sources in memory, bounded, and answers about one text."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tc_core.ledger.blocks import BLOCK, Fingerprints, Prints, stream

LEAST_QUOTED = 96
"""So many letters and digits in a row are a quotation."""
COMMON = 8
"""A block that so many places have is nobody's words."""
MOST_BLOCKS = 700_000
"""So many blocks are held in memory, of the newest sources; about ten bytes each."""
MOST_RECENT = 8_192


class Source(NamedTuple):
    """What is kept of an output that may be quoted."""

    segment: int
    blocks: bytes


class Quotation(NamedTuple):
    """How much of a text is another segment's; of one, in letters and digits."""

    source: int
    share: float


class Quotations:
    """Knows outputs by their blocks. Not for several threads at once."""

    def __init__(self, key: bytes) -> None:
        self._fingerprints = Fingerprints(key)
        self.forget()

    def forget(self) -> None:
        """Know nothing: what was added may not be in the store."""
        self.newest = 0
        """The key of the newest source that was read from the store."""
        self._segments: list[int] = []
        self._known: set[int] = set()
        self._news: list[Source] = []
        self._old = self._recent = _Level.empty()
        self._unsorted: list[_Level] = []

    def add(self, segment: int, text: str) -> None:
        """Let an output be found where it is quoted."""
        if segment in self._known:
            return
        characters = stream(text)
        if len(characters) < LEAST_QUOTED:
            return
        prints, places = self._fingerprints.of_source(characters)
        self._news.append(Source(segment, self._fingerprints.sealed(segment, prints, places)))
        self._hold(segment, prints, places)

    def take_news(self) -> list[Source]:
        """Return what was added since the last time, and is to be stored."""
        news, self._news = self._news, []
        return news

    def read(self, key: int, segment: int, blocks: bytes) -> None:
        """Take in what the store has of a source, which this or another process has added."""
        self.newest = max(self.newest, key)
        if segment not in self._known:
            self._hold(segment, *self._fingerprints.opened(segment, blocks))

    def of(self, segment: int, text: str) -> list[Quotation]:
        """Return what a text quotes of other segments; none of its characters is counted twice."""
        characters = stream(text)
        runs = sorted(self._runs(self._fingerprints.rolling(characters)), key=lambda run: run.start - run.end)
        taken, covered = np.zeros(len(characters), dtype=bool), dict[int, int]()
        for run in runs:
            free = int((~taken[run.start : run.end]).sum())
            if free < LEAST_QUOTED or self._segments[run.owner] == segment:
                continue
            taken[run.start : run.end] = True
            owner = self._segments[run.owner]
            covered[owner] = covered.get(owner, 0) + free
        return [Quotation(owner, count / len(characters)) for owner, count in sorted(covered.items())]

    def _hold(self, segment: int, prints: Prints, places: NDArray[np.int32]) -> None:
        owner = len(self._segments)
        self._segments.append(segment)
        self._known.add(segment)
        self._unsorted.append(_Level(prints, np.full(len(prints), owner, dtype=np.int32), places))

    def _levels(self) -> Iterator["_Level"]:
        if self._unsorted:
            self._recent = _Level.merged([self._recent, *self._unsorted])
            self._unsorted = []
        if len(self._recent.prints) > MOST_RECENT:
            self._old, self._recent = _Level.merged([self._old, self._recent]), _Level.empty()
            self._drop_oldest()
        yield self._old
        yield self._recent

    def _drop_oldest(self) -> None:
        over = len(self._old.prints) - MOST_BLOCKS
        if over > 0:
            first = int(np.sort(self._old.owners)[over])
            self._known.difference_update(self._segments[:first])
            del self._segments[:first]
            stays = self._old.owners >= first
            self._old = _Level(self._old.prints[stays], self._old.owners[stays] - first, self._old.places[stays])

    def _runs(self, asked: Prints) -> Iterator["_Run"]:
        """Yield where the text and a source go side by side: hits of one source at one distance."""
        hits: dict[tuple[int, int], list[int]] = {}
        found = [hit for level in self._levels() for hit in level.find(asked)]
        for place, owner, at in found:
            hits.setdefault((owner, place - at), []).append(place)
        for (owner, _), places in hits.items():
            run = _Run(owner, min(places), max(places) + BLOCK)
            if run.end - run.start >= LEAST_QUOTED:
                yield run


class _Run(NamedTuple):
    owner: int
    start: int
    end: int


class _Level(NamedTuple):
    """Blocks in the order of their fingerprints."""

    prints: Prints
    owners: NDArray[np.int32]
    places: NDArray[np.int32]

    @classmethod
    def empty(cls) -> "_Level":
        return cls(np.empty(0, np.uint32), np.empty(0, np.int32), np.empty(0, np.int32))

    @classmethod
    def merged(cls, levels: "Sequence[_Level]") -> "_Level":
        prints, owners, places = (np.concatenate(columns) for columns in zip(*levels, strict=True))
        order = np.argsort(prints, kind="stable")
        return cls(prints[order], owners[order], places[order])

    def find(self, asked: Prints) -> Iterator[tuple[int, int, int]]:
        """Yield each place of what is asked that a block is like, whose block, and where that lies; common ones not."""
        first = np.searchsorted(self.prints, asked, "left")
        behind = np.searchsorted(self.prints, asked, "right")
        counts = behind - first
        for place in np.nonzero((counts > 0) & (counts < COMMON))[0].tolist():
            for row in range(int(first[place]), int(behind[place])):
                yield place, int(self.owners[row]), int(self.places[row])
