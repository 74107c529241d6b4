"""An agent with half a cent: it is warned of, goes on with a cheaper model, and stops with a message that says why.

Without OPENAI_API_KEY it talks to a model server on this machine, which costs nothing.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import tc_core
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from tc_core.testing import ModelServer, Step
from tc_langchain import TokenCalculatorMiddleware
from tc_langchain.demo import CITY, FLIGHTS, QUESTION, SYSTEM

logging.basicConfig(format="%(message)s")
logging.getLogger("langchain_core").setLevel(logging.ERROR)

tc_core.instrument("budget.db", enforce=True)
budgets = tc_core.BudgetTracker()
budgets.set_budget(0.005, "day", {"agent_id": "planner"}, name="half a cent", hard=True, thresholds=[0.8])


@tool
def search_flights(origin: str, destination: str) -> str:
    """Return flights with their prices."""
    return str([flight for flight in FLIGHTS if flight["from"] == origin and flight["to"] == destination])


@tool
def describe_city(city: str) -> str:
    """Return what a traveller should know of a city."""
    return f"{city}: {CITY}"


def next_move(request: Mapping[str, Any]) -> Step:
    """Answer as a model would that never has enough: it looks up one thing after the other."""
    results = sum(message["role"] == "tool" for message in request["messages"])
    if results % 2:
        return Step(tool_calls=[("describe_city", {"city": "Lisbon"})])
    return Step(tool_calls=[("search_flights", {"origin": "BER", "destination": "LIS"})])


with nullcontext() if os.environ.get("OPENAI_API_KEY") else ModelServer(respond=next_move) as server:
    address = {} if server is None else {"base_url": server.base_url, "api_key": "none"}
    options: dict[str, Any] = {"max_tokens": 100, **address}
    agent = create_agent(
        ChatOpenAI(model="gpt-4o", **options),
        tools=[search_flights, describe_city],
        system_prompt=SYSTEM,
        name="planner",
        middleware=[TokenCalculatorMiddleware(on_exceeded="downgrade", downgrade_to="gpt-4o-mini", agent_id="planner")],
    )
    answer = agent.invoke({"messages": [HumanMessage(QUESTION)]}, {"recursion_limit": 100})

tc_core.flush()
for group in tc_core.CostTracker().get_costs(group_by=["model"]).groups:
    print(f"{group.key['model']}: {group.calls} calls, ${group.cost:.6f}")
print(f"planner: {answer['messages'][-1].text}")
left = budgets.get_remaining()
print(f"{left.name}: ${left.spent:.6f} of ${left.amount} spent, ${left.reserved} reserved")
