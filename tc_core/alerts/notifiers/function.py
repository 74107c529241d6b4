"""Alerts to a function of one's own."""

from collections.abc import Callable

from tc_core.alerts.outbox import Notice, NotifyError, alert_in
from tc_core.alerts.rules import Alert
from tc_core.record.guard import failure_of

Tell = Callable[[Alert], object]


class Function:
    """Calls a function with each alert; one that raises is called again later."""

    def __init__(self, name: str, function: Tell) -> None:
        self._name, self._function = name, function

    def __call__(self, notice: Notice) -> None:
        """Call it; raise NotifyError where it raises."""
        alert = alert_in(notice)
        error = failure_of(f"notifier {self._name!r}", lambda: self._function(alert))
        if error is not None:
            raise NotifyError(f"{self._name} raised {type(error).__name__}")
