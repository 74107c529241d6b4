"""What belongs together in a conversation: a message with tool calls and their results are one group."""

from collections.abc import Sequence
from dataclasses import dataclass

from tc_core.health.messages import Entry


@dataclass(slots=True, eq=False)
class Group:
    """Messages that are kept or left out together, and where the first of them stands."""

    entries: list[Entry]
    number: int

    @property
    def size(self) -> int:
        """The tokens of all of them."""
        return sum(entry.size for entry in self.entries)

    @property
    def is_fixed(self) -> bool:
        """Whether every compression keeps it: the system's, and what is pinned."""
        return any(entry.is_fixed for entry in self.entries)

    @property
    def role(self) -> str:
        """Who begins it."""
        return self.entries[0].role


def grouped(entries: Sequence[Entry]) -> list[Group]:
    """Return the groups in order; a result that comes late takes all between it and its call into one group."""
    groups: list[list[Entry]] = []
    waiting: dict[str, int] = {}
    for entry in entries:
        if entry.role == "tool":
            at = min((waiting.pop(id_) for id_ in entry.answers if id_ in waiting), default=None)
            if at is None and groups and groups[-1][0].calls and not entry.answers:
                at = len(groups) - 1
            if at is not None:
                groups[at:] = [[each for group in groups[at:] for each in group]]
                groups[at].append(entry)
                waiting = {id_: min(place, at) for id_, place in waiting.items()}
                continue
        groups.append([entry])
        waiting |= {call.id: len(groups) - 1 for call in entry.calls if call.id is not None}
    return [Group(each, number) for number, each in enumerate(groups)]
