"""Webhooks: where they may go, what they say, and that they arrive at least once. Real sockets on this machine."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import Alert, AlertManager, AlertRule, CostTracker, TrackingEvent
from tc_core.alerts import addresses, live, outbox, outbox_sql, sql
from tc_core.alerts.addresses import is_public, place
from tc_core.alerts.notifiers.webhook import Webhook, signed
from tc_core.alerts.outbox import Notice, NotifyError, body, text

NOTICE = Notice("alert-1.fired.webhook", b'{"text": "hello"}')


def test_it_is_signed_as_standard_webhooks_have_it(receiver):
    Webhook(receiver.url, "whsec_" + base64.b64encode(b"a key").decode(), allow_private=True)(NOTICE)
    path, headers, raw = receiver.requests[0]
    assert (path, raw, headers["webhook-id"]) == ("/hook", NOTICE.body, NOTICE.id)
    over = f"{NOTICE.id}.{headers['webhook-timestamp']}.".encode() + raw
    expected = base64.b64encode(hmac.new(b"a key", over, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"


def test_without_a_secret_nothing_is_signed():
    assert not [name for name in signed("id", b"", None, 0) if "signature" in name.lower()]


def test_the_text_cannot_command_slack():
    alert = Alert("spike", "critical", "<!channel> of a & b\nnext line")
    assert text(alert, "fired") == "🔴 [critical] spike: &lt;!channel&gt; of a &amp; b next line"
    assert json.loads(body(alert, "fired", "id"))["message"] == "<!channel> of a & b\nnext line"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "0.0.0.0",
        "[::]",
    ],
)
def test_this_machine_is_refused_however_it_is_written(host, receiver):
    with pytest.raises(NotifyError, match=r"is not a public address|has no address|cannot be resolved"):
        Webhook(f"https://{host}:{receiver.port}/hook")(NOTICE)
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("169.254.169.254", False),
        ("fd00:ec2::254", False),
        ("fe80::1%eth0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::ffff:169.254.169.254", False),
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("64:ff9b::5db8:d70e", True),
    ],
)
def test_which_addresses_are_those_of_the_internet(address, expected):
    assert is_public(address) is expected


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "is not encrypted"),
        ("ftp://example.com/", "must begin with https://"),
        ("https:///hook", "must begin with https://"),
        ("https://user:secret@example.com/", "without user and password"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://example.com/a b", "blanks or control characters"),
    ],
)
def test_a_url_that_cannot_be_is_refused(url, said):
    with pytest.raises(NotifyError, match=said) as refused:
        place(url, allow_private=False, resolve=lambda host, port: ["93.184.215.14"])
    assert "secret" not in str(refused.value)


def test_a_name_is_resolved_once_and_its_address_connected_to(receiver):
    """A resolver that answers with another address each time: what was checked is what is connected to."""
    answers = [["127.0.0.1"], ["192.0.2.1"], ["192.0.2.1"]]
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return answers.pop(0)

    Webhook(f"http://hooks.test:{receiver.port}/hook", allow_private=True, resolve=rebinding)(NOTICE)
    assert asked == ["hooks.test"]
    assert receiver.requests[0][1]["Host"] == f"hooks.test:{receiver.port}"


def test_a_name_with_one_private_address_among_others_is_refused(receiver):
    resolve = lambda host, port: ["93.184.215.14", "127.0.0.1"]  # noqa: E731
    with pytest.raises(NotifyError, match=r"hooks\.test leads to 127\.0\.0\.1, which is not a public address"):
        Webhook(f"https://hooks.test:{receiver.port}/hook", resolve=resolve)(NOTICE)
    assert receiver.requests == []


def test_a_redirect_is_not_followed(receiver):
    receiver.answers, receiver.headers = [302], {"Location": f"{receiver.url}2"}
    with pytest.raises(NotifyError, match="answered 302, a redirect, which is not followed"):
        Webhook(receiver.url, allow_private=True)(NOTICE)
    assert [path for path, _, _ in receiver.requests] == ["/hook"]


def test_a_receiver_that_hangs_is_given_up(receiver):
    receiver.answers = [None]
    with pytest.raises(NotifyError, match="did not answer in time"):
        Webhook(receiver.url, allow_private=True, limit_seconds=0.2)(NOTICE)


@pytest.fixture
def raw_server():
    """A server that answers a connection with bytes of the test's own, one at a time if so wanted."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve(answer, *, pause=0.0):
        def run():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                for place in range(len(answer)):
                    if ended.wait(pause):
                        return
                    connection.sendall(answer[place : place + 1])

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield serve
    ended.set()
    listening.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.0 200 OK\r\n\r\n", None),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 410 Gone\r\n\r\n", "answered 410"),
    ],
)
def test_what_an_answer_means(raw_server, answer, said):
    send = Webhook(raw_server(answer), allow_private=True)
    if said is None:
        send(NOTICE)
        return
    with pytest.raises(NotifyError, match=said):
        send(NOTICE)


