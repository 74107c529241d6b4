"""From sums in a store to anomalies: each bucket is judged by what came before it alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import get_args

import numpy as np

from tc_core.costs.anomalies import days, hours, series
from tc_core.costs.anomalies.anomaly import Anomaly, Bucket, Direction, Kind
from tc_core.costs.anomalies.control import Tail, significant
from tc_core.costs.anomalies.explain import explain
from tc_core.costs.anomalies.series import DAY, Buckets, Series
from tc_core.costs.anomalies.spenders import SETTLED_DAYS, new_spenders
from tc_core.costs.anomalies.windows import Bools, Places, first_of
from tc_core.costs.plain_totals import check_names
from tc_core.costs.weekdays import Floats
from tc_core.costs.zones import TIME_UNITS
from tc_core.model.period import Period, midnight
from tc_core.model.ports import AggregateReader, Filters

MOST_EVENTS = 10
"""So many of an anomaly's dearest calls are named."""

_SINCE = 14
"""So many days back the beginning of a level is looked for."""


@dataclass(frozen=True, slots=True)
class Method:
    """What differs between days and hours; counts are in buckets."""

    law: Tail
    reach_days: int
    per_day: int
    memory: int
    in_a_row: int
    """So many buckets out of the usual, one after the other, are a new level."""


