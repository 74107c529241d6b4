"""Retry storms: the same thing tried again and again while it fails."""

from collections import deque
from collections.abc import Hashable, Iterable
from itertools import pairwise

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen

GROWTH = 1.3
"""A pause that is so many times the one before backs off; schedules double, and jitter takes from that."""
LEAST_PAUSE_S = 0.05
MOST_TRIES = 200

_ADVICE_PAUSES = "Cap the number of retries: the pauses grow, but nothing comes of it."
_ADVICE = (
    "Wait longer before each retry (exponential back-off with jitter), cap their number, and do not retry what cannot "
    "succeed."
)


class RetryStorms:
    """Counts failures of the same prompt, or where no prompt is known, of the same place; and the rate in a run."""

    def __init__(self, limits: PatternLimits) -> None:
        self._limits = limits
        self._window_us = limits.retry_window_s * 1_000_000
        self._rows: Recent[Hashable, deque[Seen]] = Recent()
        self._tries: Recent[Hashable, deque[Seen]] = Recent()
        self._storms: Recent[Hashable, _Storm] = Recent()

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        event = seen.event
        if not (event.is_call or event.event_type in ("tool", "retrieval")) or not (seen.is_ok or seen.has_failed):
            return
        place, thing = _place(seen), _thing(seen)
        storm = self._storms.get(place)
        row = self._rows.get(thing) or self._rows.set(thing, deque(maxlen=MOST_TRIES))
        tries = self._tries.get((place, event.model, event.name)) or deque(maxlen=MOST_TRIES)
        self._tries.set((place, event.model, event.name), tries)
        tries.append(seen)
        self._drop_old(tries, seen)
        if seen.is_ok:
            was_failing = bool(row)
            self._rows.pop(thing)
            if storm is not None and was_failing and storm.has(row[-1]):
                yield storm.end(seen)
            return
        row.append(seen)
        self._drop_old(row, seen)
        failed = self._failures(row, tries)
        if not failed:
            return
        if storm is None or seen.end_us - storm.last_us > self._window_us:
            storm = self._storms.set(place, _Storm())
        for each in failed:
            storm.add(each)
        yield storm.finding

    def _failures(self, row: deque[Seen], tries: deque[Seen]) -> list[Seen]:
        """Return the failures that make a storm, none where there are too few."""
        if len(row) >= self._limits.retry_count:
            return list(row)
        failed = [each for each in tries if each.has_failed]
        is_storm = len(failed) >= max(self._limits.retry_count, 1) and len(failed) >= self._limits.retry_rate * len(
            tries
        )
        return failed if is_storm else []

    def _drop_old(self, some: deque[Seen], newest: Seen) -> None:
        while some and newest.end_us - some[0].end_us > self._window_us:
            some.popleft()


class _Storm:
    def __init__(self) -> None:
        self.finding = Finding("retry_storm", _ADVICE)
        self.finding.evidence |= {"failures": 0, "seconds": 0.0, "errors": {}, "succeeded": False}
        self.last_us = 0
        self._seen: dict[str, None] = {}
        self._starts: list[tuple[int, int]] = []

    def has(self, seen: Seen) -> bool:
        """Tell whether an event is part of it."""
        return seen.event.event_id in self._seen

    def add(self, seen: Seen) -> None:
        """Add a failure; what was billed for it is waste."""
        event = seen.event
        if event.event_id in self._seen:
            return
        if len(self._seen) < MOST_TRIES:
            self._seen[event.event_id] = None
            self._starts.append((seen.start_us, seen.end_us))
        self.last_us = max(self.last_us, seen.end_us)
        is_unbilled = event.cost_nanos is None and not event.has_usage
        self.finding.waste(seen, 0 if is_unbilled else event.cost_nanos)
        evidence = self.finding.evidence
        evidence["failures"] += 1
        name = event.error_type or "error"
        evidence["errors"][name] = evidence["errors"].get(name, 0) + 1
        evidence["seconds"] = (self.last_us - min(start for start, _ in self._starts)) / 1_000_000
        pauses = [max(0, start - end) for (_, end), (start, _) in pairwise(sorted(self._starts))]
        evidence["pauses_s"] = [round(pause / 1_000_000, 3) for pause in pauses[:10]]
        grows = all(later >= sooner * GROWTH for sooner, later in pairwise(pauses))
        evidence["backs_off"] = len(pauses) > 1 and grows and max(pauses) >= LEAST_PAUSE_S * 1_000_000
        self.finding.advice = _ADVICE_PAUSES if evidence["backs_off"] else _ADVICE
        self.finding.least = "low" if evidence["backs_off"] else "medium"

    def end(self, seen: Seen) -> Finding:
        """Note that a retry has succeeded in the end: that call is no waste."""
        self.finding.name(seen)
        self.finding.evidence["succeeded"] = True
        return self.finding


def _place(seen: Seen) -> Hashable:
    """Return where something happens: a conversation or a run; of calls that stand alone, what they are for."""
    event = seen.event
    if event.session_id is None and event.parent_id is None and event.is_call:
        return ("alone", event.workflow_id, event.agent_id, event.model)
    return seen.scope


def _thing(seen: Seen) -> Hashable:
    """Return what is tried."""
    event = seen.event
    if seen.prompt is not None:
        return ("prompt", seen.prompt.end.id)
    return (_place(seen), event.parent_id, event.agent_id, event.event_type, event.model, event.name)