def test_a_receiver_that_answers_byte_by_byte_is_given_up_all_the_same(raw_server):
    with pytest.raises(NotifyError, match="did not answer in time"):
        Webhook(raw_server(b"HTTP/1.1 200 OK" * 100, pause=0.05), allow_private=True, limit_seconds=0.3)(NOTICE)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
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
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(NotifyError, match="TLS failed"):
        Webhook(f"https://localhost:{listening.getsockname()[1]}/", allow_private=True)(NOTICE)
    thread.join(30)
    listening.close()


def test_a_resolver_without_an_answer_is_given_up(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(addresses, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: (ended.wait(60), [])[1])
    with pytest.raises(NotifyError, match="cannot be resolved: no answer in time"):
        addresses.resolved("hooks.test", 443)
    ended.set()


# From the outbox


def dear(event):
    return event.cost > 1.0


@pytest.fixture
def manager(store, to_receiver):
    to_receiver()
    manager = AlertManager(store)
    manager.add_alert_rule(AlertRule("dear", dear, channels=["webhook"], cooldown=0))
    return manager


def test_what_a_receiver_refuses_is_sent_again_and_is_the_same(manager, receiver):
    receiver.answers = [503, 500]
    (alert,) = manager.check_alerts(TrackingEvent(cost=2.0))
    receiver.wait_for(3)
    assert manager.flush(60)
    assert len({raw for _, _, raw in receiver.requests}) == 1
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1
    faults = [delivery.fault for delivery in manager.deliveries(alert.alert_id)]
    shown = f"127.0.0.1:{receiver.port}"
    assert faults == [f"{shown} answered 503", f"{shown} answered 500", None]


def test_when_it_is_tried_again():
    assert [outbox.again_in(attempts, jitter=1.0) for attempts in (1, 2, 3, 4, 6, 50)] == [1, 4, 16, 64, 900, 900]
    assert outbox.again_in(1, jitter=1.5) <= 2.0  # the first time, with the most that chance may add
    assert all(0.5 <= outbox.again_in(1) <= 1.5 for _ in range(100))


def test_what_could_not_be_sent_for_three_days_is_given_up(manager, receiver, store):
    receiver.answers = [503]
    made = datetime.now(UTC) - timedelta(days=3, seconds=1)

    def age(connection):
        connection.exec_driver_sql("UPDATE alert_outbox SET made_us = ?", (int(made.timestamp() * 1e6),))

    store.database.transact(lambda connection: _post(connection, "webhook"))
    store.database.transact(age)
    assert manager.flush(60)
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT is_delivered, attempts FROM alert_outbox").all() == [(0, 1)]


def test_what_nobody_can_send_is_given_up_and_old_deliveries_go(store, manager):
    day_us = 86_400_000_000
    with store.database.writing() as connection:
        sql.state_for_update(connection, store.database, "dear", "")
        for channel in ("webhook", "a function of a program that is gone"):
            _post(connection, channel)
        outbox_sql.note_delivery(connection, 1, 0, 5, None, None)
        connection.exec_driver_sql("UPDATE alert_outbox SET made_us = ?", (40 * day_us,))
        sql.forget(connection, 30 * day_us, 43 * day_us)
        left = connection.exec_driver_sql("SELECT channel, ended_us, is_delivered FROM alert_outbox").all()
        assert left == [("a function of a program that is gone", 43 * day_us, 0)]
        assert connection.exec_driver_sql("SELECT count(*) FROM alert_delivery").scalar() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM alert").scalar() == 2


def _post(connection, channel):
    alert = Alert("dear", "info", "hello")
    key = sql.add_alert(connection, alert)
    outbox_sql.post(connection, outbox.rows(alert, key, [channel], ["console"], "fired", 1))
    return alert


def test_a_receiver_that_is_down_holds_up_no_call_and_nothing_is_lost(store, configure, receiver):
    """What waits when the program ends is sent by the next one that records."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    configure(f"alerts: {{webhook_url: 'http://127.0.0.1:{port}/', allow_private_webhooks: true}}")
    manager = AlertManager(store)
    manager.add_alert_rule(AlertRule("dear", dear, channels=["webhook"], cooldown=0))
    tracker = CostTracker(store)
    for _ in range(3):
        tracker.track_call("gpt-4o", 1_000_000, 0)
    assert store.aggregate("calls")[()] == 3
    assert not manager.flush(1)
    store.close()
    store.database.transact(lambda connection: connection.exec_driver_sql("UPDATE alert_outbox SET due_us = 0"))
    configure(f"alerts: {{webhook_url: '{receiver.url}', allow_private_webhooks: true}}")
    CostTracker(store).track_call("gpt-4o", 1, 0)
    store.flush()
    assert AlertManager(store).flush(60)
    assert len({each["alert_id"] for each in receiver.wait_for(3)}) == 3


def test_a_dead_channel_does_not_hold_up_another(store, configure, receiver):
    """One attempt over the dead one, then it rests: what is to be told elsewhere is told before it is tried again."""
    receiver.answers = [503] * 100
    configure(f"alerts: {{webhook_url: '{receiver.url}', allow_private_webhooks: true}}")
    manager, heard = AlertManager(store), threading.Semaphore(0)
    manager.add_notifier("here", lambda alert: heard.release())
    manager.add_alert_rule(AlertRule("dear", dear, channels=["webhook", "here"], cooldown=0))
    for _ in range(20):
        manager.check_alerts(TrackingEvent(cost=2.0))
    for _ in range(20):
        assert heard.acquire(timeout=60)
    with store.database.reading() as connection:
        attempts = dict(connection.exec_driver_sql("SELECT channel, sum(attempts) FROM alert_outbox GROUP BY 1").all())
    assert attempts["here"] == 20
    assert attempts["webhook"] < 20


def test_a_receiver_that_hangs_while_the_store_is_closed_touches_it_no_more(store, configure, receiver, monkeypatch):
    """The thread is left alone with it: what it was sending is sent again by whoever comes once the lease is over."""
    receiver.answers = [None]
    monkeypatch.setattr(live, "END_SECONDS", 0.1)
    configure(f"alerts: {{webhook_url: '{receiver.url}', allow_private_webhooks: true}}")
    manager = AlertManager(store)
    manager.add_alert_rule(AlertRule("dear", dear, channels=["webhook"]))
    manager.check_alerts(TrackingEvent(cost=2.0))
    receiver.wait_for(1)
    (sending,) = [each for each in threading.enumerate() if each.name == "token-calculator-sender"]
    store.close()
    receiver.ended.set()  # it answers nothing, and closes
    sending.join(60)
    assert not sending.is_alive()
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alert_delivery").scalar() == 0
        (lease,) = connection.exec_driver_sql("SELECT lease_us FROM alert_outbox").one()
    assert lease > 0