METHODS: dict[str, Method] = {
    "day": Method(Tail(days.MARGIN, 0.003, 0.4, 0.2), days.REACH, 1, days.MEMORY, 3),
    "hour": Method(Tail(hours.MARGIN, 0.0024, 0.4, 1 / 24), hours.REACH, 24, hours.MEMORY * 24, 6),
}
_SPAN_DAYS = {"day": 730, "hour": 90}
"""So many days are judged at once, so that memory does not grow with the history."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is known of all buckets of all series."""

    read: Series
    scores: Floats
    """Up or down, whichever is further out; NaN where not judged."""
    is_up: Bools
    is_out: Bools
    is_new: Bools
    begins: Places
    """Where the history of each bucket's series begins."""
    expected: Floats
    usual: Floats


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, whatever the period; `first` is the first day with events."""

    reader: AggregateReader
    threshold: float
    by: Sequence[str]
    bucket: Bucket
    direction: Direction
    filters: Filters
    tz: tzinfo
    first: date

    @property
    def method(self) -> Method:
        """How its buckets are judged."""
        return METHODS[self.bucket]

    def within(self, begin: date, start: datetime | None, end: datetime) -> Iterator[Anomaly]:
        """Yield what is odd from a day on, in buckets that begin at `start` or later, until `end`."""
        per_day = self.method.per_day
        back = timedelta(days=self.method.reach_days + _SINCE)
        buckets = Buckets(self.bucket, max(self.first - DAY, begin - back), 0, self.tz)
        count = buckets.place(end - timedelta(microseconds=1)) + 1
        if count <= 0:
            return
        buckets = replace(buckets, count=-(-count // per_day) * per_day)
        read = series.read(self.reader, self.by, self.filters, buckets, end)
        check_names(self.by, read.keys)
        if read.keys:
            judged = _judge(self, read, count, end)
            wanted = buckets.place(buckets.day(begin)) if start is None else _first_at(buckets, start)
            yield from _anomalies(self, judged, max(wanted, 0), end)


def detect(
    reader: AggregateReader,
    period: Period,
    *,
    threshold: float,
    by: Sequence[str],
    bucket: Bucket,
    direction: Direction,
    filters: Filters,
    tz: tzinfo,
    now: datetime,
) -> list[Anomaly]:
    """Return what is odd in a period, in order of time, of each bucket the most money first."""
    check(threshold, by, bucket, direction)
    first = series.first_day(reader, filters, tz)
    if first is None:
        return []
    asked = Question(reader, threshold, by, bucket, direction, filters, tz, first)
    end = now if period.end is None else min(now, period.end.astimezone(UTC))
    zone, start = UTC if bucket == "hour" else tz, period.start
    begin, found = first - DAY if start is None else max(first - DAY, start.astimezone(zone).date()), list[Anomaly]()
    while midnight(begin, zone).astimezone(UTC) < end:
        following = begin + timedelta(days=_SPAN_DAYS[bucket])
        found += asked.within(begin, start, min(end, midnight(following, zone).astimezone(UTC)))
        begin, start = following, None
    return found


def check(threshold: object, by: Sequence[object], bucket: object, direction: object) -> None:
    """Raise ValueError, naming the value, for what cannot be asked."""
    if not isinstance(threshold, (int, float)) or not 1 <= threshold < float("inf"):
        raise ValueError(f"threshold must be a number from 1 on, how many times the expected cost, not {threshold!r}")
    for name, value, allowed in (("bucket", bucket, get_args(Bucket)), ("direction", direction, get_args(Direction))):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    for each in by:
        if not isinstance(each, str) or not each or each in TIME_UNITS:
            raise ValueError(f"by must name dimensions or labels such as agent_id, not {each!r}")


def _first_at(buckets: Buckets, start: datetime) -> int:
    """Return the first bucket that begins at a moment or later."""
    place = buckets.place(start)
    return place if buckets.start(place) >= start.astimezone(UTC) else place + 1


def _judge(asked: Question, read: Series, count: int, end: datetime) -> _Judged:
    method, direction, threshold = asked.method, asked.direction, asked.threshold
    costs = read.costs.copy()
    costs[:, count:] = np.nan
    begins = first_of(costs > 0, method.memory)
    found = days.score_days(costs, begins) if method.per_day == 1 else hours.score_hours(costs, begins)
    up, down = found.up, found.down.copy()
    if read.buckets.start(count) > end:
        down[:, count - 1] = np.nan  # what has not ended may still come to its usual cost
    known_from = max((asked.first - read.buckets.first).days * method.per_day, read.whole_from)
    settled = known_from + SETTLED_DAYS * method.per_day
    with np.errstate(invalid="ignore"):
        up_out = significant(up, method.law) & (costs >= threshold * found.expected)
        down_out = significant(down, method.law) & (costs <= found.expected / threshold)
    up_out &= direction in ("up", "both")
    down_out &= direction in ("down", "both")
    return _Judged(
        read,
        np.where(down_out, down, up),
        ~down_out,
        up_out | down_out,
        new_spenders(costs, begins, settled, per_day=method.per_day) & (direction in ("up", "both")),
        begins,
        found.expected,
        np.where(down_out, found.low, found.high),
    )


def _anomalies(asked: Question, judged: _Judged, wanted: int, end: datetime) -> Iterator[Anomaly]:
    by, method = asked.by, asked.method
    read = judged.read
    rows, places = np.nonzero((judged.is_out | judged.is_new)[:, wanted:])
    money = np.abs(np.nan_to_num(read.costs - np.nan_to_num(judged.expected)))
    found = [(int(row), int(place) + wanted) for row, place in zip(rows, places, strict=True)]
    for row, place in sorted(found, key=lambda at: (at[1], -money[at])):
        key = dict(zip(by, read.keys[row], strict=True))
        is_new = bool(judged.is_new[row, place])
        begin, is_long = (int(judged.begins[row, place]), False) if is_new else _since(judged, row, place, method)
        kind: Kind = "new" if is_new else "shift" if is_long else "spike" if judged.is_up[row, place] else "drop"
        start = read.buckets.start(place)
        stop = min(end, read.buckets.start(place + 1))
        expected = 0.0 if is_new else float(judged.expected[row, place])
        calls, per_call = int(read.calls[row, place]), _usual_cost_per_call(read, row, place, method)
        facts = {
            "kind": kind,
            "bucket": read.buckets.unit,
            "observed": float(read.costs[row, place]),
            "expected": expected,
            "usual": 0.0 if is_new else float(judged.usual[row, place]),
            "since": read.buckets.start(begin),
            "calls": calls,
            "expected_calls": expected / per_call if per_call else None,
            "is_over": stop == read.buckets.start(place + 1),
        }
        yield Anomaly(
            key=key,
            period_start=start,
            score=0.0 if is_new else float(judged.scores[row, place]),
            event_ids=_dearest(asked.reader, {**asked.filters, **key}, Period(start, stop)) if calls else [],
            explanation=explain(name=_name(key), start=start, tz=asked.tz, **facts),  # type: ignore[arg-type]  # as above
            **facts,  # type: ignore[arg-type]  # the same
        )


def _since(judged: _Judged, row: int, place: int, method: Method) -> tuple[int, bool]:
    """Return where the run of such buckets that ends here began, and whether it is long enough for a new level."""
    begin = place
    is_up = judged.is_up[row, place]
    while (
        begin > 0
        and place - begin < _SINCE * method.per_day
        and judged.is_out[row, begin - 1]
        and judged.is_up[row, begin - 1] == is_up
    ):
        begin -= 1
    return begin, place - begin + 1 >= method.in_a_row


def _usual_cost_per_call(read: Series, row: int, place: int, method: Method) -> float | None:
    """Return what a call cost in the last two weeks, on average."""
    before = slice(max(0, place - 14 * method.per_day), place)
    known = np.isfinite(read.costs[row, before])
    calls = float(read.calls[row, before][known].sum())
    return float(read.costs[row, before][known].sum()) / calls if calls else None


def _dearest(reader: AggregateReader, filters: Filters, period: Period) -> list[str]:
    found = reader.totals(("event_id",), filters, period.start, period.end)
    calls = sorted((-totals.cost_nanos, str(event_id)) for (event_id,), totals in found.items() if totals.calls)
    return [event_id for _, event_id in calls[:MOST_EVENTS]]


def _name(key: dict[str, str | None]) -> str:
    if not key:
        return "All calls"
    return ", ".join(f"{name.removesuffix('_id')} {value}" if value else f"no {name}" for name, value in key.items())
