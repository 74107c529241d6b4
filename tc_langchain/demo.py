"""A LangGraph agent that plans a trip: two tools, a model with a fallback, one with retries, a streamed answer.

It also does what agents do that nobody watches: it asks for the same flights three times, has the conversation's title
written anew at each turn, and tries a model that is down at once again, without a pause.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from tc_core import workflow
from tc_core.demo.local import MODEL, LocalModel
from tc_core.demo.script import Step, last_user_text, messages_of, text_of
from tc_core.demo.server import ModelServer

QUESTION = "A weekend in Lisbon in March, from Berlin, for less than 400 euros: what do you suggest?"
FOLLOW_UP = "Sounds good. Write me a packing list."

SYSTEM = """You plan short trips. Work step by step: first look up flights, then ask for a description of the
city, and only then answer. Prefer direct flights and trains. Name prices in euros, with their date. Say clearly what
you could not find out. Never book anything, and never ask for the traveller's documents or payment details. Keep to
the budget: when the cheapest way is above it, say so in the first sentence, and suggest another month or another city
that fits. Answer in the language of the question, in at most six sentences, without tables."""

FLIGHTS = [
    {
        "flight": f"TP{530 + number}",
        "from": "BER",
        "to": "LIS",
        "departs": f"2027-03-{day:02}T{6 + number}:15",
        "euros": price,
    }
    for number, (day, price) in enumerate([(5, 189), (5, 142), (12, 118), (12, 164), (19, 97), (19, 131), (26, 205)])
]
CITY = "Lisbon lies on seven hills above the Tejo. In March it has 17 degrees and some rain. " * 12

SUGGESTION = (
    "Fly on 19 March with TP534 for 97 euros, the cheapest direct flight of the month. That leaves about 300 euros for "
    "two nights and food. It will be mild, with some rain. I could not find out hotel prices."
)
PACKING_LIST = (
    "Light layers, a rain jacket and shoes that grip on wet cobblestones. A power bank, your ID, and a small bag that "
    "fits under the seat: at 97 euros the fare has no hold luggage."
)

TITLE = "Give this conversation a title of at most four words: "

FAILURES = {"gpt-4o": 1, "acme-summarizer-1": 3}
"""How often each model fails before it answers."""

CHAT = ("What is the capital of Portugal?", "And what should I eat there?")

UNPRICED_MODEL = "acme-summarizer-1"
MOST_SEARCHES = 3


def run(say: Callable[[str], object] = print, *, model: str | None = None) -> None:
    """Run the agent, with `model` for a real one; without it the server of this package answers from a script."""
    with ExitStack() as stack:
        if model is None:
            server = stack.enter_context(ModelServer(respond=_Script()))
            models = _Models(server.base_url, "none", main="gpt-4o", spare="gpt-4o-mini", small=UNPRICED_MODEL)
        else:
            url, key = os.environ.get("OPENAI_BASE_URL"), os.environ["OPENAI_API_KEY"]
            models = _Models(url, key, main=model, spare=model, small=model)
        _converse(say, models)


def chat(say: Callable[[str], object] = print) -> None:
    """Talk with a small model that runs on this machine; raises ImportError where it is not installed."""
    with LocalModel() as server, workflow("small-talk"):
        model = ChatOpenAI(model=MODEL, base_url=server.base_url, api_key="none", max_tokens=60, temperature=0)  # type: ignore[arg-type,call-arg]  # text will do
        messages: list[BaseMessage] = [SystemMessage("You answer in one short sentence.")]
        for number, question in enumerate(CHAT):
            say(f"user      {question}")
            messages.append(HumanMessage(question))
            if number:  # the second answer comes in pieces, and the server says what it could take from its cache
                answer = "".join(chunk.text for chunk in model.stream(messages, stream_usage=True))
            else:
                answer = model.invoke(messages).text
            messages.append(AIMessage(answer))
            say(f"model     {answer.strip()}")


class _Models:
    """The models of the demo, through the real OpenAI client."""

    def __init__(self, base_url: str | None, api_key: str, *, main: str, spare: str, small: str) -> None:
        def chat(name: str) -> ChatOpenAI:
            return ChatOpenAI(model=name, base_url=base_url, api_key=api_key, max_retries=0)  # type: ignore[arg-type]  # text will do

        self.main = chat(main).with_fallbacks([chat(spare)])
        self.title = chat(spare)
        self.small = chat(small).with_retry(stop_after_attempt=4, wait_exponential_jitter=False)


def _converse(say: Callable[[str], object], models: _Models) -> None:
    agent = create_agent(  # type: ignore[call-overload]  # a model with fallbacks serves as a model here
        models.main,
        tools=_tools(models),
        system_prompt=SYSTEM,
        name="planner",
        checkpointer=InMemorySaver(),
    )
    thread: RunnableConfig = {"configurable": {"thread_id": "lisbon"}}
    say(f"user      {QUESTION}")
    answer = agent.invoke({"messages": [HumanMessage(QUESTION)]}, thread)["messages"][-1]
    say(f"planner   {answer.text}")
    say(f"title     {models.title.invoke(TITLE + QUESTION).text}")
    say(f"user      {FOLLOW_UP}")
    streamed = agent.stream({"messages": [HumanMessage(FOLLOW_UP)]}, thread, stream_mode="messages")
    say("planner   " + "".join(chunk.text for chunk, _ in streamed if not chunk.tool_calls))
    say(f"title     {models.title.invoke(TITLE + QUESTION).text}")


def _tools(models: _Models) -> list[BaseTool]:
    @tool
    def search_flights(origin: str, destination: str) -> str:
        """Return flights with their prices."""
        return json.dumps([flight for flight in FLIGHTS if flight["from"] == origin and flight["to"] == destination])

    @tool
    def describe_city(city: str) -> str:
        """Return what a traveller should know of a city."""
        return models.small.invoke(f"Summarise in two sentences what a traveller should know of {city}: {CITY}").text

    return [search_flights, describe_city]


class _Script:
    """What the model server answers: the agent's moves, and failures where a model is asked for the first times."""

    def __init__(self) -> None:
        self._failures = dict(FAILURES)
        self._seen = 0

    def __call__(self, request: Mapping[str, Any]) -> Step:
        """Answer by how far the conversation has come."""
        model = str(request.get("model"))
        if self._failures.get(model):
            self._failures[model] -= 1
            return Step(status=503)
        if model == UNPRICED_MODEL:
            return Step(
                text="Lisbon is hilly and mild in March; pack for some rain. Trams and walking cover the old town."
            )
        messages = messages_of(request)
        if last_user_text(messages).startswith(TITLE):
            return Step(text="Lisbon in March")
        asked = sum(message.get("role") == "user" for message in messages)
        results = sum(message.get("role") == "tool" for message in messages)
        step = self._move(asked, results)
        said = sum(len(text_of(message.get("content"))) for message in messages)
        cached, self._seen = self._seen, said // 4 // 128 * 128
        return Step(text=step.text, tool_calls=step.tool_calls, usage={"cached": cached})

    def _move(self, asked: int, results: int) -> Step:
        if asked > 1:
            return Step(text=PACKING_LIST)
        if results < MOST_SEARCHES:
            return Step(tool_calls=[("search_flights", {"origin": "BER", "destination": "LIS"})])
        if results == MOST_SEARCHES:
            return Step(tool_calls=[("describe_city", {"city": "Lisbon"})])
        return Step(text=SUGGESTION)
