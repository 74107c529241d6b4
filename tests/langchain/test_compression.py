"""The middleware makes an agent's requests shorter when they fill too much of the window; its state keeps all."""

import pytest

from tc_core import ConversationMonitor
from tc_core.demo.script import Step
from tc_core.health.compress.facts import MARK
from tests.health.conftest import booking

pytest.importorskip("langchain.agents", reason="LangChain is not installed")

from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, convert_to_messages

from tc_langchain import TokenCalculatorMiddleware


@pytest.fixture
def conversation():
    return convert_to_messages([{**each, "content": each["content"] or ""} for each in booking(12)[0][1:]])


def sizes(server):
    found = []
    for exchange in server.exchanges:
        monitor = ConversationMonitor("gpt-4o-mini")
        monitor.add_messages(exchange.request["messages"])
        found.append(monitor.tokens)
    return found


def test_a_request_that_is_too_long_is_made_shorter_once(chat, server, conversation):
    for text in ("One.", "Two.", "Three."):
        server.push(Step(text=text))
    agent = create_agent(chat(), [], middleware=[TokenCalculatorMiddleware(compress_at=3000)], system_prompt="Be kind.")
    state = {"messages": conversation}
    for more in ("Go on.", "And now?"):
        state = agent.invoke(state)
        state["messages"].append(("user", more))
    agent.invoke(state)
    first, second, third = [exchange.request["messages"] for exchange in server.exchanges]
    assert first[0]["content"] == "Be kind."
    assert first[1]["content"].startswith(MARK)
    assert second[: len(first)] == first  # what was made shorter stays, so that the cache is broken once
    assert [each["content"] for each in third[len(first) :]] == ["One.", "Go on.", "Two.", "And now?"]
    assert max(sizes(server)) < 3000
    assert len(state["messages"]) == len(conversation) + 4


def test_a_share_is_of_the_models_window_and_short_requests_stay(chat, server, conversation):
    for _ in range(2):
        server.push(Step(text="Done."))
    short = create_agent(chat(), [], middleware=[TokenCalculatorMiddleware(compress_at=0.5)])
    short.invoke({"messages": conversation})  # gpt-4o-mini has a window of 128,000
    assert len(server.exchanges[0].request["messages"]) == len(conversation)
    tight = create_agent(chat("gpt-4"), [], middleware=[TokenCalculatorMiddleware(compress_at=0.5)])
    tight.invoke({"messages": conversation})
    assert len(server.exchanges[1].request["messages"]) < len(conversation)


async def test_asynchronous_agents_too(chat, server, conversation):
    server.push(Step(text="Done."))
    agent = create_agent(chat(), [], middleware=[TokenCalculatorMiddleware(compress_at=3000)])
    await agent.ainvoke({"messages": conversation})
    assert sizes(server)[0] < 3000


IMAGES = [
    {"type": "text", "text": "What is this?"},
    *({"type": "image_url", "image_url": {"url": f"https://example.com/{n}.png"}} for n in range(2)),
]
WRITTEN = {"name": "write", "args": {"text": "one line of it. " * 400}, "id": "w", "type": "tool_call"}


@pytest.mark.parametrize("way", ["instructions", "images alone", "images", "call"])
def test_the_newest_message_stays_where_what_cannot_be_cut_leaves_it_no_room(chat, server, conversation, way):
    """Half of 1,000 tokens: the instructions, two images or the arguments of a call take more by themselves."""
    server.push(Step(text="Done."))
    newest = {
        "images alone": [HumanMessage(IMAGES)],
        "images": [*conversation, HumanMessage(IMAGES)],
        "call": [*conversation, AIMessage("", tool_calls=[WRITTEN]), ToolMessage("written", tool_call_id="w")],
        "instructions": [*conversation, HumanMessage("And the last one?")],
    }[way]
    instructions = "Be kind to everybody who asks. " * 100 if way == "instructions" else "Be kind."
    middleware = TokenCalculatorMiddleware(compress_at=1000)
    create_agent(chat(), [], middleware=[middleware], system_prompt=instructions).invoke({"messages": newest})
    (exchange,) = server.exchanges
    asked = exchange.request["messages"]
    assert asked[0]["content"] == instructions
    assert len(asked) <= max(2, len(newest))
    if way == "call":
        assert (asked[-1]["role"], asked[-1]["tool_call_id"]) == ("tool", "w")
        assert asked[-2]["tool_calls"][0]["id"] == "w"
    else:
        assert asked[-1] == {"role": "user", "content": newest[-1].content}


def test_langchains_own_summaries_stay_usable_beside_it(chat, server, conversation):
    server.push(Step(text="They have twelve reservations."))
    server.push(Step(text="Done."))
    summaries = SummarizationMiddleware(model=chat(), trigger=("tokens", 3000), keep=("messages", 5))
    agent = create_agent(chat(), [], middleware=[summaries, TokenCalculatorMiddleware(compress_at=3000)])
    state = agent.invoke({"messages": conversation})
    assert "twelve reservations" in str(server.exchanges[-1].request["messages"])
    assert state["messages"][-1].content == "Done."


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="compress_at must be positive"):
        TokenCalculatorMiddleware(compress_at=0)
