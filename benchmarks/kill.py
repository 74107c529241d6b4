"""Nothing that was told is lost when a process is killed.

A child records LangChain calls in several threads and reports each call over a pipe: before it begins, and once its
end hook has returned. At a random moment it gets SIGKILL. Then the store is opened: every call whose end was reported
must be there once with its cost, every other one that was announced at most once, ended or abandoned.

    python -m benchmarks.kill [--kills N] [--events N] [--threads N] [--seed N] [--storage sqlite|postgresql] [--json]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, show
from benchmarks.servers import running
from tc_core import create_storage
from tc_core.store.sql import SqlStore

CHILD = """
import itertools, os, sys, threading, uuid
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from tc_core import CostTracker
from tc_langchain import TokenCalculatorCallback

pipe, threads = int(sys.argv[2]), int(sys.argv[3])
usage = {"input_tokens": 1000, "output_tokens": 0, "total_tokens": 1000}
answer = AIMessage("ok", usage_metadata=usage, response_metadata={"model_name": "gpt-4o"})
handler = TokenCalculatorCallback(CostTracker(sys.argv[1]))

def work():
    model = GenericFakeChatModel(messages=itertools.cycle([answer]))
    while True:
        run = uuid.uuid4()
        os.write(pipe, b"s" + run.bytes)
        model.invoke("hello", config={"callbacks": [handler], "run_id": run})
        os.write(pipe, b"e" + run.bytes)

for _ in range(threads):
    threading.Thread(target=work, daemon=True).start()
threading.Event().wait()
"""

COST_NANOS = 2_500_000  # 1,000 tokens of gpt-4o
_RECORD = 17


def kill_once(where: str, threads: int, seconds: float) -> tuple[set[str], set[str]]:
    """Start a child, kill it so many seconds after its first call; return the ids announced and the ids ended."""
    reading, writing = os.pipe()
    arguments = [sys.executable, "-c", CHILD, where, str(writing), str(threads)]
    child = subprocess.Popen(arguments, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    told = os.read(reading, _RECORD)
    deadline = time.monotonic() + seconds
    os.set_blocking(reading, False)
    while time.monotonic() < deadline:
        told += _available(reading)
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    os.set_blocking(reading, True)
    while more := os.read(reading, 1 << 16):
        told += more
    os.close(reading)
    records = [told[start : start + _RECORD] for start in range(0, len(told) - len(told) % _RECORD, _RECORD)]
    ids = {kind: {str(uuid.UUID(bytes=each[1:])) for each in records if each[:1] == kind} for kind in (b"s", b"e")}
    return ids[b"s"], ids[b"e"]


def _available(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b""


def run(kills: int, threads: int, seed: int, *, events: int = 1_000_000, storage: str = "sqlite") -> dict[str, Any]:
    """Kill so many children, or fewer that ended so many calls, all recording into one store; look at what is there."""
    chance = random.Random(seed)
    announced: set[str] = set()
    ended: set[str] = set()
    killed = lost = wrong = 0
    with tempfile.TemporaryDirectory() as name, _own_data(Path(name)) as folder, ExitStack() as stack:
        where = str(folder / "kill.db")
        if storage == "postgresql":
            where = stack.enter_context(running()).new_database()
        while killed < kills and len(ended) < events:
            begun, done = kill_once(where, threads, chance.uniform(0.0, 0.5))
            killed += 1
            announced |= begun
            ended |= done
            with closing(_open(where)) as store:
                found = {event.event_id for event in store.query_events({"event_id": sorted(done)[:500]})}
            lost += sum(each not in found for each in sorted(done)[:500])
        with closing(_open(where)) as store:
            recorded = store.query_events()
            totals = store.totals()[()]
            left = [each for each in folder.rglob("*.spool") if each.is_file()]
    by_id = {event.event_id: event for event in recorded}
    lost += sum(each not in by_id for each in ended)
    wrong += len(recorded) - len(by_id)
    wrong += sum(by_id[each].cost_nanos != COST_NANOS or by_id[each].status != "ok" for each in ended if each in by_id)
    wrong += sum(event.status not in ("ok", "abandoned") or event.event_id not in announced for event in recorded)
    abandoned = sum(event.status == "abandoned" for event in recorded)
    wrong += totals.cost_nanos != COST_NANOS * (len(recorded) - abandoned) or totals.calls != len(recorded)
    return {
        "storage": storage,
        "kills": killed,
        "calls_ended": len(ended),
        "calls_lost": lost,
        "calls_wrong_or_twice": wrong,
        "abandoned": abandoned,
        "spool_files_left": len(left),
    }


def _open(where: str) -> SqlStore:
    store = create_storage(where)
    assert isinstance(store, SqlStore)
    return store


@contextmanager
def _own_data(folder: Path) -> Iterator[Path]:
    """Have what waits for a server lie in a folder, for a block; give it."""
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ["XDG_DATA_HOME"]
        else:
            os.environ["XDG_DATA_HOME"] = before


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the line for the table of all figures."""
    into = "" if result["storage"] == "sqlite" else ", PostgreSQL"
    return [Figure(f"finished calls lost over {result['kills']} kills{into}", "0", f"{result['calls_lost']}")]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--events", type=int, default=1_000_000, help="no more kills once so many calls have ended")
    parser.add_argument("--threads", type=int, default=3)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument(
        "--storage", choices=("sqlite", "postgresql"), default="sqlite", help="a memory store goes with its process"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = run(options.kills, options.threads, options.seed, events=options.events, storage=options.storage)
    show({"benchmark": "kill", **result}, [result], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
