"""An anomaly in words: what, since when, how much above what was expected, and what of it are calls."""

from datetime import datetime, tzinfo
from decimal import Decimal

from tc_core.costs.anomalies.anomaly import Bucket, Kind

_AS_USUAL = 1.25
"""Up to this ratio a figure is said to be as usual."""


def explain(
    *,
    name: str,
    kind: Kind,
    bucket: Bucket,
    start: datetime,
    tz: tzinfo,
    observed: float,
    expected: float,
    usual: float,
    since: datetime,
    calls: int,
    expected_calls: float | None,
    is_over: bool,
) -> str:
    """Return one or two sentences."""
    when = moment(start, bucket, tz)
    so_far = "" if is_over else " so far"
    cost = f"{name} cost {dollars(observed)}{so_far} {when}"
    if kind == "new":
        before = "before" if since == start else f"before {moment(since, bucket, tz)[3:]}"
        return f"{cost} and had cost nothing {before}: a new spender, {calls:,} call{'' if calls == 1 else 's'}."
    over = "the last 4 weeks, by weekday" if bucket == "day" else "this hour of the last 14 days"
    ratio = observed / expected if expected else 0.0
    said = f"{ratio:.1f}x" if observed >= expected else f"{ratio:.0%} of".replace("%", " %")
    sentence = f"{cost}, {said} the {dollars(expected)} expected from {over}"
    bound = "at most" if observed >= expected else "at least"
    sentence += f" ({bound} {dollars(usual)} was usual)"
    if kind == "shift":
        sentence += f"; so since {moment(since, bucket, tz)[3:]}: a new level"
    return f"{sentence}. {_drivers(observed, expected, calls, expected_calls)}".strip()


def dollars(amount: float) -> str:
    """Write dollars with three digits, and cents at least."""
    exact = Decimal(repr(amount))
    places = 2 if not amount else max(2, min(9, 2 - exact.adjusted()))
    return f"${amount:,.{places}f}"


def moment(start: datetime, bucket: Bucket, tz: tzinfo) -> str:
    """Name a bucket as people do."""
    local = start.astimezone(tz)
    return f"on {local:%a %Y-%m-%d}" if bucket == "day" else f"at {local:%a %Y-%m-%d %H:%M}"


def _drivers(observed: float, expected: float, calls: int, expected_calls: float | None) -> str:
    """Say whether there were more calls, or dearer ones."""
    if not calls:
        return "There was no call."
    if not expected_calls or not expected:
        return f"{calls:,} call{'' if calls == 1 else 's'}."
    volume = calls / expected_calls
    price = (observed / calls) / (expected / expected_calls)
    return f"Calls: {_times(volume)} ({calls:,}); cost per call: {_times(price)}."


def _times(ratio: float) -> str:
    return "as usual" if 1 / _AS_USUAL <= ratio <= _AS_USUAL else f"{ratio:.1f}x"
