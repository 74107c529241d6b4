"""The metrics that `aggregate` knows."""

from collections.abc import Callable
from typing import get_args

from tc_core.model import money
from tc_core.model.ports import Metric
from tc_core.model.totals import Totals

_READERS: dict[str, Callable[[Totals], float | int | None]] = {
    "cost": lambda total: None if total.known_cost_nanos is None else money.to_dollars(total.known_cost_nanos),
    "charges": lambda total: None if total.known_charges_nanos is None else money.to_dollars(total.known_charges_nanos),
    "input_tokens": lambda total: total.input_tokens,
    "output_tokens": lambda total: total.output_tokens,
    "total_tokens": lambda total: total.input_tokens + total.output_tokens,
    "cached_tokens": lambda total: total.cached_tokens,
    "calls": lambda total: total.calls,
    "errors": lambda total: total.errors,
    "latency_ms": lambda total: total.latency_us / 1000,
}


def value_of(metric: Metric) -> Callable[[Totals], float | int | None]:
    """Return what reads a metric from sums; raise ValueError for an unknown one."""
    if metric not in _READERS:
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, not {metric!r}")
    return _READERS[metric]
