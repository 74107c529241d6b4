"""Single runs of any size, made from a seed: agents that call models and tools, fail at times, and hand on."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from tc_core.model.event import EventRecord, to_us
from tc_core.model.ids import EventId
from tc_core.model.ports import Batch, Link
from tc_core.model.scope import Scope
from tc_core.model.usage import Usage
from tc_core.runtime import recorders as _recorders  # noqa: F401  # makes the tables of all branches known
from tc_core.store.sql import SqlStore

BEGAN_US = to_us(datetime(2026, 6, 1, 9, tzinfo=UTC))
AGENTS = ("planner", "researcher", "writer", "reviewer", "coder", "tester")
TOOLS = ("search_web", "read_file", "run_sql", "fetch_page", "write_file")
MODELS = (("gpt-4o", 2_500, 10_000), ("gpt-4o-mini", 150, 600), ("claude-sonnet-4-5", 3_000, 15_000))
"""Each with its prices for a thousand tokens of input and output, in nano-dollars times a thousand."""

BATCH = 2_000


def write_run(store: SqlStore, events: int, *, seed: int = 7, name: str = "large") -> str:
    """Write one run of so many events into a store; return its id."""
    made = _Run(events, seed, name)
    records = list(made.records())
    for start in range(0, len(records), BATCH):
        store.sink.write(Batch(records[start : start + BATCH]))
    for start in range(0, len(made.links), BATCH):
        store.sink.write(Batch([], made.links[start : start + BATCH]))
    return made.root


class _Run:
    def __init__(self, events: int, seed: int, name: str) -> None:
        self._chance = random.Random(seed)
        self._left = events
        self._name = name
        self._at = BEGAN_US
        self.links: list[Link] = []
        self.root = ""

    def records(self) -> Iterator[EventRecord]:
        """Yield the events, parents before children."""
        from tc_core.model import ids

        root = self._made(None, "workflow", self._name, Scope(workflow_id=self._name))
        self.root = ids.to_text(root.id)
        found = [root]
        before: EventId | None = None
        while self._left > 0:
            begun = len(found)
            task = self._made(root.id, "task", f"task {begun % 40}", root.scope)
            found.append(task)
            last = self._agent(found, task.id, 0)
            if before is not None and last is not None:
                self.links.append(Link(last, "derived_from", before))
            before = last
            task.latency_us = self._at - task.at_us
        root.latency_us = self._at - root.at_us
        yield from found

    def _agent(self, found: list[EventRecord], parent: EventId, level: int) -> EventId | None:
        name = self._chance.choice(AGENTS)
        scope = Scope(workflow_id=self._name, agent_id=name)
        agent = self._made(parent, "agent", name, scope)
        found.append(agent)
        before: EventId | None = None
        for _ in range(self._chance.randint(2, 9)):
            if self._left <= 0:
                break
            call = self._call(found, agent.id, scope)
            if before is not None:
                self.links.append(Link(call, "continuation_of", before))
            before = call
            for _ in range(self._chance.choice((0, 1, 1, 2))):
                tool = self._made(agent.id, "tool", self._chance.choice(TOOLS), scope)
                tool.latency_us = self._spent(self._chance.randint(2_000, 900_000))
                found.append(tool)
            if level < 6 and self._chance.random() < 0.15:
                self._agent(found, agent.id, level + 1)
        agent.latency_us = self._at - agent.at_us
        return before

    def _call(self, found: list[EventRecord], parent: EventId, scope: Scope) -> EventId:
        model, price_in, price_out = self._chance.choice(MODELS)
        call = self._made(parent, "llm_call", None, scope)
        call.model = call.served_model = model
        call.latency_us = self._spent(self._chance.randint(200_000, 4_000_000))
        found.append(call)
        if self._chance.random() < 0.02:
            call.status, call.error_type = "error", "RateLimitError"
            return call.id
        tokens_in, tokens_out = self._chance.randint(400, 30_000), self._chance.randint(10, 900)
        call.usage, call.usage_source = Usage(tokens_in, tokens_out, tokens_in // 2), "provider"
        call.cost_nanos = tokens_in * price_in + tokens_out * price_out
        call.price_source = "genai-prices"
        return call.id

    def _made(self, parent: EventId | None, event_type: str, name: str | None, scope: Scope) -> EventRecord:
        self._left -= 1
        self._at += 300
        id_ = EventId((self._at // 1000).to_bytes(6, "big") + b"\x70" + self._chance.randbytes(9))
        return EventRecord(id_, event_type, self._at, parent, scope, name=name, status="ok")

    def _spent(self, us: int) -> int:
        self._at += us
        return us
