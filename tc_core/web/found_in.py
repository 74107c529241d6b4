"""Which findings belong to which run: a period is looked at in one pass, which is kept for the rows that follow."""

import threading
from collections.abc import Mapping, Sequence

from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.waste import waste
from tc_core.model.period import Period
from tc_core.model.run import Run
from tc_core.store.sql import SqlStore

MOST_TOGETHER = 20_000
"""Of a period with more events each run is looked at alone: what is unusual beside others is not found then."""

MOST_ALONE = 5_000
"""A larger run is left to the page that shows it alone."""

_MOST_KEPT = 4

_lock = threading.Lock()
_kept: dict[tuple[object, ...], Mapping[str, Sequence[Pattern]]] = {}


def run(store: SqlStore, wanted: Run, period: Period) -> Sequence[Pattern] | None:
    """Return what `token-calc patterns` finds in a period and is about a run; None where the run is too large."""
    if store.count(start_time=period.start, end_time=period.end) <= MOST_TOGETHER:
        return _together(store, period).get(wanted.event.event_id, ())
    if wanted.events > MOST_ALONE:
        return None
    return waste(store, store.tree(wanted.event.event_id)[0]).patterns


def _together(store: SqlStore, period: Period) -> Mapping[str, Sequence[Pattern]]:
    key = (store.identity, store.count(), period)
    with _lock:  # the rows in sight ask at the same time for the same pass
        if key not in _kept:
            while len(_kept) >= _MOST_KEPT:
                del _kept[next(iter(_kept))]
            _kept[key] = _by_run(store, period)
        return _kept[key]


def _by_run(store: SqlStore, period: Period) -> Mapping[str, Sequence[Pattern]]:
    events = store.query_events(start_time=period.start, end_time=period.end)
    roots = {event.event_id: event.root_id or event.event_id for event in events}
    found: dict[str, list[Pattern]] = {}
    for pattern in waste(store, events).patterns:
        for root in dict.fromkeys(roots[each] for each in pattern.event_ids if each in roots):
            found.setdefault(root, []).append(pattern)
    return found
