"""`token-calc tree` as a picture, `provenance` and `agents`, as a user runs them."""

import json
from datetime import UTC, datetime, timedelta

import networkx as nx
import pytest

from tc_core import ProvenanceRelationship, SQLiteStorage, TrackingEvent

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(event_id, parent_id, second, seconds, event_type="agent", **facts):
    moment = START + timedelta(seconds=second)
    known = {"event_type": event_type, "timestamp": moment, "latency_ms": 1000.0 * seconds}
    return TrackingEvent(event_id=event_id, parent_id=parent_id, **(known | facts))


@pytest.fixture
def recorded(tmp_path):
    """A run of two agents and a tool, 14 seconds long, 12 of which it waits for them; return its store's path."""
    path = tmp_path / "lineage.db"
    model = {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10, "cost": 0.01}
    with SQLiteStorage(path) as store:
        store.save_events(
            [
                event("run", None, 0, 14, "workflow", name="crew", workflow_id="trip"),
                event("planner", "run", 0, 2, name="planner", agent_id="planner"),
                event("plan", "planner", 0, 2, "llm_call", agent_id="planner", **model),
                event("researcher", "run", 4, 10, name="researcher", agent_id="researcher"),
                event("ask", "researcher", 4, 4, "llm_call", agent_id="researcher", **model),
                event("search", "researcher", 8, 2, "tool", name="search_flights", agent_id="researcher"),
                event("answer", "researcher", 10, 4, "llm_call", agent_id="researcher", **model),
            ]
        )
        store.save_relationship(ProvenanceRelationship("search", "ask", "triggered_by", "framework"))
        store.save_relationship(ProvenanceRelationship("answer", "search", "derived_from", "content", 0.97))
    return path


def answer(result):
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_the_last_line_of_a_tree_says_what_the_run_waited_for(recorded, run_command):
    printed = answer(run_command("tree", "last", "--store", recorded))
    last = printed.splitlines()[-1]
    assert last == "Critical path: planner → researcher → search_flights → researcher (12.0 s of 14.0 s)"
    assert "← derived from the call above" in printed
    found = json.loads(answer(run_command("tree", "last", "--store", recorded, "--json")))["critical_path"]
    assert found["names"] == ["planner", "researcher", "search_flights", "researcher"]
    assert (found["total_ms"], found["busy_ms"]) == (14_000, 12_000)


def test_each_format_is_printed_and_nothing_else(recorded, run_command, tmp_path):
    assert answer(run_command("tree", "last", "--store", recorded, "--dot")).startswith("digraph lineage {\n")
    assert answer(run_command("tree", "last", "--store", recorded, "--mermaid")).startswith("flowchart LR\n")
    assert len(json.loads(answer(run_command("tree", "last", "--store", recorded, "--prov")))["activity"]) == 7
    (tmp_path / "run.graphml").write_text(answer(run_command("tree", "last", "--store", recorded, "--graphml")))
    assert len(nx.read_graphml(tmp_path / "run.graphml")) == 7


def test_a_page_is_written_into_a_file(recorded, run_command, tmp_path):
    printed = answer(run_command("tree", "search", "--store", recorded, "--html", "run.html"))
    assert printed == "Written to run.html: open it in a browser.\n"
    page = (tmp_path / "run.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "search_flights" in page


def test_what_cannot_be_is_one_sentence(recorded, run_command):
    result = run_command("tree", "last", "--store", recorded, "--html", "no/such/folder/run.html")
    assert (result.returncode, "cannot be written: No such file or directory" in result.stderr) == (2, True)
    result = run_command("tree", "last", "--store", recorded, "--dot", "--json")
    assert (result.returncode, "One format at a time" in result.stderr) == (2, True)
    for command in (["tree", "nobody", "--dot"], ["provenance", "nobody"]):
        result = run_command(*command, "--store", recorded)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert "No event nobody is recorded" in result.stderr


def test_provenance_says_what_an_event_came_from_and_what_came_from_it(recorded, run_command):
    lines = answer(run_command("provenance", "search", "--store", recorded)).splitlines()
    assert lines[0] == "search_flights  tool search"
    assert lines[2].split(maxsplit=1) == ["path", "crew › researcher › search_flights"]  # noqa: RUF001
    assert "← triggered by  gpt-4o (ask)     framework" in lines
    assert "→ read by       gpt-4o (answer)  content, 0.97" in lines
    assert lines[-1] == "In all it comes from 3 events, 1 event came from it."
    found = json.loads(answer(run_command("provenance", "search", "--store", recorded, "--json")))
    assert (found["path"], found["ancestors"]) == (["run", "researcher"], ["run", "researcher", "ask"])
    assert found["descendants"] == ["answer"]
    assert len(found["relations"]) == 2


def test_agents_says_who_fails_and_who_is_too_new_to_tell(recorded, run_command):
    lines = answer(run_command("agents", "--store", recorded)).splitlines()
    assert lines[0] == "2 agents, none with 10 finished runs or more: too few to compare."
    assert lines[2].split()[0] == "agent"
    assert lines[3].startswith("researcher  1 run    100 %  21 % to 100 %  10.0 s")
    assert lines[3].endswith("fewer than 10")
    lines = answer(run_command("agents", "--store", recorded, "--least", 1)).splitlines()
    assert lines[0] == "2 agents; none of those with enough runs has failed."
    found = json.loads(answer(run_command("agents", "--store", recorded, "--json", "--filter", "agent_id=planner")))
    assert [(each["agent_id"], each["cost_per_success"]) for each in found] == [("planner", 0.01)]
    printed = answer(run_command("agents", "--store", recorded, "--since", "2027-01-01"))
    assert printed.startswith("No event of an agent is recorded there.")


def test_the_last_run_can_be_meant_everywhere(recorded, run_command):
    for command, said in (("show", "name                crew"), ("provenance", "crew  workflow run")):
        done = run_command(command, "last", "--store", recorded)
        assert said in done.stdout, done.stderr


def test_last_of_an_empty_store_says_that_nothing_is_recorded(tmp_path, run_command):
    SQLiteStorage(tmp_path / "empty.db").close()
    done = run_command("show", "last", "--store", tmp_path / "empty.db")
    assert done.returncode == 1
    assert done.stderr == "No run is recorded yet: `token-calc demo` records one.\n"
