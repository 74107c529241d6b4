"""`token-calc health`, as people type it."""

import json
from datetime import UTC, datetime

import pytest

from tc_core import SQLiteStorage
from tc_core.health.present import reason
from tc_core.health.sql import Recorded
from tc_core.health.status import SIGNALS
from tc_core.runtime.recorders import wait_for_parts
from tests.health.conftest import booking, said, user
from tests.health.follow import record


@pytest.fixture
def ask(run_command, tmp_path):
    """Ask a store with a full conversation and an empty one; return what was printed, or the error."""
    path = tmp_path / "token_calculator.db"
    with SQLiteStorage(path) as store:
        record(store, booking(13)[0], model="gpt-4", session_id="chat-1", agent_id="booker")
        record(store, [user("hello"), said("hi")], model="no-such-model", session_id="chat-2", agent_id="greeter")
        assert wait_for_parts(store, 60)

    def ask(*arguments, code=0):
        done = run_command("health", *arguments, "--store", path)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return ask


def test_the_worst_comes_first_with_its_reason(ask):
    lines = ask().splitlines()
    assert lines[0].startswith("2 conversations, 1 at risk.  chat-1: its context is ")
    assert lines[2].split() == [
        "conversation",
        "agent",
        "model",
        "calls",
        "context",
        "rot",
        "repeats",
        "injection",
        "state",
    ]
    assert lines[3].split()[:4] == ["chat-1", "booker", "gpt-4", "26"]
    assert lines[3].endswith("hallucination risk")
    assert "█" in lines[3]
    assert "token-calc health chat-1" in lines[-1]


def test_one_conversation_signal_by_signal(ask):
    said = ask("chat-1")
    assert said.startswith("chat-1 (booker): hallucination risk, its context is ")
    assert "context use" in said
    assert "▁" in said
    assert "is not known" in ask("chat-2")
    assert ask("last").startswith("chat-2")


def test_what_can_be_asked_for(ask):
    assert ask("--agent", "greeter").startswith("1 conversation, 0 at risk.")
    assert ask("--since", "today").startswith("2 conversations")
    assert "No conversation is recorded" in ask("--agent", "nobody")
    found = json.loads(ask("chat-1", "--json"))
    assert (found[0]["name"], found[0]["state"], len(found[0]["calls"])) == ("chat-1", "hallucination_risk", 26)


def test_what_is_not_recorded_is_said(ask):
    assert ask("nothing", code=1).startswith("No session nothing is recorded, and no run.")


def at_call(tokens, **signals):
    """Return the recorded health of one call, with nothing in it but what is given."""
    calm = dict.fromkeys(SIGNALS, 0.0) | signals
    who = ("event", datetime(2026, 1, 31, tzinfo=UTC), "run", None, "booker", "gpt-4o")
    return Recorded(
        *who, state="healthy", messages=4, tokens=tokens, context_usage=2.0, rot_percentage=0.0, signals=calm
    )


@pytest.mark.parametrize(
    ("tokens", "signals", "said"),
    [
        (2_001, {"staleness": 0.64}, "64% of what tools have brought is replaced"),
        (2_001, {"overhead_share": 0.8}, "80% of each prompt is the system prompt"),
        (2_001, {"staleness": 0.49}, "nothing stands out"),
        (2_000, {"staleness": 0.64}, "nothing stands out"),  # shares of so short a prompt say nothing
    ],
)
def test_the_reason_names_hints_too_as_a_check_does(tokens, signals, said):
    assert reason(at_call(tokens, **signals)).startswith(said)
