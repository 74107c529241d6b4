"""Messages of each framework go in, and come out in their own type."""

import json

import pytest

from tc_core import ConversationMonitor, Message, count_messages
from tc_core.health.compress.facts import MARK
from tc_core.health.forms import SHORTENED, read
from tc_core.health.messages import ToolCall
from tests.health.conftest import SYSTEM, booking, call, result, said, user


def shortened(messages, share=0.4):
    monitor = ConversationMonitor("gpt-4o", "a")
    monitor.add_messages(messages)
    after = monitor.compress_context("hybrid", int(monitor.tokens * share))
    assert after.is_met
    assert len(after) < len(messages)
    return after


def test_langchain():
    pytest.importorskip("langchain_core", reason="LangChain is not installed")
    from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage, convert_to_messages

    messages = convert_to_messages([{**each, "content": each["content"] or ""} for each in booking(8)[0]])
    after = shortened(messages)
    assert all(isinstance(message, BaseMessage) for message in after)
    assert after[0] is messages[0]
    assert isinstance(after[1], HumanMessage)
    assert after[1].content.startswith(MARK)
    cut = [message for message in after if isinstance(message, ToolMessage) and message not in messages]
    assert all(message.content.startswith(SHORTENED) and message.tool_call_id for message in cut)


def test_llamaindex():
    pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
    from llama_index.core.llms import ChatMessage

    messages = [
        ChatMessage(
            role=each["role"],
            content=each["content"] or "",
            additional_kwargs={key: each[key] for key in ("tool_calls", "tool_call_id") if key in each},
        )
        for each in booking(8)[0]
    ]
    after = shortened(messages)
    assert {type(message) for message in after} == {ChatMessage}
    assert after[1].content.startswith(MARK)
    asked = {each["id"] for m in after for each in m.additional_kwargs.get("tool_calls", ())}
    assert {m.additional_kwargs["tool_call_id"] for m in after if "tool_call_id" in m.additional_kwargs} == asked


def test_llamaindex_blocks():
    pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
    from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock

    entry = read(
        ChatMessage(
            role="user", blocks=[TextBlock(text="look"), ImageBlock(url="http://x/y.png"), TextBlock(text="here")]
        )
    )
    assert (entry.text, entry.unseen_tokens > 0) == ("look\nhere", True)
    again = entry.form.shortened(entry.original, "cut")
    assert [type(block) for block in again.blocks] == [TextBlock, ImageBlock]
    assert again.content == "cut"


def test_anthropic_dicts_with_results_in_user_messages():
    messages = [user("Look at my reservations.")]
    for number in range(8):
        use = {"type": "tool_use", "id": f"t{number}", "name": "look", "input": {"code": f"AB{number}CD9"}}
        found = {
            "type": "tool_result",
            "tool_use_id": f"t{number}",
            "content": [{"type": "text", "text": json.dumps({"code": f"AB{number}CD9", "note": "late " * 30})}],
        }
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": "One moment."}, use]},
            {"role": "user", "content": [found]},
        ]
    messages.append(said("All are late."))
    assert read(messages[2]).role == "tool"
    assert read(messages[1]).calls == (ToolCall("t0", "look", '{"code": "AB0CD9"}'),)
    after = shortened(messages)
    uses = [
        part["id"]
        for m in after
        if isinstance(m["content"], list)
        for part in m["content"]
        if part["type"] == "tool_use"
    ]
    found = [
        part["tool_use_id"]
        for m in after
        if isinstance(m["content"], list)
        for part in m["content"]
        if part["type"] == "tool_result"
    ]
    assert uses == found
    assert "AB0CD9" in after[0]["content"]


def test_crewais_messages_are_dicts():
    pytest.importorskip("crewai", reason="CrewAI is not installed")
    from crewai.utilities.types import LLMMessage

    messages = [LLMMessage(**each) for each in booking(8)[0]]
    assert all(type(message) is dict for message in shortened(messages))


def test_answers_of_openais_client_go_in_as_they_are():
    pytest.importorskip("openai", reason="OpenAI's client is not installed")
    from openai.types.chat import ChatCompletionMessage

    answer = ChatCompletionMessage.model_validate(call("look", "x", code="AB1"))
    entry = read(answer)
    assert entry.calls == (ToolCall("x", "look", '{"code": "AB1"}'),)
    assert entry.form.shortened(answer, "cut")["content"] == "cut"


def test_the_size_is_what_count_messages_says():
    messages, _ = booking(3)
    monitor = ConversationMonitor("gpt-4o", "a")
    assert monitor.tokens == 0
    monitor.add_messages(messages)
    assert monitor.tokens == count_messages(messages, "gpt-4o")
    assert monitor.messages == messages


def test_tools_are_part_of_each_prompt():
    tool = {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Look at it.",
            "parameters": {"properties": {"x": {"type": "string"}}},
        },
    }
    monitor = ConversationMonitor("gpt-4o", "a", tools=[tool])
    monitor.add_messages([SYSTEM, user("hello")])
    assert monitor.tokens == count_messages([SYSTEM, user("hello")], "gpt-4o", tools=[tool])
    assert monitor.check_health().signals["overhead_share"] > 0.5


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (
            {"role": "wizard", "content": "x"},
            ValueError,
            "there is no role 'wizard': use system, user, assistant or tool",
        ),
        ({"content": "x"}, TypeError, "a message needs a role, got one with content"),
        ("hello", TypeError, "a message is a dict with role and content, .* got str"),
        (Message("wizard", "x"), ValueError, "there is no role 'wizard'"),
    ],
)
def test_what_is_no_message_is_named_and_nothing_is_added(message, error, said):
    monitor = ConversationMonitor("gpt-4o", "a")
    with pytest.raises(error, match=said):
        monitor.add_messages([user("fine"), message])
    assert monitor.messages == []


def test_a_role_that_a_langchain_program_names_itself_is_a_users():
    pytest.importorskip("langchain_core", reason="LangChain is not installed")
    from langchain_core.messages import ChatMessage

    assert read(ChatMessage(role="critic", content="No.")).role == "user"


@pytest.mark.parametrize(
    "content",
    [
        "日本語のテキスト。" * 50,
        "\x00\x01\x02\ud800 binary",
        b"\x89PNG\r\n",
        None,
        [],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        "مرحبا",
        5,
    ],
    ids=["japanese", "control characters", "bytes", "none", "no parts", "image", "arabic", "number"],
)
def test_odd_contents_are_taken(content):
    monitor = ConversationMonitor("gpt-4o", "a")
    for role in ("user", "tool", "assistant"):
        monitor.add_messages([{"role": role, "content": content, **({"tool_call_id": "c"} if role == "tool" else {})}])
    assert set(monitor.check_health().signals) >= {"relevance", "repetition"}
    assert monitor.compress_context("hybrid", 20).is_met


def test_late_results_stay_with_their_calls():
    late = [user("go"), call("a", "1"), user("are you there?"), result("yes " * 80, "1"), said("done")]
    messages = [*late, *(each for n in range(9) for each in (user(f"more {n}"), said("word " * 40)))]
    after = shortened(messages)
    assert all(message["role"] != "tool" for message in after) or messages[1] in after
