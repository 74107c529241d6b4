"""Alerts to the services that the library apprise knows: `pip install 'token-calculator-suite[alerts]'`."""

from collections.abc import Sequence
from typing import Any

from tc_core.alerts.outbox import Notice, NotifyError

_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}
_OPTIONS = "redirect=no&cto=5&rto=5"
"""No redirect is followed, and five seconds are waited."""


class Apprise:
    """Sends alerts to some URLs; raises NotifyError where not all have taken one."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._services: Any = None

    def __call__(self, notice: Notice) -> None:
        """Send one alert."""
        facts = notice.facts
        kind = "success" if facts["type"] == "alert.resolved" else _TYPES[facts["severity"]]
        title = f"[{facts['severity']}] {facts['rule']}"
        if not self._made().notify(body=facts["message"], title=title, notify_type=kind):
            raise NotifyError(f"apprise could not send to all of {len(self._urls)} services")

    def _made(self) -> Any:
        if self._services is None:
            try:
                import apprise
            except ImportError:
                said = "alerts.apprise needs a library: pip install 'token-calculator-suite[alerts]'"
                raise NotifyError(said) from None
            services = apprise.Apprise()
            for place, url in enumerate(self._urls, start=1):
                if not services.add(f"{url}{'&' if '?' in url else '?'}{_OPTIONS}"):
                    raise NotifyError(f"apprise cannot read URL {place} of alerts.apprise")
            self._services = services
        return self._services
