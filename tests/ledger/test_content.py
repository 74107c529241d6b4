"""Texts are kept only where a user has asked for it, redacted first, and for so many days."""

import re
from datetime import timedelta

import pytest

import tc_core
from tc_core import SQLiteStorage, settings
from tc_core.ledger import content
from tc_core.model.clock import clock
from tc_core.record.guard import faults
from tc_core.runtime.recorders import wait_for_parts
from tests.ledger.conftest import Ledger, asked, brought, said, user

DAY_NS = 86_400 * 1_000_000_000


@pytest.fixture
def capturing(monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_CAPTURE_CONTENT", "on")
    yield monkeypatch
    content._redaction = None


@pytest.fixture
def ledger(capturing, tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield Ledger(store)


def texts(parts):
    return [(part.role, part.kind, part.text) for part in parts]


def stored(store):
    assert wait_for_parts(store, 60)
    with store.question() as connection:
        return {bytes(text) for (text,) in connection.exec_driver_sql("SELECT text FROM content")}


def test_what_was_sent_and_answered_can_be_read(ledger):
    prompt = [user("a flight to Rome"), asked("search", to="Rome"), brought("LH 123 \x00 at 10:40")]
    call = ledger.call(prompt, [said("At 10:40.")])
    found = ledger.analyzer.content(call)
    assert texts(found.prompt) == [
        ("user", "text", "a flight to Rome"),
        ("assistant", "tool_call", 'search({"to":"Rome"})'),
        ("tool", "tool_result", "LH 123 \x00 at 10:40"),
    ]
    assert texts(found.output) == [("assistant", "text", "At 10:40.")]
    assert all(part.tokens > 0 for part in (*found.prompt, *found.output))


def test_what_a_tool_has_put_out_can_be_read(ledger):
    tool = ledger.tool("search", "LH 123")
    assert texts(ledger.analyzer.content(tool).output) == [("tool", "tool_result", "LH 123")]


def test_each_text_is_kept_once(ledger):
    for number in range(3):
        ledger.call([user("the same system text"), user(f"{number}")], [said("yes")])
    assert stored(ledger.store) == {b"the same system text", b"0", b"1", b"2", b"yes"}


def test_content_is_kept_on_a_server_too(capturing, each_store):
    ledger = Ledger(each_store)
    call = ledger.call([user("zürich \ud800 \x00")], [said("yes")])
    assert ledger.analyzer.content(call).prompt[0].text == "zürich \ud800 \x00"
    ledger.call([user("zürich \ud800 \x00")], [said("no")])  # and again, beside what is there
    assert wait_for_parts(each_store, 60)


def test_without_the_setting_nothing_is_kept(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        ledger = Ledger(store)
        call = ledger.call([user("secret")], [said("yes")])
        found = ledger.analyzer.content(call)
        assert texts(found.prompt) == [("user", "text", None)]
        assert not found.is_kept
        assert stored(store) == set()


def test_a_redaction_sees_every_text_before_it_is_kept(ledger):
    @tc_core.redact_content
    def without_numbers(text):
        return None if "secret" in text else re.sub(r"\d+", "#", text)

    call = ledger.call([user("secret plan"), user("my card is 4711")], [said("thank you for 4711")])
    assert [part.text for part in ledger.analyzer.content(call).prompt] == [None, "my card is #"]
    everything = b"".join(path.read_bytes() for path in ledger.store.path.parent.rglob("*") if path.is_file())
    assert b"4711" not in everything
    assert b"secret" not in everything


@pytest.mark.swallows
def test_a_redaction_that_fails_keeps_nothing_and_is_counted(ledger):
    @tc_core.redact_content
    def fails(text):
        raise ZeroDivisionError(text)

    call = ledger.call([user("secret")], [said("yes")])
    assert not ledger.analyzer.content(call).is_kept
    assert sum(faults.counts.values()) == 2


@pytest.mark.swallows
def test_a_redaction_is_named_in_the_settings(capturing, tmp_path):
    file = tmp_path / "token_calculator.yaml"
    file.write_text("tracking: {redaction: 'textwrap:dedent', capture_content: 'yes'}\n")
    capturing.setenv("TOKEN_CALC_CONFIG", str(file))
    settings.forget()
    import textwrap

    assert content.redaction() is textwrap.dedent
    file.write_text("tracking: {redaction: 'textwrap:nothing', capture_content: 'yes'}\n")
    settings.forget()
    with pytest.raises(tc_core.ConfigurationError, match="'textwrap:nothing' cannot be imported"):
        content.redaction()
    with SQLiteStorage(tmp_path / "s.db") as store:
        call = Ledger(store).call([user("secret")], [said("yes")])
        assert not Ledger(store).analyzer.content(call).is_kept


def test_texts_leave_when_their_days_are_over(ledger, monkeypatch):
    ledger.call([user("old"), user("sent again")], [said("yes")])
    assert stored(ledger.store) == {b"old", b"sent again", b"yes"}
    now = clock.wall_ns()
    monkeypatch.setattr(clock, "wall_ns", lambda: now + 20 * DAY_NS)
    ledger.call([user("sent again")], [said("fine")])
    assert stored(ledger.store) == {b"old", b"sent again", b"yes", b"fine"}
    monkeypatch.setattr(clock, "wall_ns", lambda: now + 31 * DAY_NS)
    wait = content.Expiry(ledger.store.database).daily()
    assert stored(ledger.store) == {b"sent again", b"fine"}
    assert 0 < wait <= timedelta(days=1).total_seconds()


def test_texts_leave_with_their_events(ledger):
    from tc_core.ledger.sweep import Sweep
    from tc_core.store.keep import deletion

    ledger.call([user("old")], [said("yes")])
    ledger.relations()
    store = ledger.store
    with store.question() as connection:
        keys = connection.exec_driver_sql("SELECT key FROM event").scalars().all()
    store.database.transact(lambda connection: deletion.remove(connection, store.database, keys))
    sweep = Sweep(store.database)
    while sweep.step():
        pass
    assert stored(store) == set()
    assert [finding for finding in store.check() if finding.state == "fault"] == []
