"""Runs as they come in: what hangs under what, held until the root ends."""

from collections.abc import Iterator, Mapping, Sequence

from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen

MOST_RUNS = 500
MOST_MEMBERS = 5_000


class Run:
    """The events of one run that have ended: at most `MOST_MEMBERS`, further ones are counted."""

    def __init__(self) -> None:
        self.members: dict[str, Seen] = {}
        self.count = 0

    def add(self, seen: Seen) -> None:
        """Add an event; its prompt is not held."""
        self.count += 1
        if len(self.members) < MOST_MEMBERS:
            self.members[seen.event.event_id] = Seen(seen.event, seen.start_us, seen.end_us)

    def children(self) -> Mapping[str | None, Sequence[Seen]]:
        """Return what hangs directly under each event."""
        found: dict[str | None, list[Seen]] = {}
        for each in self.members.values():
            found.setdefault(each.event.parent_id, []).append(each)
        return found

    def above(self, seen: Seen) -> Iterator[Seen]:
        """Yield an event and what it hangs under, as far as that has ended."""
        passed = set()
        here: Seen | None = seen
        while here is not None and here.event.event_id not in passed:
            passed.add(here.event.event_id)
            yield here
            here = self.members.get(here.event.parent_id or "")


class Runs:
    """The runs that are under way."""

    def __init__(self) -> None:
        self._runs: Recent[str, Run] = Recent(MOST_RUNS)

    def add(self, seen: Seen) -> Run | None:
        """Add an event; return its run when that has ended with it, and forget it."""
        run = self._runs.get(seen.root) or self._runs.set(seen.root, Run())
        run.add(seen)
        return self._runs.pop(seen.root) if seen.root == seen.event.event_id else None


def workflow_of(seen: Seen) -> str | None:
    """Return what a run is one of: its workflow, or what its root is called."""
    return seen.event.workflow_id or seen.event.name
