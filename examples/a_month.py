"""A month of a small company's agents, recorded in some seconds: real agents, a real socket, and a clock that is set.

Four agents work from 28 February to 29 March 2026, through LangChain and the real OpenAI client, with a model server
of this package that answers from a script. `support` answers customers in sessions of two turns; `planner` plans trips
with two tools; `contracts` reads one long contract again and again; `summaries` works by night, for nobody who waits.

In the last week (from 23 March) the planner's instructions are three times as long, support has twice the customers,
and gpt-4o in place of gpt-4o-mini answers every other of them. On 12 March the planner looks for flights in a loop.

    python examples/a_month.py a_month.db
"""

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tc_core
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from tc_core.testing import FakeClock, ModelServer, Step

FIRST = datetime(2026, 2, 28, tzinfo=UTC)
CHANGED = datetime(2026, 3, 23, tzinfo=UTC)
LOOPED = datetime(2026, 3, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 29, 23, 30, tzinfo=UTC)
"""When the month is over, and questions are asked."""

PLAN = "You plan short trips. Look up flights, then describe the city, then answer with prices in euros. " * 4
HELP = "You answer customers of a shop for tea. Be brief and friendly, and never promise a date of delivery. " * 3
CONTRACT = "The supplier delivers tea of the first flush to the warehouse of the buyer, who pays within 30 days. " * 60
REPORT = "A customer wrote that the tea of spring is lighter than that of last year, and that they like it. " * 12


def record(path: str | Path, *, days: int = 30) -> Path:
    """Record the last so many days of the month into a new store; return its path."""
    server = ModelServer(respond=_answer)
    with tc_core.SQLiteStorage(path) as store, server, FakeClock(FIRST) as clock:
        _Script.clock = clock
        tc_core.instrument(store, frameworks=["langchain"], labels={"environment": "production"})
        try:
            company = _Company(server.base_url)
            for day in range(30 - days, 30):
                company.work(clock, FIRST + timedelta(days=day))
        finally:
            tc_core.uninstrument()
    return Path(path)


class _Company:
    """The agents, and what they do in a day."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._support = {name: self._model(name) for name in ("gpt-4o-mini", "gpt-4o")}
        self._contracts = self._model("claude-sonnet-4-5")
        self._summaries = self._model("gpt-4.1")
        self._planners = {size: self._planner(PLAN * size) for size in (1, 3)}

    def work(self, clock: FakeClock, day: datetime) -> None:
        is_changed, is_weekend = day >= CHANGED, day.weekday() > 4
        self._summarise(clock, day)
        for number in range(1 if is_weekend else 2):
            self._plan(clock, day, 9 + 3 * number, size=3 if is_changed else 1)
        customers = (2 if is_weekend else 3 + day.day % 3) * (2 if is_changed else 1)
        for number in range(customers):
            self._help(clock, day, number, "gpt-4o" if is_changed and number % 2 else "gpt-4o-mini")
        if not is_weekend:
            self._read_contract(clock, day)

    def _plan(self, clock: FakeClock, day: datetime, hour: int, *, size: int) -> None:
        _set(clock, day, hour)
        _Script.lookups = 12 if day == LOOPED else 1
        with tc_core.labels(user_id="u-office"):
            self._planners[size].invoke({"messages": [HumanMessage(f"A weekend in Lisbon in week {hour}, please.")]})

    def _help(self, clock: FakeClock, day: datetime, number: int, model: str) -> None:
        _set(clock, day, 10 + number % 8, 10)
        customer = f"u-{number % 5}"
        messages: list[BaseMessage] = [SystemMessage(HELP)]
        with tc_core.session(f"chat-{day:%m%d}-{number}"), tc_core.labels(agent_id="support", user_id=customer):
            for question in (f"Where is order {day:%d}{number}?", "And can I still change the address?"):
                messages.append(HumanMessage(question))
                messages.append(AIMessage(self._support[model].invoke(messages).text))
                clock.advance(seconds=40)

    def _read_contract(self, clock: FakeClock, day: datetime) -> None:
        _set(clock, day, 15)
        with tc_core.workflow("contract-check"), tc_core.labels(agent_id="contracts"):
            for question in ("Who pays for insurance?", "What if a delivery is late?", "Can the price rise?"):
                self._contracts.invoke([SystemMessage(CONTRACT), HumanMessage(question)])
                clock.advance(seconds=50)

    def _summarise(self, clock: FakeClock, day: datetime) -> None:
        _set(clock, day, 2)
        with tc_core.workflow("nightly-summaries"), tc_core.labels(agent_id="summaries", task_type="summary"):
            for number in range(4):
                self._summaries.invoke(f"Summarise letter {number} of {day:%d %B}: {REPORT}")

    def _planner(self, prompt: str) -> Any:
        tools = [search_flights, describe_city]
        return create_agent(self._model("gpt-4o"), tools=tools, system_prompt=prompt, name="planner")

    def _model(self, name: str) -> ChatOpenAI:
        return ChatOpenAI(model=name, base_url=self._base_url, api_key=SecretStr("none"), max_retries=0)


@tool
def search_flights(origin: str, destination: str) -> str:
    """Return flights with their prices."""
    flights = [{"flight": f"TP{530 + n}", "from": origin, "to": destination, "euros": 97 + 9 * n} for n in range(12)]
    return json.dumps(flights)


@tool
def describe_city(city: str) -> str:
    """Return what a traveller should know of a city."""
    return f"{city} lies on seven hills above the river; in March it has 17 degrees and some rain. " * 3


class _Script:
    clock: FakeClock
    lookups = 1


def _answer(request: Mapping[str, Any]) -> Step:
    """Answer by who asks and how far the agent has come; an answer takes its time, by the clock that is set."""
    model, messages = str(request["model"]), request["messages"]
    _Script.clock.advance(seconds=0.4 if model.endswith("mini") else 1.5)
    if not request.get("tools"):
        return Step(text="It is on its way, and all is as agreed. " * (2 if model.startswith("gpt-4o") else 6))
    results = sum(message["role"] == "tool" for message in messages)
    if results < _Script.lookups:
        return Step(tool_calls=[("search_flights", {"origin": "BER", "destination": f"LIS{results or ''}"})])
    if results == _Script.lookups:
        return Step(tool_calls=[("describe_city", {"city": "Lisbon"})])
    return Step(text="Fly with TP530 for 97 euros. It is mild, with some rain. Hotels I could not find out.")


def _set(clock: FakeClock, day: datetime, hour: int, minute: int = 0) -> None:
    clock.advance(max(timedelta(), day + timedelta(hours=hour, minutes=minute) - clock.now))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", nargs="?", default="a_month.db", help="the new store to make; default: a_month.db")
    wanted = Path(parser.parse_args().store)
    if wanted.exists():
        parser.error(f"{wanted} is there already, and a second month would be added to it: name a new file")
    place = record(wanted)
    report = tc_core.CostTracker(place).get_costs(group_by=["agent_id"])
    print(f"${report.total_cost:.3f} for {report.total_calls:,} calls in a month, in {place}")
