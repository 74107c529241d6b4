"""TokenManager: the seed's own example, faults named all at once, and answers over the whole history."""

import itertools

import pytest

from tc_core import InMemoryStorage, LineageError, ProvenanceError, SQLiteStorage, TokenManager


def usage(request_id="req_123", parent=None, **provenance):
    """Return the example of the seed document."""
    return {
        "request_id": request_id,
        "provider": "openai",
        "model": "gpt-4",
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "user_id": "user_456",
        "project_id": "proj_789",
        "metadata": {},
        "provenance": {
            "parent_request_id": parent,
            "workflow_id": "wf_001",
            "agent_id": "agent_456",
            "agent_type": "provider",
            "signal_type": "generate_response",
            "task_type": "code_generation",
            "intent": "implement_feature",
            "input_hash": "abc123...",
            "tags": ["feature", "backend"],
            **provenance,
        },
    }


@pytest.fixture
def manager():
    return TokenManager(InMemoryStorage())


def test_the_example_of_the_seed(manager):
    record = manager.track_usage(usage(parent="req_122"))
    assert (record.event_id, record.cost) == ("req_123", 0.006)
    found = manager.get_provenance("req_123")
    assert (found.agent_id, found.agent_type, found.task_type) == ("agent_456", "provider", "code_generation")
    assert (found.intent, found.signal_type, found.input_hash) == (
        "implement_feature",
        "generate_response",
        "abc123...",
    )
    assert (list(found.tags), found.parent_request_id, found.workflow_id) == (
        ["feature", "backend"],
        "req_122",
        "wf_001",
    )
    assert found.to_dict()["tags"] == ["feature", "backend"]
    event = manager.storage.get_event("req_123")
    assert (event.labels["user_id"], event.labels["project_id"]) == ("user_456", "proj_789")


def test_it_is_there_after_a_restart(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        TokenManager(store).track_usage(usage(code_references=["a.py:10"], metadata={"n": 1}, depth=0))
    with SQLiteStorage(tmp_path / "s.db") as store:
        found = TokenManager(store).get_provenance("req_123")
    assert (found.code_references, found.metadata) == (["a.py:10"], {"n": 1})


def test_all_faults_of_a_record_are_named_at_once(manager):
    wrong = usage(
        "", agent_id=None, agent_type=7, tags="feature", depth=-1, timestamp="today", metadata=[], colour="red"
    )
    del wrong["provenance"]["intent"]
    wrong |= {"model": None, "prompt_tokens": "100"}
    with pytest.raises(ProvenanceError) as raised:
        manager.track_usage(wrong)
    assert len(raised.value.faults) == 11
    for name in ("request_id", "agent_id", "agent_type", "intent", "tags", "depth", "timestamp", "metadata", "colour"):
        assert name in str(raised.value)
    with pytest.raises(ProvenanceError, match="provenance is missing"):
        manager.track_usage({"request_id": "r", "model": "gpt-4", "prompt_tokens": 1, "completion_tokens": 1})
    with pytest.raises(ProvenanceError, match="is the request itself"):
        manager.track_usage(usage("same", parent="same"))
    assert manager.storage.query_events() == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
def test_root_and_depth_are_right_in_any_order(order, manager):
    parents = {"a": None, "b": "a", "c": "b", "d": "c"}
    for place in order:
        name = "abcd"[place]
        manager.track_usage(usage(name, parents[name]))
    for depth, name in enumerate("abcd"):
        found = manager.get_provenance(name)
        assert (found.root_request_id, found.depth) == ("a", depth)
    lineage = manager.get_lineage("c")
    assert (lineage["event_id"], lineage["total_calls"]) == ("a", 4)
    assert lineage["children"][0]["children"][0]["event_id"] == "c"


def test_workflows_tasks_and_what_requests_refer_to(manager):
    manager.track_usage(usage("1", document_references=["a.md", "b.md"]))
    manager.track_usage(usage("2", agent_id="other", task_type="review", document_references=["a.md"]))
    found = manager.get_workflow_usage("wf_001")
    assert (found["total_tokens"], found["total_cost"], found["calls"]) == (300, 0.012, 2)
    assert found["by_agent"]["other"] == {"calls": 1, "total_tokens": 150, "total_cost": 0.006}
    assert set(found["by_task"]) == {"code_generation", "review"}
    task = manager.analyze_task_costs("review")
    assert (task["calls"], task["average_cost"], set(task["by_model"])) == (1, 0.006, {"gpt-4"})
    assert {name: each["calls"] for name, each in manager.costs_by("document_references").items()} == {
        "a.md": 2,
        "b.md": 1,
    }
    assert manager.costs_by("tags")["backend"]["total_cost"] == 0.012
    with pytest.raises(ValueError, match="what must be one of"):
        manager.costs_by("colours")


@pytest.mark.parametrize("unknown", ["nothing", "", "a'; --", "\ud800"])
def test_what_is_not_recorded_is_a_typed_error(manager, unknown):
    for ask in (manager.get_provenance, manager.get_lineage, manager.get_workflow_usage, manager.analyze_task_costs):
        with pytest.raises(LineageError):
            ask(unknown)
