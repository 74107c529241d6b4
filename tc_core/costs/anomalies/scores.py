"""What a method says of each bucket of each series."""

from typing import NamedTuple

from tc_core.costs.weekdays import Floats


class Scores(NamedTuple):
    """Arrays of series x buckets; NaN is not judged.

    `up` and `down` are how far a bucket lies above and below what is usual for this series, in widths of the usual
    band; `expected` is what it was expected to cost, `low` and `high` what still would have been usual.
    """

    up: Floats
    down: Floats
    expected: Floats
    low: Floats
    high: Floats
