"""What an answer does not know any more, since events have left the store."""

from collections.abc import Mapping
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


def left_the_store(removed: Mapping[date, int]) -> str:
    """Say how many events have left the store, by their days."""
    events = sum(removed.values())
    said = f"{events:,} event{'' if events == 1 else 's'}"
    return f"{said} from {min(removed)} to {max(removed)} (UTC) left the store"
