"""Alerts by e-mail, over a connection that is encrypted before anything is said."""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate

from tc_core.alerts.addresses import LIMIT_SECONDS
from tc_core.alerts.outbox import Notice, NotifyError
from tc_core.settings import Smtp

IMPLICIT_TLS_PORT = 465


class Mail:
    """Sends alerts through a server; raises NotifyError where it did not take one for everybody."""

    def __init__(self, smtp: Smtp, to: Sequence[str], *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._smtp, self._to, self._limit_seconds = smtp, list(to), limit_seconds

    def __call__(self, notice: Notice) -> None:
        """Send one alert."""
        host = self._smtp.host or "localhost"
        try:
            with self._connected(host) as server:
                if self._smtp.user is not None:
                    password = self._smtp.password
                    server.login(self._smtp.user, "" if password is None else password.get_secret_value())
                refused = server.send_message(self._message(notice))
        except smtplib.SMTPAuthenticationError:
            raise NotifyError(f"{host} refused user {self._smtp.user!r}: see alerts.smtp.password") from None
        except smtplib.SMTPResponseException as error:
            raise NotifyError(f"{host} answered {error.smtp_code}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise NotifyError(f"{host}: {error}; alerts are not sent unencrypted") from None
        except smtplib.SMTPRecipientsRefused:
            raise NotifyError(f"{host} refused all of alerts.email") from None
        except (OSError, smtplib.SMTPException) as error:  # those of TLS are among them
            raise NotifyError(f"{host}: {getattr(error, 'reason', None) or type(error).__name__}") from None
        if refused:
            raise NotifyError(f"{host} refused {len(refused)} of alerts.email")

    def _connected(self, host: str) -> smtplib.SMTP:
        context, port = ssl.create_default_context(), self._smtp.port
        if port == IMPLICIT_TLS_PORT:
            return smtplib.SMTP_SSL(host, port, timeout=self._limit_seconds, context=context)
        server = smtplib.SMTP(host, port, timeout=self._limit_seconds)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server

    def _message(self, notice: Notice) -> EmailMessage:
        facts = notice.facts
        state = facts["type"].removeprefix("alert.")
        said = EmailMessage()
        said["Subject"] = _one_line(f"[{facts['severity']}] {facts['rule']} {state}: {facts['message']}")[:200]
        said["From"] = self._smtp.sender or self._smtp.user or "token-calculator@localhost"
        said["To"] = ", ".join(self._to)
        said["Date"] = formatdate(usegmt=True)
        said["Message-ID"] = f"<{''.join(c if c.isalnum() or c in '.-' else '-' for c in notice.id)}@token-calculator>"
        names = ("rule", "severity", "message", "key", "event_id", "fired_at", "alert_id")
        said.set_content(
            "\n".join(f"{name}: {_one_line(str(facts[name]))}" for name in names if facts.get(name)) + "\n"
        )
        return said


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
