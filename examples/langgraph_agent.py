"""A LangGraph agent with a tool, recorded with its lineage.

Needs OPENAI_API_KEY, and heeds OPENAI_BASE_URL.
"""

import tc_core
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from tc_core.lineage.tree import tree

tc_core.instrument("langgraph_agent.db")


@tool
def price_of(fruit: str) -> str:
    """Return the price of a fruit in euros."""
    return {"apple": "0.40", "pear": "0.55"}.get(fruit, "unknown")


agent = create_agent(ChatOpenAI(model="gpt-4o-mini"), tools=[price_of], name="grocer")
answer = agent.invoke({"messages": [HumanMessage("What do an apple and a pear cost?")]})
print(answer["messages"][-1].text)

store = tc_core.SQLiteStorage("langgraph_agent.db")
for node in tree(*store.tree(store.runs(limit=1)[0].event.event_id)).walk():
    event, cost = node.event, node.totals.known_cost_nanos
    print(f"{'  ' * event.depth}{event.event_type} {event.name or event.model}: {cost} nano-dollars")
