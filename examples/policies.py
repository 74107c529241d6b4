"""Acting on what was recorded: a week of an assistant shows what policies would save; they are applied, and undone.

The assistant answers with gpt-4o what gpt-4o-mini could, is asked the same again, and once looks up a parcel forever.
Without OPENAI_API_KEY it talks to a model server on this machine, which costs nothing.
"""

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import tc_core
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from tc_core.testing import ModelServer, Step
from tc_langchain import TokenCalculatorMiddleware

SYSTEM = "You answer customers of a shop for tea. Be brief and friendly, and never promise a date of delivery. " * 5
QUESTIONS = ["Do you ship to Lisbon?", "Is spring tea back?", "Do you ship to Lisbon?", "Which tea has no caffeine?"]


@tool
def look_up_parcel(number: str) -> str:
    """Return where a parcel is."""
    return f"{number}: no scan yet"


def answer(request: Mapping[str, Any]) -> Step:
    """Answer as a model would that looks up a parcel again and again."""
    messages = request["messages"]
    question = next(message["content"] for message in reversed(messages) if message["role"] == "user")
    looked = sum(message["role"] == "tool" for message in messages)
    if "parcel" in question and looked < 6:
        return Step(tool_calls=[("look_up_parcel", {"number": "A 17"})])
    return Step(text="Yes, gladly, and with our best wishes.")


def ask(agent: Any, *questions: str) -> list[str]:
    """Put questions to the assistant, each as a run of its own."""
    return [agent.invoke({"messages": [("user", question)]})["messages"][-1].text for question in questions]


tc_core.instrument("policies.db", enforce=True)
manager = tc_core.PolicyManager("policies.db")

with nullcontext() if os.environ.get("OPENAI_API_KEY") else ModelServer(respond=answer) as server:
    address: dict[str, Any] = {} if server is None else {"base_url": server.base_url, "api_key": "none"}
    assistant = create_agent(
        ChatOpenAI(model="gpt-4o", temperature=0, **address),
        tools=[look_up_parcel],
        system_prompt=SYSTEM,
        name="assistant",
        middleware=[TokenCalculatorMiddleware()],
    )
    ask(assistant, *QUESTIONS, "Where is my parcel?")
    tc_core.flush()
    print("What policies would have saved:")
    for each in manager.proposals():
        print(
            f"  {each.policy.name}: ${each.saved:.6f} of ${each.cost:.6f}, acting on {each.acts} of {each.calls} calls"
        )

    route = tc_core.Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5)
    for policy in (route, "cache-assistant", "loop-assistant"):
        manager.apply(policy, by="ann", why="a try")
    print("With three of them on:")
    for question, said in zip(
        [*QUESTIONS, "Where is my parcel?"], ask(assistant, *QUESTIONS, "Where is my parcel?"), strict=True
    ):
        print(f"  {question} {said}")
    tc_core.flush()
    for status in manager.list():
        print(f"  {status.policy.name}: {status.acted.calls} calls changed, {status.kept.calls} kept")
    for status in manager.list():
        manager.undo(status.policy.name, by="ann")
    ask(assistant, *QUESTIONS)

tc_core.flush()
print("The log:")
for change in manager.log():
    print(f"  {change.name} {change.kind} by {change.by}")
models = {
    (event.model, event.price_source)
    for event in tc_core.SQLiteStorage("policies.db").query_events({"event_type": "llm_call"})
}
print("models:", sorted(models, key=str))
