"""Traffic of a fleet of agents, made from a seed: what a recorder's queue would hold, in the order of its ends.

Runs of three frameworks: LangChain's agents (its run ids are UUIDs of version 7, with a random part behind the
milliseconds), CrewAI's crews and LlamaIndex's workflows (whose ids are minted here, with a part of the clock there).
They come in waves, so that many are open at once. Users, tenants and agents follow Zipf's law, days have a rhythm, some
runs are retried, some grow to 100, 300 or 1,000 events. One run in ten has a label of its own, `ticket`.
"""

import heapq
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tc_core.model.event import EventRecord, to_us
from tc_core.model.ids import EventId
from tc_core.model.ports import Link
from tc_core.model.scope import Scope
from tc_core.model.usage import Usage
from tc_core.record.pending import PendingEvent

START_US = to_us(datetime(2026, 6, 1, tzinfo=UTC))
US_PER_DAY = 86_400_000_000
DAYS = 90
PER_DAY = 1_000_000 / DAYS
"""Events of a day; a larger number of events is put into the same 90 days, a smaller one into fewer."""

_MODELS = (
    ("gpt-4o", "openai", "gpt-4o-2024-08-06"),
    ("gpt-4o-mini", "openai", "gpt-4o-mini-2024-07-18"),
    ("claude-sonnet-4-5", "anthropic", None),
    ("gemini-2.5-flash", "google", None),
    ("o3-mini", "openai", "o3-mini-2025-01-31"),
    ("llama-of-our-own", "vllm", None),  # has no price
)
_TOOLS = ("search_web", "run_sql", "read_file", "send_mail", "fetch_page", "calculator", "lookup_order", "write_file")
_AGENTS = tuple(
    f"{role}-agent"
    for role in (
        [
            "support",
            "research",
            "billing",
            "triage",
            "code",
            "review",
            "report",
            "planner",
            "sales",
            "legal",
            "ops",
            "data",
        ]
    )
)
_WORKFLOWS = ("answer-ticket", "nightly-report", "code-review", "onboarding", "market-scan")
_FEATURES = ("chat", "search", "summary", "export", "autofill", "review")
_RELEASES = tuple(f"2026.{number}" for number in range(1, 13))
_ERRORS = ("RateLimitError", "APITimeoutError", "BadRequestError")
_WAVE = 200
_SIZES = (1, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24)
_SIZE_WEIGHTS = (18, 16, 14, 12, 10, 8, 7, 6, 5, 3, 2)
_LARGE = ((10, 0.01), (100, 0.001), (300, 0.0003), (1000, 0.0002))
"""Runs of exactly so many events, and how many of all runs they are."""


@dataclass(slots=True)
class _Run:
    """A run while it is made."""

    is_minted: bool
    scope: Scope
    calls: list[tuple[int, PendingEvent]]
    """Each with its end (us)."""


