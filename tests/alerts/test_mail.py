"""Alerts by e-mail, to a real server on this machine."""

import ssl
import subprocess

import pytest

from tc_core import Alert, settings
from tc_core.alerts.notifiers.mail import Mail
from tc_core.alerts.outbox import Notice, NotifyError, body

pytest.importorskip("aiosmtpd", reason="aiosmtpd is not installed")

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

ALERT = Alert("cost-spike", "critical", "gpt-4o\r\nBcc: eve@example.com", event_id="e1")
NOTICE = Notice("alert-1.fired.email", body(ALERT, "fired", "alert-1.fired.email"))


class AnyPort(Controller):
    """A server on a port that is free."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mailbox:
    def __init__(self):
        self.messages, self.logins, self.refused = [], [], set()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # as the server calls it
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # the same
        self.messages.append((session.ssl is not None, envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"

    def login(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        is_right = data.password == b"right"
        return AuthResult(success=is_right, handled=is_right)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start a mail server, with a certificate that this process trusts."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=localhost",
            "-days",
            "2",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    running = []

    def start(*, tls=True, **options):
        mailbox, context = Mailbox(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        secured = {"tls_context": context, "require_starttls": True} if tls else {}
        controller = AnyPort(mailbox, hostname="127.0.0.1", port=0, server_hostname="localhost", **secured, **options)
        controller.start()
        running.append(controller)
        return mailbox, controller.port

    yield start
    for each in running:
        each.stop()


def smtp(port, **said):
    return settings.Smtp(host="localhost", port=port, sender="alerts@example.com", **said)


def test_a_mail_is_sent_encrypted_and_its_subject_is_one_line(serve):
    mailbox, port = serve()
    Mail(smtp(port), ["ann@example.com", "bob@example.com"])(NOTICE)
    ((is_encrypted, to, content),) = mailbox.messages
    assert (is_encrypted, to) == (True, ["ann@example.com", "bob@example.com"])
    head = content.partition("\r\n\r\n")[0].replace("\r\n ", " ")
    assert "Subject: [critical] cost-spike fired: gpt-4o Bcc: eve@example.com" in head
    assert not [line for line in head.splitlines() if line.startswith("Bcc")]
    assert "Message-ID: <alert-1.fired.email@token-calculator>" in head
    assert "event_id: e1" in content


def test_a_server_that_cannot_encrypt_is_told_nothing(serve):
    mailbox, port = serve(tls=False)
    with pytest.raises(NotifyError, match=r"localhost: STARTTLS extension not supported.*not sent unencrypted"):
        Mail(smtp(port), ["ann@example.com"])(NOTICE)
    assert mailbox.messages == []


def test_a_certificate_that_nobody_vouches_for_is_refused(serve, monkeypatch):
    mailbox, port = serve()
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NotifyError, match="CERTIFICATE_VERIFY_FAILED"):
        Mail(smtp(port), ["ann@example.com"])(NOTICE)
    assert mailbox.messages == []


def test_a_server_that_is_away_is_said_to_be(serve):
    with pytest.raises(NotifyError, match="localhost: ConnectionRefusedError"):
        Mail(smtp(1), ["ann@example.com"])(NOTICE)


def test_who_is_refused_is_tried_again(serve):
    mailbox, port = serve()
    mailbox.refused = {"bob@example.com"}
    with pytest.raises(NotifyError, match=r"refused 1 of alerts\.email"):
        Mail(smtp(port), ["ann@example.com", "bob@example.com"])(NOTICE)
    mailbox.refused |= {"ann@example.com"}
    with pytest.raises(NotifyError, match=r"refused all of alerts\.email"):
        Mail(smtp(port), ["ann@example.com", "bob@example.com"])(NOTICE)


def test_a_wrong_password_is_said_to_be_wrong_and_not_shown(serve):
    seen = Mailbox()
    mailbox, port = serve(authenticator=seen.login, auth_require_tls=True)
    with pytest.raises(NotifyError, match=r"refused user 'me': see alerts\.smtp\.password") as refused:
        Mail(smtp(port, user="me", password="wrong"), ["ann@example.com"])(NOTICE)
    assert "wrong" not in str(refused.value)
    Mail(smtp(port, user="me", password="right"), ["ann@example.com"])(NOTICE)
    assert seen.logins[-1] == (b"me", b"right")
    assert len(mailbox.messages) == 1
