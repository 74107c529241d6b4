"""Attribution: what each agent, task, customer or anything else has cost, by itself and with all that hung under it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tc_core.model import money
from tc_core.model.event import TrackingEvent
from tc_core.model.scope import DIMENSIONS
from tc_core.store.read.filters import LABEL_PREFIX, label_name

Key = tuple[str | None, ...]

FIELDS = (
    *("event_type", "model", "served_model", "provider", "service_tier", "name", "status", "error_type"),
    *("usage_source", "price_source", "depth", "event_id", "root_id", "parent_id"),
    *DIMENSIONS,
)
"""What events can be grouped by beside labels, and the times `hour`, `day` and `month` (UTC)."""

_TIMES = {"hour": "%Y-%m-%dT%H:00", "day": "%Y-%m-%d", "month": "%Y-%m"}


@dataclass(frozen=True, slots=True)
class Attribution:
    """What one group has cost.

    `self_cost` are the calls of the group itself: over all groups they sum to the whole exactly. `subtree_cost` are
    these and all calls that hung under an event of the group, each once: of groups inside each other these overlap.
    Costs are US dollars, None where no call has a price; `unpriced_calls` of the group are in neither.
    """

    key: Mapping[str, str | None]
    self_nanos: int | None
    subtree_nanos: int | None
    calls: int
    subtree_calls: int
    input_tokens: int
    output_tokens: int
    unpriced_calls: int

    @property
    def self_cost(self) -> float | None:
        """What the calls of the group itself cost, in dollars."""
        return None if self.self_nanos is None else money.to_dollars(self.self_nanos)

    @property
    def subtree_cost(self) -> float | None:
        """What they and all calls below cost, in dollars."""
        return None if self.subtree_nanos is None else money.to_dollars(self.subtree_nanos)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**plain, "key": dict(self.key), "self_cost": self.self_cost, "subtree_cost": self.subtree_cost}


def attribute(
    calls: Iterable[TrackingEvent], above: Mapping[str, TrackingEvent], by: Sequence[str]
) -> list[Attribution]:
    """Return what each group of some calls has cost, the dearest first.

    `above` has the events that they hang under, by their ids.
    """
    read = [_reader(name) for name in by]
    keys: dict[str, Key] = {}
    sums: dict[Key, _Sum] = {}

    def key_of(event: TrackingEvent) -> Key:
        known = keys.get(event.event_id)
        if known is None:
            known = keys[event.event_id] = tuple(each(event) for each in read)
        return known

    for call in calls:
        own = key_of(call)
        sums.setdefault(own, _Sum()).add_own(call)
        for key in dict.fromkeys(key_of(event) for event in _way_up(call, above)):
            sums.setdefault(key, _Sum()).add_below(call)
    found = [
        Attribution(
            dict(zip(by, key, strict=True)),
            each.own_nanos if each.own_priced or not each.calls else None,
            each.nanos if each.priced else None,
            each.calls,
            each.all_calls,
            each.input_tokens,
            each.output_tokens,
            each.unpriced,
        )
        for key, each in sums.items()
    ]
    return sorted(
        found,
        key=lambda each: (
            -(each.self_nanos or 0),
            -(each.subtree_nanos or 0),
            [value or "" for value in each.key.values()],
        ),
    )


class _Sum:
    def __init__(self) -> None:
        self.own_nanos = self.nanos = self.calls = self.all_calls = self.unpriced = 0
        self.priced = self.own_priced = self.input_tokens = self.output_tokens = 0

    def add_own(self, call: TrackingEvent) -> None:
        self.calls += 1
        self.own_nanos += call.cost_nanos or 0
        self.own_priced += call.cost_nanos is not None
        is_billed = call.has_usage or call.status != "error"
        self.unpriced += call.cost_nanos is None and is_billed
        self.input_tokens += call.input_tokens or 0
        self.output_tokens += call.output_tokens or 0

    def add_below(self, call: TrackingEvent) -> None:
        self.all_calls += 1
        self.nanos += call.cost_nanos or 0
        self.priced += call.cost_nanos is not None


def _way_up(call: TrackingEvent, above: Mapping[str, TrackingEvent]) -> Iterable[TrackingEvent]:
    passed: set[str] = set()
    here: TrackingEvent | None = call
    while here is not None and here.event_id not in passed:
        passed.add(here.event_id)
        yield here
        here = above.get(here.parent_id or "")


def _reader(name: str) -> Callable[[TrackingEvent], str | None]:
    if name in _TIMES:
        return lambda event: f"{event.timestamp:{_TIMES[name]}}"
    if name in FIELDS:
        return lambda event: None if (value := getattr(event, name)) is None else str(value)
    if name.startswith(LABEL_PREFIX) or name not in ("cost", "labels", "metadata"):
        label = label_name(name)
        return lambda event: event.labels.get(label)
    raise ValueError(f"cost cannot be attributed by {name!r}: use a dimension, a label, hour, day or month")
