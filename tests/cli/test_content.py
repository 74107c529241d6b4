"""`token-calc show --content`: what was sent and answered, where texts are kept."""

import json

from tc_core import SQLiteStorage
from tc_core.runtime.recorders import wait_for_parts
from tests.ledger.conftest import Ledger, brought, said, user


def recorded(path):
    with SQLiteStorage(path) as store:
        call = Ledger(store).call([user("a flight\nto Rome"), brought("LH 123")], [said("At 10:40.")])
        assert wait_for_parts(store, 60)
    return call


def test_texts_that_are_kept_are_shown(tmp_path, monkeypatch, run_command):
    monkeypatch.setenv("TOKEN_CALC_CAPTURE_CONTENT", "on")
    call = recorded(tmp_path / "s.db")
    printed = run_command("show", call, "--content", "--store", tmp_path / "s.db").stdout
    assert printed.split("\n\n")[-3:] == [
        "sent: user  5 tokens\n  a flight\n  to Rome",
        "sent: tool, tool result  3 tokens\n  LH 123",
        "answered: assistant  6 tokens\n  At 10:40.\n",
    ]
    plain = json.loads(run_command("show", call, "--content", "--json", "--store", tmp_path / "s.db").stdout)
    assert plain["content"]["output"] == [{"role": "assistant", "kind": "text", "tokens": 6, "text": "At 10:40."}]


def test_without_texts_it_says_how_they_are_kept(tmp_path, run_command):
    call = recorded(tmp_path / "s.db")
    printed = run_command("show", call, "--content", "--store", tmp_path / "s.db").stdout
    assert "No text is kept. TOKEN_CALC_CAPTURE_CONTENT=on" in printed
    assert "sent: user  5 tokens" in printed
    assert "Rome" not in printed


def test_an_event_without_a_prompt_says_so(tmp_path, run_command):
    with SQLiteStorage(tmp_path / "s.db") as store:
        ledger = Ledger(store)
        ledger.recorder.start("workflow", key="run", name="run")
        ledger.recorder.finish("run")
    printed = run_command("show", last_of(tmp_path / "s.db"), "--content", "--store", tmp_path / "s.db").stdout
    assert printed.endswith("Nothing is known of its content.\n")


def last_of(path):
    with SQLiteStorage(path) as store:
        return store.query_events()[-1].event_id


def test_texts_that_are_wanted_without_a_ledger_are_missed_by_the_doctor(tmp_path, monkeypatch, run_command):
    monkeypatch.setenv("TOKEN_CALC_CAPTURE_CONTENT", "on")
    monkeypatch.setenv("TOKEN_CALC_LEDGER", "off")
    recorded(tmp_path / "s.db")
    printed = run_command("doctor", "--store", tmp_path / "s.db").stdout
    assert "capture_content is on, but the ledger is off: no text is kept" in printed
