"""What an anomaly is, as users see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Bucket = Literal["day", "hour"]
Direction = Literal["up", "down", "both"]
Kind = Literal["spike", "shift", "drop", "new"]

LEAST_DAYS = 7
"""Days with cost before the days of a series are judged."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A day or an hour whose cost is not what it was expected to be.

    `key` maps each name grouped by to its value. `observed`, `expected` and `usual` (the most, or of a drop the least,
    that would have been usual) are US dollars. `score` is how far it lies outside of what is usual, in widths of that.
    `kind` is `spike`, `shift` (so for several buckets in a row, since `since`), `drop`, or `new`: a spender that was
    not there before, of which nothing was expected. `event_ids` are its dearest calls. All of it follows from what came
    before the bucket's end.
    """

    key: Mapping[str, str | None]
    period_start: datetime
    observed: float
    expected: float
    score: float
    event_ids: list[str]
    explanation: str
    kind: Kind = "spike"
    bucket: Bucket = "day"
    since: datetime | None = None
    usual: float = 0.0
    calls: int = 0
    expected_calls: float | None = None
    is_over: bool = field(default=True)
    """Whether the bucket had ended when it was judged."""

    @property
    def excess(self) -> float:
        """What it cost beyond what was expected, in US dollars; below zero for a drop."""
        return self.observed - self.expected

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {
            "key": dict(self.key),
            "period_start": self.period_start.isoformat(),
            "since": self.since and self.since.isoformat(),
            "excess": self.excess,
        }
