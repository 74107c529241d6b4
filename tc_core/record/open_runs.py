"""The runs that are open, and those that were a short while ago; which of them is the innermost somewhere."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

from tc_core.record import context
from tc_core.record.pending import PendingEvent

MOST_ENDED = 4_096


class OpenRuns:
    """The runs of a recorder by their keys; used with its lock held."""

    def __init__(self) -> None:
        self.open: dict[Hashable, PendingEvent] = {}
        self.ended: OrderedDict[Hashable, PendingEvent] = OrderedDict()

    def find(self, key: Hashable) -> PendingEvent | None:
        """Return a run that is open, or ended a short while ago."""
        return self.open.get(key) or self.ended.get(key)

    def remember(self, call: PendingEvent) -> None:
        """Keep a run that has ended for a while."""
        self.ended[call.key] = call
        if len(self.ended) > MOST_ENDED:
            self.ended.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them."""
        self.open.clear()
        self.ended.clear()

    def innermost(
        self,
        here: context.Here,
        hosts: Iterable[Hashable],
        at_us: int | None = None,
        *,
        below: PendingEvent | None = None,
    ) -> PendingEvent | None:
        """Return the run, of the user's own or of a framework, that began last and is open here.

        For a run that is told late, that is what was open when it began. `below` is returned where no such run lies
        below it: a framework's own context goes through the others, so it may name a parent from further up.
        """
        found = below
        for key in (*hosts, here.innermost):
            call = None if key is None else self.at(key, at_us)
            if call is None or (below is not None and not call.is_below(below)):
                continue
            if found is None or call.started_ns > found.started_ns:
                found = call
        return found

    def at(self, key: Hashable, at_us: int | None) -> PendingEvent | None:
        """Return a run that is open, or was at a moment."""
        call = self.open.get(key)
        if call is None and at_us is not None:
            ended = self.ended.get(key)
            if ended is not None and at_us <= ended.record.at_us + (ended.record.latency_us or 0):
                return ended
        return call
