"""How long a call waits for its reservation, beside a writer that is idle, busy, or never done.

Five threads ask for room on three nested budgets, one call each 50 ms, and then record the call, whose event settles
the reservation. Meanwhile a feeder in the same process records events of others at a rate, or as fast as the writer
takes them. `admit` is all that a framework's hook waits for: which budgets a call counts on, its estimate and its
price, and the reservation; `reserve` is that alone. A streamed answer is watched meanwhile: `piece` is what each of its
pieces waits for within what is reserved, `grow` what the one waits for that passes it. At the end nothing may be left
reserved, and the books must agree with events.

    python -m benchmarks.budgets [--seconds N] [--rates 0,100,1000,max] [--storage sqlite|postgresql] [--json]
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, percentile, show
from benchmarks.servers import running
from tc_core import BudgetTracker, create_storage
from tc_core.budgets.live import Live, live_of
from tc_core.model import ids
from tc_core.model.part import Request
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.record.recorder import Recorder
from tc_core.runtime.recorders import recorder_for
from tc_core.store.sql import SqlStore

THREADS = 5
EVERY_SECONDS = 0.05
PROMPT = [
    Segment("system", "text", "You plan short trips. " * 40),
    Segment("user", "text", "To Lisbon, in March. " * 20),
]
MOST_QUEUED = 5_000
PIECES = 20


@dataclass(slots=True)
class Took:
    """How long the callers have waited, in microseconds."""

    admit_us: list[float] = field(default_factory=list)
    reserve_us: list[float] = field(default_factory=list)
    piece_us: list[float] = field(default_factory=list)
    grow_us: list[float] = field(default_factory=list)


def measure(store: SqlStore, rate: float | None, seconds: float) -> dict[str, Any]:
    """Ask for room beside a feeder with so many events a second; None is as fast as the writer takes them."""
    budgets = BudgetTracker(store)
    for name, filters in (
        ("company", {}),
        ("team", {"team": "search"}),
        ("agent", {"team": "search", "agent_id": "a"}),
    ):
        budgets.set_budget(1_000_000, "month", filters, name=name, hard=True)
    live, recorder = live_of(store), recorder_for(store)
    live.cut(True)
    took = Took()
    _time_reservations(live, took.reserve_us)
    stop = threading.Event()
    threads = [threading.Thread(target=_caller, args=(live, recorder, took, stop)) for _ in range(THREADS)]
    fed = [0]
    feeder = threading.Thread(target=_feed, args=(recorder, rate, stop, fed))
    for thread in (*threads, feeder):
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in (*threads, feeder):
        thread.join()
    store.flush()
    found = budgets.get_remaining("agent")
    assert found.reserved == 0, found
    assert {each.state for each in budgets.check()} == {"ok"}
    return {
        "writer": "max" if rate is None else f"{rate:,.0f}/s",
        "calls": len(took.admit_us),
        "events_per_s": round(fed[0] / seconds),
        **{
            f"{name}_{share}_ms": round(value / 1000, 3)
            for name, values in (("reserve", took.reserve_us), ("admit", took.admit_us), ("grow", took.grow_us))
            for share, value in (("p50", median(values)), ("p99", percentile(values, 0.99)))
        },
        "piece_p50_us": round(median(took.piece_us), 2),
    }


def _time_reservations(live: Live, took: list[float]) -> None:
    reserve = live.books.reserve

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter_ns()
        try:
            return reserve(*arguments)
        finally:
            took.append((time.perf_counter_ns() - began) / 1000)

    live.books.reserve = timed  # type: ignore[assignment,method-assign]  # of this store alone


def _caller(live: Live, recorder: Recorder, took: Took, stop: threading.Event) -> None:
    labels = {"team": "search", "agent_id": "a"}
    while not stop.wait(EVERY_SECONDS):
        scope, root = recorder.place_here(None, labels)
        id_ = ids.new_id()
        request = Request("gpt-4o", "openai", scope=scope, content=PROMPT, event_id=id_, root_id=root)
        began = time.perf_counter_ns()
        live.enforcement.reserve(request)
        took.admit_us.append((time.perf_counter_ns() - began) / 1000)
        _stream(live, id_, took)
        key = object()
        recorder.start(
            "llm_call", key=key, event_id=id_, model="gpt-4o", provider="openai", content=PROMPT, labels=labels
        )
        recorder.finish(key, usage=Usage(400, 30))


def _stream(live: Live, id_: ids.EventId, took: Took) -> None:
    """Show the pieces of an answer to what watches it: first as many as are reserved for, then one that is too much."""
    meter = live.enforcement.meter(id_)
    assert meter is not None
    began = time.perf_counter_ns()
    for _ in range(PIECES):
        meter.piece(4)
    took.piece_us.append((time.perf_counter_ns() - began) / 1000 / PIECES)
    began = time.perf_counter_ns()
    assert meter.piece(4000) is None
    took.grow_us.append((time.perf_counter_ns() - began) / 1000)


def _feed(recorder: Recorder, rate: float | None, stop: threading.Event, fed: list[int]) -> None:
    began = time.perf_counter()
    while not stop.is_set():
        due = MOST_QUEUED if rate is None else int((time.perf_counter() - began) * rate) - fed[0]
        if len(recorder.writer._queue) > MOST_QUEUED:
            due = 0
        for _ in range(min(due, 100)):
            key = object()
            recorder.start("llm_call", key=key, model="gpt-4o", provider="openai", labels={"agent_id": "other"})
            recorder.finish(key, usage=Usage(400, 30))
            fed[0] += 1
        stop.wait(0.002 if due < 100 else 0.0)


def figures(result: dict[str, Any]) -> Iterator[Figure]:
    """Yield what is aimed at beside what was measured."""
    for row in result["rows"]:
        if row["writer"] in ("1,000/s", "max"):
            measured = f"{row['reserve_p50_ms']} ms, p99 {row['reserve_p99_ms']} ms"
            yield Figure(f"reserve on the caller's thread, writer at {row['writer']}", "p50 0.3 ms", measured)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rates", default="0,100,1000,max")
    parser.add_argument("--storage", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = []
    for rate in options.rates.split(","):
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            where = str(Path(folder) / "s.db")
            if options.storage == "postgresql":
                where = stack.enter_context(stack.enter_context(running()).database())
            store = create_storage(where)
            assert isinstance(store, SqlStore)
            rows.append(measure(store, None if rate == "max" else float(rate), options.seconds))
            store.close()
    show({"benchmark": "budgets", "storage": options.storage, "rows": rows}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
