"""Acting on what was recorded: what policies would have saved, what they do once they are applied, and the way back.

An assistant asks gpt-4o what gpt-4o-mini could answer, is asked the same again, and looks up a parcel again and again.
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
QUESTIONS = ["Do you ship to Lisbon?", "Is spring tea back?", "Which tea has no caffeine?"] * 4
PARCEL = "Where is my parcel?"


@tool
def look_up_parcel(number: str) -> str:
    """Return where a parcel is."""
    return f"{number}: no scan yet"


def answer(request: Mapping[str, Any]) -> Step:
    """Answer as a model would that looks up a parcel six times."""
    messages = request["messages"]
    looked = sum(message["role"] == "tool" for message in messages)
    if messages[1]["content"] == PARCEL and looked < 6:
        return Step(tool_calls=[("look_up_parcel", {"number": "A 17"})])
    return Step(text="Yes, gladly, and with our best wishes.")


def ask(assistant: Any, *questions: str) -> str:
    """Put questions to the assistant, each as a run of its own; return the last answer."""
    answers = [assistant.invoke({"messages": [("user", question)]}) for question in questions]
    tc_core.flush()
    return str(answers[-1]["messages"][-1].text)


tc_core.instrument("policies.db", enforce=True)  # without enforce, policies are only tried
manager = tc_core.PolicyManager()

with nullcontext() if os.environ.get("OPENAI_API_KEY") else ModelServer(respond=answer) as server:
    address: dict[str, Any] = {} if server is None else {"base_url": server.base_url, "api_key": "none"}
    assistant = create_agent(
        ChatOpenAI(model="gpt-4o", temperature=0, **address),
        tools=[look_up_parcel],
        system_prompt=SYSTEM,
        name="assistant",
        middleware=[TokenCalculatorMiddleware()],
    )
    ask(assistant, *QUESTIONS, PARCEL)
    print("would have saved:")
    for found in manager.proposals():
        print(f"  {found.policy.name}: ${found.saved:.4f} of ${found.cost:.4f}, {found.acts} of {found.calls} calls")

    for name in ("cache-assistant", "loop-assistant"):
        manager.apply(name, by="ann", why="a try")
    ask(assistant, *QUESTIONS)
    print(ask(assistant, PARCEL))
    for name in ("cache-assistant", "loop-assistant"):
        manager.undo(name, by="ann")

    manager.apply(tc_core.Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5), by="ann")
    ask(assistant, *QUESTIONS, *QUESTIONS)
    manager.undo("mini", by="ann", why="that was a demonstration")
    ask(assistant, *QUESTIONS[:3])

print("have done:")
for status in manager.list():
    print(f"  {status.policy.name}, {status.state}: calls changed: {status.acted.calls}, saved: ${status.saved:.4f}")
for change in manager.log():
    print(f"{change.name} {change.kind} by {change.by}")
