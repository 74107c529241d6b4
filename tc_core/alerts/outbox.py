"""What is to be sent, as bytes that never change, and when it is tried again."""

import os
import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple

import orjson

from tc_core.alerts.rules import Alert
from tc_core.model import ids

What = Literal["fired", "resolved", "test"]

LOCAL = "console"
"""The channel that every process has for itself."""

ABANDONED_SECONDS = 60.0
"""After so long another process sends what was meant for one process's own console or function."""

LEASE_SECONDS = 30.0
"""So long nobody else sends what somebody sends; a sender that was killed loses it then."""

FIRST_SECONDS, GROWTH, MOST_SECONDS = 1.0, 4.0, 900.0
"""When it is tried again: after a second, then after four times as long each time, at most a quarter of an hour."""

GIVE_UP_SECONDS = 3 * 86_400.0
"""What could not be sent for three days is given up; `token-calc alerts history` still shows it."""

_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}


class Notice(NamedTuple):
    """What a notifier sends. `id` is the same at each attempt, so that a receiver can tell a repetition."""

    id: str
    body: bytes

    @property
    def facts(self) -> Mapping[str, Any]:
        """The values of the body."""
        values: Mapping[str, Any] = orjson.loads(self.body)
        return values


def alert_in(notice: Notice) -> Alert:
    """Return the alert that a notice is about."""
    facts = {name: value for name, value in notice.facts.items() if name in Alert.__slots__}
    for name in ("fired_at", "resolved_at", "acknowledged_at"):
        facts[name] = None if facts[name] is None else datetime.fromisoformat(facts[name])
    return Alert(**facts)


class NotifyError(Exception):
    """Something could not be sent; the message says why, and has nothing secret in it."""


@cache
def _process(_pid: int) -> str:
    return ids.to_text(ids.new_id())


def home() -> str:
    """Return what this process is known by in the outbox."""
    return _process(os.getpid())


def rows(
    alert: Alert, key: int, channels: Iterable[str], own: Iterable[str], what: What, now_us: int
) -> list[dict[str, Any]]:
    """Return the rows of the outbox for an alert, one for each channel; `own` are channels of this process alone."""
    found = []
    for channel in channels:
        id_ = f"{alert.alert_id}.{what}.{channel}"
        found.append(
            {
                "id": id_,
                "alert": key,
                "channel": channel,
                "body": body(alert, what, id_),
                "home": home() if channel in own else "",
                "made_us": now_us,
                "due_us": now_us,
                "lease_us": 0,
                "attempts": 0,
                "is_delivered": 0,
            }
        )
    return found


def body(alert: Alert, what: What, id_: str) -> bytes:
    """Return what is sent: JSON whose `text` is what Slack, Mattermost and the like show."""
    facts = {"text": text(alert, what), "type": f"alert.{what}", "id": id_, **alert.to_dict()}
    return orjson.dumps(facts)


def text(alert: Alert, what: What) -> str:
    """Return one line for people; what would command Slack, such as a mention, is escaped."""
    mark = "🟢" if what == "resolved" else _MARKS.get(alert.severity, "")
    state = {"fired": alert.severity, "resolved": "resolved", "test": f"test, {alert.severity}"}[what]
    line = " ".join(f"{mark} [{state}] {alert.rule}: {alert.message}".split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def again_in(attempts: int, *, jitter: float | None = None) -> float:
    """Return in how many seconds something is tried again that was tried so often: first within 1.5 seconds."""
    share = random.uniform(0.5, 1.5) if jitter is None else jitter  # noqa: S311  # nobody guesses it
    return float(min(FIRST_SECONDS * GROWTH ** (min(attempts, 20) - 1), MOST_SECONDS)) * share
