"""One compression that is asked for, and what all strategies fall back on: the newest messages that fit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tc_core.health.compress.draft import Kept, Scale, alternating, whole
from tc_core.health.compress.groups import Group
from tc_core.health.messages import Entry
from tc_core.health.similarity import Similarity

Summarizer = Callable[[str], str]

LEAST_ROOM = 8
"""A message is not cut to fewer tokens than that: it is left out."""


@dataclass(slots=True)
class Work:
    """One compression that is asked for."""

    entries: Sequence[Entry]
    target: int
    scale: Scale
    similarity: Similarity
    summarizer: Summarizer | None = None

    def fits(self, kept: Sequence[Kept]) -> bool:
        """Tell whether a result is within the target."""
        return self.scale.total(kept) <= self.target

    def put_together(self, groups: Sequence[Group], chosen: set[int], made: Sequence[Kept] = ()) -> list[Kept]:
        """Return the chosen groups and the fixed ones in their order, what is made behind the fixed at the front."""
        kept: list[Kept] = []
        waiting = list(made)
        for group in groups:
            if not group.is_fixed and waiting:
                kept, waiting = kept + waiting, []
            if group.is_fixed or group.number in chosen:
                kept += whole(group.entries)
        return alternating([*kept, *waiting], self.entries)


def window(work: Work, groups: Sequence[Group]) -> list[Kept]:
    """Keep the newest groups that fit; the newest is cut inside where it is too large alone."""
    free = [group for group in groups if not group.is_fixed]
    room = work.target - work.scale.total(whole(entry for group in groups if group.is_fixed for entry in group.entries))
    chosen: set[int] = set()
    for group in reversed(free):
        room -= group.size
        if room < 0:
            break
        chosen.add(group.number)
    for number in sorted(chosen):  # marks between those that were apart may take a little more
        kept = work.put_together(groups, chosen)
        if work.fits(kept):
            return kept
        chosen.discard(number)
    return _newest_cut(work, groups, free)


def _newest_cut(work: Work, groups: Sequence[Group], free: Sequence[Group]) -> list[Kept]:
    """Cut inside the newest group; a person's question before it goes only where there is no room for it."""
    bare = work.put_together(groups, set())
    if not free or not work.fits(bare):
        return bare
    newest = free[-1]
    texts = {id(entry): entry.text for entry in newest.entries}
    while True:
        cut = [
            Kept(entry, entry.role, None if texts[id(entry)] == entry.text else texts[id(entry)])
            for entry in newest.entries
        ]
        kept = alternating([*_fixed(groups, before=newest), *cut, *_fixed(groups, behind=newest)], work.entries)
        over = work.scale.total(kept) - work.target
        if over <= 0:
            return kept
        longest = max(newest.entries, key=lambda entry: work.scale.tokens(texts[id(entry)]))
        have = work.scale.tokens(texts[id(longest)])
        shorter = work.scale.cut(longest.text, min(have - 1, have - over))
        if have - over < LEAST_ROOM or not shorter or shorter == texts[id(longest)]:
            return bare
        texts[id(longest)] = shorter


def _fixed(groups: Sequence[Group], *, before: Group | None = None, behind: Group | None = None) -> Iterator[Kept]:
    """Yield the messages of the fixed groups before one, or behind one."""
    for group in groups:
        is_there = group.number < before.number if before else behind is not None and group.number > behind.number
        if group.is_fixed and is_there:
            yield from whole(group.entries)
