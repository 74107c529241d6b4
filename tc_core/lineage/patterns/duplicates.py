"""Duplicates: the same prompt to the same model, asked again although the answer was there."""

from collections.abc import Hashable, Iterable

from tc_core.lineage.patterns.finding import Finding
from tc_core.lineage.patterns.limits import PatternLimits
from tc_core.lineage.patterns.recent import Recent
from tc_core.lineage.patterns.seen import Seen

OF_A_CACHE = "cache"
"""The price source of an answer that the host had itself."""

_ADVICE = "Keep the answer and use it again: have the framework cache it, or ask once and hand the answer on."


class Duplicates:
    """Holds each prompt's first success. Calls that were under way at the same time are none: neither could know."""

    def __init__(self, limits: PatternLimits) -> None:
        self._window_us = limits.duplicate_window_s * 1_000_000
        self._series: Recent[Hashable, _Series] = Recent()

    def see(self, seen: Seen) -> Iterable[Finding]:
        """Take in one event."""
        key = _key(seen)
        if key is None or not seen.is_ok or seen.event.price_source == OF_A_CACHE:
            return
        series = self._series.get(key)
        if series is None or seen.start_us - series.last_us > self._window_us:
            self._series.set(key, _Series(seen))
        elif seen.is_after(series.first):
            series.last_us = max(series.last_us, seen.end_us)
            yield series.add(seen)


class _Series:
    def __init__(self, first: Seen) -> None:
        self.first, self.last_us = first, first.end_us
        self._finding: Finding | None = None

    def add(self, seen: Seen) -> Finding:
        if self._finding is None:
            self._finding = Finding("duplicate", _ADVICE)
            self._finding.name(self.first)
            self._finding.evidence |= {"model": seen.event.model, "times": 1, "in_one_run": True}
        finding = self._finding
        finding.waste(seen, seen.event.cost_nanos)
        finding.evidence["times"] += 1
        finding.evidence["seconds"] = (seen.start_us - self.first.start_us) / 1_000_000
        finding.evidence["in_one_run"] &= seen.scope == self.first.scope
        return finding


def _key(seen: Seen) -> Hashable | None:
    """Return what two calls have in common that ask the same; None where that is not known."""
    event = seen.event
    if not event.is_call:
        return None
    how = (event.event_type, event.model, event.service_tier, seen.parameters)
    if seen.prompt is not None:
        return ("prompt", seen.prompt.end.id, *how)
    return None if seen.input_hash is None else ("hash", seen.input_hash, *how)
