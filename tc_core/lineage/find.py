"""Finding a run or an event by what people know of it: its id, the beginning or end of one, or a name."""

from tc_core.errors import LineageError
from tc_core.model.event import TrackingEvent
from tc_core.model.gaps import left_the_store
from tc_core.store.sql import SqlStore

LAST = "last"
"""Stands for the latest run."""

LEAST_DIGITS = 4
MOST_NAMED = 3


def run_id(store: SqlStore, wanted: str) -> str:
    """Return the id of a run's root: of the latest one, the latest of a workflow or a name, or that of an event.

    Raises LineageError where there is none, or where it could be several.
    """
    if wanted == LAST:
        latest = store.runs(limit=1) or store.runs(limit=1, single_calls=True)
        if not latest:
            raise LineageError("No run is recorded yet: `token-calc demo` records one.")
        return latest[0].event.event_id
    for named in ({"workflow_id": wanted}, {"name": wanted}):
        latest = store.runs(named, limit=1, single_calls=True)
        if latest:
            return latest[0].event.event_id
    found = event(store, wanted)
    return found.root_id or found.event_id


def event(store: SqlStore, wanted: str) -> TrackingEvent:
    """Return the event with an id, or with one that begins or ends so, or the latest run's root.

    Raises LineageError where there is none, or where it could be several.
    """
    found = store.get_event(run_id(store, LAST) if wanted == LAST else wanted)
    if found is not None:
        return found
    digits = wanted.replace("-", "").lower()
    is_part = len(digits) >= LEAST_DIGITS and all(digit in "0123456789abcdef" for digit in digits)
    like = store.ids_like(digits) if is_part else []
    if len(like) > 1:
        others = " and others" if len(like) > MOST_NAMED else ""
        raise LineageError(f"{wanted} could be {', '.join(like[:MOST_NAMED])}{others}: give more of it.")
    found = store.get_event(like[0]) if like else None
    if found is None:
        removed = store.removals()
        gone = f"; {left_the_store(removed)}" if removed else ""
        raise LineageError(f"No event {wanted} is recorded{gone}: `token-calc runs` lists what is.")
    return found


def below(store: SqlStore, event: TrackingEvent) -> list[TrackingEvent]:
    """Return an event and all that hangs under it."""
    events, _ = store.tree(event.root_id or event.event_id)
    children: dict[str | None, list[TrackingEvent]] = {}
    for each in events:
        children.setdefault(each.parent_id, []).append(each)
    found, waiting = [], [event]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting.extend(children.get(each.event_id, ()))
    return found
