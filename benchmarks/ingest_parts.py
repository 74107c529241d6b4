"""How many events a second the writer brings into the store with budgets, ledger and alerts on as well as off.

The same traffic into one store each, in interleaved blocks, through the recorder that a program has; beside it three
nested budgets that stop calls, or ten alert rules, or the ledger with health, which reads prompts of two to six parts
on a thread of its own. `cpu_us` is the processor time of an event in all threads, until all of them have done with it;
`to_none` is how much longer that is than with none of them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.alerts import types
from benchmarks.common import Took, median, spread, timed
from benchmarks.stores import Recording, opened
from benchmarks.traffic import Traffic
from tc_core import AlertManager, BudgetTracker
from tc_core.model.segment import Segment
from tc_core.record.pending import PendingEvent
from tc_core.runtime.recorders import recorder_for
from tc_core.store.sql import SqlStore

DENSITY = 1_000_000
WAYS = ("none", "budgets", "alerts", "ledger and health", "all")
WAIT_SECONDS = 600.0

_SYSTEM = Segment("system", "text", "You answer questions about orders. " * 12)


def run(events: int, blocks: int, storage: str, folder: Path) -> dict[str, Any]:
    """Measure so many events of each way in blocks, of which the first warms up."""
    size = max(1, events // (blocks + 1))
    takes: dict[str, list[tuple[Took, Took]]] = {name: [] for name in WAYS}
    with ExitStack() as stack:
        ways = {name: _Way(name, storage, folder, stack) for name in WAYS}
        for block in range(blocks + 1):
            for name, way in ways.items():
                took = way.block(size)
                if block:
                    takes[name].append(took)
    cpu = {name: [whole.cpu_s / size * 1e6 for _, whole in each] for name, each in takes.items()}
    rates = {name: [size / drain.wall_s for drain, _ in each] for name, each in takes.items()}
    rows = [
        {
            "way": name,
            "events_per_s": median(rates[name]),
            "min..max": spread(rates[name]),
            "cpu_us": median(cpu[name]),
            "to_none": median([own / none for own, none in zip(cpu[name], cpu["none"], strict=True)]),
        }
        for name in WAYS
    ]
    return {"benchmark": "ingest", "storage": storage, "events": size * (blocks + 1), "rows": rows}


class _Way:
    """One store and what is on beside its writer."""

    def __init__(self, name: str, storage: str, folder: Path, stack: ExitStack) -> None:
        self._has_texts = name in ("ledger and health", "all")
        with _switched("on" if self._has_texts else "off"):
            store = stack.enter_context(opened(storage, folder, name.replace(" ", "_")))
            self._writer = recorder_for(store).writer
        self._writer.wake = _never  # type: ignore[method-assign]  # its thread would write while the next block is queued
        if name in ("budgets", "all"):
            _set_budgets(store)
        if name in ("alerts", "all"):
            types(AlertManager(store), "")
        self._recording = Recording(self._writer)
        self._calls = Traffic(DENSITY).calls()

    def block(self, size: int) -> tuple[Took, Took]:
        """Return what the writer took, and with it all that reads what was written."""
        calls = list(islice(self._calls, size))
        if self._has_texts:
            _give_texts(calls)
        self._recording.queue(calls)
        drains: list[Took] = []

        def write() -> None:
            drains.append(timed(self._recording.drain, collect=False))
            self._writer._tell_of_commit()
            self._writer.after.wait(WAIT_SECONDS)
            self._writer.listeners.wait(WAIT_SECONDS)

        whole = timed(write)
        return drains[0], whole


def _never() -> None:
    pass


@contextmanager
def _switched(said: str) -> Iterator[None]:
    names = ("TOKEN_CALC_LEDGER", "TOKEN_CALC_HEALTH")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, said))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _set_budgets(store: SqlStore) -> None:
    budgets = BudgetTracker(store)
    for name, filters in (
        ("company", {}),
        ("production", {"environment": "production"}),
        ("chat", {"feature": "chat"}),
    ):
        budgets.set_budget(1_000_000, "month", filters, name=name, hard=True)


def _give_texts(calls: list[PendingEvent]) -> None:
    """Give model calls a prompt that grows from call to call of a run, as an agent's does."""
    turns: dict[object, list[Segment]] = {}
    for call in calls:
        if call.record.event_type != "llm_call":
            continue
        said = turns.setdefault(call.record.parent_id or call.record.id, [])
        number = len(said)
        said.append(Segment("user" if number % 2 == 0 else "assistant", "text", f"{call.key!r} turn {number}. " * 8))
        call.content, call.output = [_SYSTEM, *said[-5:]], [Segment("assistant", "text", f"{call.key!r} says so. " * 6)]
        call.has_texts = True
