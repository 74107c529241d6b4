"""A function of the user's own as a condition."""

from collections.abc import Collection, Iterable, Sequence

from tc_core.alerts.rules import AlertRule, Signal, key_of
from tc_core.alerts.words import usd
from tc_core.model.event import TrackingEvent, to_us
from tc_core.record.guard import failure_of


class FunctionCondition:
    """Asks a function about each event."""

    repeats, tells_end = True, False
    every_seconds = 0.0

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule

    def see(self, events: Sequence[TrackingEvent]) -> Iterable[Signal]:
        """Return what the function says of each event; one that raises has not held."""
        last: dict[str, bool] = {}
        for event in events:
            key, is_on = key_of(event, self._rule.by), self._holds(event)
            if is_on or last.get(key, True):  # of many quiet events in a row the first says all
                yield Signal(key, is_on, said_of(event), event.cost, event.event_id, ended_us(event))
            last[key] = is_on

    def look(self, firing: Collection[str]) -> Iterable[Signal]:
        """Return nothing: a function is asked once about each event."""
        return ()

    def _holds(self, event: TrackingEvent) -> bool:
        answers: list[object] = []

        def ask() -> None:
            try:
                answers.append(self._rule.condition(event))  # type: ignore[operator]  # this one is a function
            except TypeError:
                if event.cost is not None:
                    raise
                # a cost that is not known is above or below nothing

        failure_of(f"alert rule {self._rule.name!r}", ask)
        return bool(answers and answers[0])


def ended_us(event: TrackingEvent) -> int:
    """Return when an event was over, in microseconds since 1970."""
    return to_us(event.timestamp) + int((event.latency_ms or 0) * 1000)


def said_of(event: TrackingEvent) -> str:
    """Return one line about an event: `llm_call of gpt-4o by writer, $0.0412`."""
    what = event.model or event.name
    words = event.event_type + (f" of {what}" if what else "") + (f" by {event.agent_id}" if event.agent_id else "")
    return words if event.cost is None else f"{words}, {usd(event.cost)}"