class Traffic:
    """An endless stream of ended calls; `events` only says how dense the days are."""

    def __init__(self, events: int, *, seed: int = 20261126) -> None:
        self._chance = random.Random(seed)
        self._us_per_event = US_PER_DAY / max(PER_DAY, events / DAYS)
        self._users = _Zipf(self._chance, 300)
        self._tenants = _Zipf(self._chance, 40)
        self._agents = _Zipf(self._chance, len(_AGENTS))
        self._sessions = itertools.count()
        self._session = "session-0"

    def calls(self) -> Iterator[PendingEvent]:
        """Yield calls as their ends come, without end."""
        waiting: list[tuple[int, int, PendingEvent]] = []
        serial = itertools.count()
        now_us = START_US
        while True:
            while waiting and waiting[0][0] <= now_us:
                yield heapq.heappop(waiting)[2]
            made = 0
            for _ in range(_WAVE):
                begin_us = now_us + self._chance.randrange(30_000_000)
                for end_us, call in self._run(begin_us):
                    heapq.heappush(waiting, (end_us, next(serial), call))
                    made += 1
            now_us += int(made * self._us_per_event / _rhythm(now_us))

    def _run(self, at_us: int) -> list[tuple[int, PendingEvent]]:
        chance = self._chance
        share = chance.random()
        size = chance.choices(_SIZES, _SIZE_WEIGHTS)[0]
        for large, part in _LARGE:
            if share < part:
                size = large
                break
            share -= part
        run = _Run(chance.random() < 0.4, self._scope(), [])
        if size == 1:
            self._model_call(run, None, at_us)
        elif run.is_minted:
            self._crew(run, at_us, size)
        else:
            self._agent(run, None, at_us, size)
        return run.calls

    def _scope(self) -> Scope:
        chance = self._chance
        labels = {"user_id": f"user-{self._users.pick()}", "feature": chance.choice(_FEATURES)}
        if chance.random() < 0.6:
            labels["tenant"] = f"tenant-{self._tenants.pick()}"
        if chance.random() < 0.8:
            labels["release"] = chance.choice(_RELEASES[-3:])
        if chance.random() < 0.1:
            labels["ticket"] = f"T-{chance.getrandbits(40):010x}"
        if chance.random() < 0.4:
            self._session = f"session-{next(self._sessions)}"
        environment = chance.choices(("production", "staging", "development"), (85, 10, 5))[0]
        return Scope(session_id=self._session, environment=environment, labels=labels)

    def _crew(self, run: _Run, at_us: int, size: int) -> None:
        """A workflow, its tasks, and an agent at work on each."""
        workflow = self._chance.choice(_WORKFLOWS)
        run.scope = run.scope.extended({"workflow_id": workflow})
        top = self._begin(run, None, "workflow", workflow, at_us)
        left, end_us, before = size - 1, at_us, None
        while left > 0:
            part = min(left, self._chance.randint(3, 9)) if left > 12 else left
            end_us, last = self._agent(run, top, end_us + 2_000, part)
            if before is not None:
                last.links = [*last.links, Link(last.record.id, "derived_from", before)]
            before = last.record.id
            left -= part
        self._end(run, top, end_us + 1_000)

    def _agent(self, run: _Run, above: PendingEvent | None, at_us: int, size: int) -> tuple[int, PendingEvent]:
        """An agent that asks its model, uses the tools the model asks for, and asks again."""
        name = _AGENTS[self._agents.pick()]
        before, run.scope = run.scope, run.scope.extended({"agent_id": name})
        agent = self._begin(run, above, "agent", name, at_us)
        model = _MODELS[hash_of(name) % len(_MODELS)] if self._chance.random() < 0.8 else self._chance.choice(_MODELS)
        weight, end_us, left = self._chance.randint(200, 4_000), at_us + 500, size - 1
        asking: PendingEvent | None = None
        while left > 0:
            if asking is None or self._chance.random() < 0.55:
                end_us, asking = self._model_call(run, agent, end_us, model, weight, asking)
                weight += self._chance.randint(50, 900)
            else:
                end_us = self._tool_call(run, agent, end_us, asking.record.id)
            left -= 1
        self._end(run, agent, end_us + 300)
        run.scope = before
        return end_us, agent

    def _model_call(
        self,
        run: _Run,
        above: PendingEvent | None,
        at_us: int,
        model: tuple[str, str, str | None] = _MODELS[0],
        weight: int = 800,
        before: PendingEvent | None = None,
    ) -> tuple[int, PendingEvent]:
        chance = self._chance
        name, provider, served = model
        call = self._begin(run, above, "llm_call", None, at_us)
        record = call.record
        record.model, record.provider = name, provider
        end_us = at_us + int(chance.lognormvariate(14.2, 0.6))
        if before is not None and before.record.status == "error":
            call.links = [*call.links, Link(record.id, "retry_of", before.record.id)]
        if chance.random() < 0.02:
            self._end(run, call, end_us, error=chance.choice(_ERRORS))
            return end_us, call
        record.served_model = served
        if chance.random() < 0.03:  # a provider that reports nothing
            call.input_characters, call.output_characters = weight * 4, 600
        else:
            cached = weight // 2 if before is not None and chance.random() < 0.5 else 0
            reasoning = 64 * chance.randint(1, 20) if name.startswith("o3") else None
            written = int(chance.lognormvariate(5, 0.8)) + (reasoning or 0)
            record.usage = Usage(weight, written, cached, weight // 4 if provider == "anthropic" else None, reasoning)
            record.usage_source = "provider"
        if chance.random() < 0.1:
            record.metadata = {"finish_reason": chance.choice(("stop", "tool_calls", "length"))}
        elif chance.random() < 0.03:
            record.metadata = {"response_id": f"resp_{chance.getrandbits(96):024x}"}
        self._end(run, call, end_us)
        return end_us, call

    def _tool_call(self, run: _Run, above: PendingEvent, at_us: int, asking: EventId) -> int:
        event_type = "retrieval" if self._chance.random() < 0.2 else "tool"
        name = "vector_store" if event_type == "retrieval" else self._chance.choice(_TOOLS)
        call = self._begin(run, above, event_type, name, at_us + 200)
        call.links = [*call.links, Link(call.record.id, "triggered_by", asking)]
        end_us = at_us + int(self._chance.lognormvariate(12, 1))
        self._end(run, call, end_us, error="ToolError" if self._chance.random() < 0.03 else None)
        return end_us

    def _begin(
        self, run: _Run, above: PendingEvent | None, event_type: str, name: str | None, at_us: int
    ) -> PendingEvent:
        parent = None if above is None else above.record.id
        id_ = event_id(self._chance, at_us, is_minted=run.is_minted)
        return PendingEvent(id_, EventRecord(id_, event_type, at_us, parent, run.scope, name), above)

    def _end(self, run: _Run, call: PendingEvent, end_us: int, *, error: str | None = None) -> None:
        record = call.record
        record.status, record.error_type = ("ok", None) if error is None else ("error", error)
        record.latency_us = end_us - record.at_us
        run.calls.append((end_us, call))


class _Zipf:
    """Numbers of which the n-th is chosen 1/n as often as the first."""

    def __init__(self, chance: random.Random, count: int) -> None:
        self._chance = chance
        self._numbers = range(count)
        self._weights = list(itertools.accumulate(1 / (number + 1) for number in self._numbers))

    def pick(self) -> int:
        return self._chance.choices(self._numbers, cum_weights=self._weights)[0]


def event_id(chance: random.Random, at_us: int, *, is_minted: bool) -> EventId:
    """Return a UUID of version 7, minted here or as LangChain makes it, begun at `at_us`."""
    milliseconds, rest_us = divmod(at_us, 1000)
    below = (rest_us << 12) // 1000 if is_minted else chance.getrandbits(12)
    return (milliseconds << 80 | 0x7 << 76 | below << 64 | 0b10 << 62 | chance.getrandbits(62)).to_bytes(16)


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return sum(map(ord, text))


def _rhythm(at_us: int) -> float:
    """Return how busy an hour is beside the mean: calm at night, busy in the afternoon."""
    return 1 + 0.6 * math.sin(2 * math.pi * (at_us % US_PER_DAY / US_PER_DAY - 0.375))
