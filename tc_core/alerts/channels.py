"""The channels that this process can send over: those of the settings, and functions of the program's own."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tc_core import settings
from tc_core.alerts.outbox import LOCAL, Notice, NotifyError, body
from tc_core.alerts.rules import Alert

Notifier = Callable[[Notice], object]

BUILT_IN = ("console", "webhook", "email", "apprise")


class Channels:
    """Notifiers by the names that rules call them."""

    def __init__(self) -> None:
        self._own: dict[str, Notifier] = {}
        self._made: tuple[settings.Alerts | None, dict[str, Notifier]] = (None, {})

    def add(self, name: str, notifier: Notifier) -> None:
        """Have a name stand for a notifier of this process alone."""
        self._own = {**self._own, name: notifier}

    def current(self) -> Mapping[str, Notifier]:
        """Return what can be sent over now."""
        said = settings.load().alerts
        if self._made[0] is not said:
            self._made = (said, _of_settings(said))
        return {**self._made[1], **self._own}

    @property
    def local(self) -> frozenset[str]:
        """The names that mean something else in each process."""
        return frozenset({LOCAL, *self._own})

    def fault(self, name: str) -> str | None:
        """Say why nothing can be sent over a channel from here, None where it can."""
        if name in self.current():
            return None
        missing = {
            "webhook": "set alerts.webhook_url (TOKEN_CALC_WEBHOOK_URL)",
            "email": "set alerts.email (TOKEN_CALC_EMAIL_ALERTS) and alerts.smtp.host",
            "apprise": "set alerts.apprise",
        }
        return missing.get(
            name, f"no such channel: use {', '.join(BUILT_IN)}, or AlertManager.add_notifier({name!r}, ...)"
        )


def _of_settings(said: settings.Alerts) -> dict[str, Notifier]:
    from tc_core.alerts.notifiers import console

    found: dict[str, Notifier] = {LOCAL: console.notify}
    if said.webhook_url is not None:
        found["webhook"] = _webhook(said, said.webhook_url.get_secret_value())
    if said.email and said.smtp.host is not None:
        found["email"] = _later(lambda: _mail(said))
    if said.apprise:
        found["apprise"] = _later(lambda: _apprise(said))
    return found


def _webhook(said: settings.Alerts, url: str) -> Notifier:
    secret = None if said.webhook_secret is None else said.webhook_secret.get_secret_value()

    def make() -> Notifier:
        from tc_core.alerts.notifiers.webhook import Webhook

        return Webhook(url, secret, allow_private=said.allow_private_webhooks)

    return _later(make)


def _mail(said: settings.Alerts) -> Notifier:
    from tc_core.alerts.notifiers.mail import Mail

    return Mail(said.smtp, said.email)


def _apprise(said: settings.Alerts) -> Notifier:
    from tc_core.alerts.notifiers.apprise_services import Apprise

    return Apprise([url.get_secret_value() for url in said.apprise])


def _later(make: Callable[[], Notifier]) -> Notifier:
    """Return a notifier that is made when it first has something to send: its libraries take time to import."""
    made: list[Any] = []

    def notify(notice: Notice) -> None:
        if not made:
            made.append(make())
        made[0](notice)

    return notify


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a test of a channel: `fault` is None where it arrived."""

    channel: str
    took_ms: float
    fault: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def try_channels(names: Iterable[str] = ()) -> Iterator[Tried]:
    """Send a test alert over some channels, or all that the settings know, and tell at once what came of each."""
    channels = Channels()
    alert = Alert("test", "info", "this is a test of Token Calculator's alerts: nothing is wrong")
    for name in list(names) or list(channels.current()):
        began = time.perf_counter()
        fault = channels.fault(name)
        if fault is None:
            notice = Notice(id_ := f"{alert.alert_id}.test.{name}", body(alert, "test", id_))
            fault = send(channels.current()[name], notice)
        yield Tried(name, (time.perf_counter() - began) * 1000, fault)


def send(notifier: Notifier, notice: Notice) -> str | None:
    """Send something, and return what went wrong, None where nothing did."""
    try:
        notifier(notice)
    except NotifyError as error:
        return str(error)
    return None
