"""Does the cheaper model do as well? An A/B test over two models, looked at every few outcomes until it knows.

A support agent answers customers, each in a session of its own. Half of them ask gpt-4o, half gpt-4o-mini; whoever is
not helped says so. The models are those of a server on this machine, which costs nothing: of its gpt-4o 9 answers in 10
help, of its gpt-4o-mini 6.
"""

import logging
import random
from collections.abc import Mapping
from typing import Any

import tc_core
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from tc_core.testing import ModelServer, Step
from tc_langchain import TokenCalculatorMiddleware

HELPS = {"gpt-4o": 0.9, "gpt-4o-mini": 0.6}
MOST_CUSTOMERS = 1_000
LOOK_EVERY = 20

logging.basicConfig(format="%(message)s")
chance = random.Random(7)


def answer(request: Mapping[str, Any]) -> Step:
    """Answer as a model would that helps as often as it does."""
    return Step(text="It is on its way." if chance.random() < HELPS[request["model"]] else "I cannot say.")


tc_core.instrument("ab_test.db")
test = tc_core.create_ab_test("ab_test.db", "gpt-4o", "gpt-4o-mini", 14, name="support", agent_id="support")

with ModelServer(respond=answer) as server:
    agent = create_agent(
        ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key=SecretStr("none")),
        tools=[],
        system_prompt="You answer customers of a shop for tea, in one sentence.",
        name="support",
        middleware=[TokenCalculatorMiddleware(ab_test="support")],
    )
    for number in range(MOST_CUSTOMERS):
        customer = f"customer-{number}"
        with tc_core.session(customer):
            said = agent.invoke({"messages": [HumanMessage("Where is my order?")]})["messages"][-1].text
        test.record_outcome(customer, said == "It is on its way.")
        if number % LOOK_EVERY == LOOK_EVERY - 1:
            results = test.results()
            print(f"{results.outcomes:4} outcomes: {results.verdict}")
            if results.significant:
                break

results = test.stop(keep=results.winner)
for arm in (results.a, results.b):
    print(f"{arm.model}: {arm.outcomes} sessions, {arm.mean:.0%} helped, ${arm.cost_per_completed:.7f} each")
