"""What an answer does not know any more, since events have left the store."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta


@dataclass(slots=True)
class Gaps:
    """The days (UTC) of which an answer needed the events, although some are gone, and how many are gone of each."""

    days: dict[date, int] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """How many events of these days are gone; the answer may have needed fewer."""
        return sum(self.days.values())

    @property
    def whole_since(self) -> datetime | None:
        """The start of the first day behind the last of these; None when there are none."""
        return datetime.combine(max(self.days) + timedelta(days=1), time(), UTC) if self.days else None
