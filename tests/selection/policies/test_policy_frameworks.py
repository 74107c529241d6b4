"""Frameworks that can only stop a call, or shorten its prompt, do that; what they have no way for is left as it is."""

import os
import tempfile

import pytest

os.environ.setdefault("XDG_DATA_HOME", tempfile.mkdtemp(prefix="token-calculator-"))

pytest.importorskip("crewai", reason="CrewAI is not installed")
pytest.importorskip("llama_index.llms.openai", reason="LlamaIndex is not installed")

from crewai.hooks import HookAborted
from llama_index.core.llms import ChatMessage, MessageRole

from tc_core import AgentLoopError, Policy, PolicyManager, instrument, session
from tests.parts.clients import Clients

pytestmark = pytest.mark.slow


@pytest.fixture
def clients(server):
    return Clients(server.base_url)


@pytest.fixture
def manager(store, tmp_path, monkeypatch):
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    instrument(store, enforce=True)
    return PolicyManager(store)


def looped(rounds):
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"n": 1}'}}
    messages = [{"role": "user", "content": "Where is it?"}]
    for _ in range(rounds):
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": "c", "content": "no scan yet"})
    return messages


def test_a_loop_of_crewai_is_stopped(manager, clients, server):
    manager.apply(Policy(name="enough", kind="loop", rounds=2))
    model = clients.crewai()
    with session("one"):
        model.call(looped(1))
        with pytest.raises(AgentLoopError, match="policy 'enough' stops it") as raised:
            model.call(looped(2))
    assert isinstance(raised.value, HookAborted)
    assert (raised.value.rounds, raised.value.tools) == (2, ("look_up",))
    assert len(server.exchanges) == 1


def test_a_long_prompt_of_crewai_is_made_shorter(manager, clients, server):
    manager.apply(Policy(name="short", kind="trim", at=600))
    text = "the tea of spring is lighter. " * 12
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"Point {n}: {text}"} for n in range(21)]
    clients.crewai().call(messages)
    clients.crewai().call([{"role": "user", "content": "hello"}])
    assert len(server.exchanges[0].request["messages"]) < 21
    assert "Point 20" in server.exchanges[0].request["messages"][-1]["content"]
    assert manager.list()[0].acted.calls == 1


def test_the_newest_message_of_crewai_stays_where_instructions_leave_it_no_room(manager, clients, server):
    """They take more than 300 tokens by themselves, which is half of what is too much."""
    manager.apply(Policy(name="short", kind="trim", at=600))
    instructions = {"role": "system", "content": "Be kind to everybody who asks. " * 60}
    said = [{"role": ("user", "assistant")[n % 2], "content": f"Point {n}: " + "tea is light. " * 20} for n in range(8)]
    clients.crewai().call([instructions, *said, {"role": "user", "content": "So?"}])
    asked = server.exchanges[0].request["messages"]
    assert len(asked) < 10
    assert asked[0]["content"] == instructions["content"]
    assert asked[-1] == {"role": "user", "content": "So?"}


@pytest.mark.parametrize("framework", ["crewai", "llamaindex"])
def test_what_a_host_has_no_way_for_stays_as_it_is(manager, clients, server, framework):
    manager.apply(Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5))
    manager.apply(Policy(name="again", kind="cache", temperature="unset"))
    for _ in range(6):
        if framework == "crewai":
            clients.crewai("openai/gpt-4o").call("hello")
        else:
            clients.llamaindex("gpt-4o").chat([ChatMessage(role="user", content="hello")])
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4o"] * 6
    assert {each.acted.calls + each.kept.calls for each in manager.list()} == {0}


def test_a_loop_of_llamaindex_is_stopped(manager, clients, server):
    manager.apply(Policy(name="enough", kind="loop", rounds=2))
    model = clients.llamaindex("gpt-4o")

    def messages(rounds):
        call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"n": 1}'}}
        found = [ChatMessage(role="user", content="Where is it?")]
        for _ in range(rounds):
            found.append(ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [call]}))
            found.append(
                ChatMessage(role=MessageRole.TOOL, content="no scan yet", additional_kwargs={"tool_call_id": "c"})
            )
        return found

    with session("one"):
        model.chat(messages(1))
        with pytest.raises(AgentLoopError):
            model.chat(messages(2))
    assert len(server.exchanges) == 1
