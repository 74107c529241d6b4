"""Alerts to other services by apprise, to a real receiver on this machine."""

import pytest

from tc_core import Alert
from tc_core.alerts.notifiers.apprise_services import Apprise
from tc_core.alerts.outbox import Notice, NotifyError, body

NOTICE = Notice("id", body(Alert("spike", "critical", "too dear"), "fired", "id"))


def test_apprise_sends_it(receiver):
    pytest.importorskip("apprise", reason="apprise is not installed")
    Apprise([f"json://127.0.0.1:{receiver.port}/hook"])(NOTICE)
    (sent,) = receiver.bodies
    assert (sent["title"], sent["message"], sent["type"]) == ("[critical] spike", "too dear", "failure")


def test_apprise_follows_no_redirect(receiver):
    pytest.importorskip("apprise", reason="apprise is not installed")
    receiver.answers, receiver.headers = [302], {"Location": f"{receiver.url}2"}
    with pytest.raises(NotifyError, match="could not send to all of 1 services"):
        Apprise([f"json://127.0.0.1:{receiver.port}/hook"])(NOTICE)
    assert [path for path, _, _ in receiver.requests] == ["/hook"]


def test_a_service_that_apprise_does_not_know_is_said_to_be_so():
    pytest.importorskip("apprise", reason="apprise is not installed")
    with pytest.raises(NotifyError, match=r"apprise cannot read URL 2 of alerts\.apprise") as refused:
        Apprise(["json://127.0.0.1/", "nothing://secret"])(NOTICE)
    assert "secret" not in str(refused.value)


def test_without_the_library_the_message_has_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(NotifyError, match=r"pip install 'token-calculator-suite\[alerts\]'"):
        Apprise(["json://127.0.0.1/"])(NOTICE)
