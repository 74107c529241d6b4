"""What recording a LangChain call costs with us, and with others, side by side.

Ours, Langfuse, OpenInference and OpenTelemetry's instrumentation (OpenLLMetry) record the same calls of a chat model
without network; theirs send to a server on this machine that swallows everything at once, ours writes its file. Each
has a process of its own, as has an idle handler that takes chat messages, and they take turns, block by block: what a
way adds is its block less that of the idle handler in the same turn; a second idle one tells the noise. Beside it:
calls lost when the process ends at once (`os._exit`) after the last of them, bytes a call on the wire or on disk, and
the processor time of all threads, for each call and for a program until it has imported
a way, or recorded its first call. What is not installed is left out; `make bench-peers` installs it.

    python -m benchmarks.peers [--ways ours,langfuse,...] [--blocks N] [--calls N] [--messages 1,30] [--json]
"""

import argparse
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show, spread
from benchmarks.peer_ways import WAYS
from benchmarks.sink import Sink

LOSS_CALLS = 50
PROGRAM = ["-m", "benchmarks.peer_ways"]


def installed(names: Sequence[str]) -> list[str]:
    """Return those of the ways whose libraries are there."""
    return [name for name in names if all(map(_version, WAYS[name].distributions))]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def added(ways: Sequence[str], messages: Sequence[int], blocks: int, calls: int, folder: Path) -> list[dict[str, Any]]:
    """Measure, in turns, what each way adds to a call: microseconds waited, and of processor time on all threads."""
    everyone = ["idle", "idle_again", *ways]
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    with Sink() as sink, ExitStack() as stack:
        workers = {way: stack.enter_context(_worker(way, sink.url, folder)) for way in everyone}
        for turn in range(blocks + 1):
            for count in messages:
                for way in everyone if turn % 2 else reversed(everyone):
                    answer = _ask(workers[way], {"messages": count, "count": calls})
                    if turn:  # the first warms up
                        found.setdefault((way, count), []).append(answer)
    return [_row(way, count, found[way, count], found["idle", count]) for way in everyone[1:] for count in messages]


def _row(way: str, messages: int, blocks: list[dict[str, float]], idle: list[dict[str, float]]) -> dict[str, Any]:
    both = list(zip(blocks, idle, strict=True))
    waited = [mine["waited_us"] - bare["waited_us"] for mine, bare in both]
    return {
        "way": way,
        "messages": messages,
        "added_us": median(waited),
        "smallest..largest": spread(waited),
        "ratio": median([mine["waited_us"] / bare["waited_us"] for mine, bare in both]),
        "added_cpu_us": median([mine["cpu_us"] - bare["cpu_us"] for mine, bare in both]),
        "idle_us": median([bare["waited_us"] for bare in idle]),
    }


@contextmanager
def _worker(way: str, sink: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    own = folder / f"{way}-blocks"
    own.mkdir()
    command = [sys.executable, *PROGRAM, way, sink, str(own)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        finally:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait(timeout=60)


def _ask(worker: "subprocess.Popen[str]", request: dict[str, Any]) -> dict[str, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(request) + "\n")
    worker.stdin.flush()
    if not (line := worker.stdout.readline()):
        raise RuntimeError(f"{' '.join(map(str, worker.args))} ended; what it printed above says why")  # type: ignore[arg-type]
    answer: dict[str, float] = json.loads(line)
    return answer


def lost(way: str, end: str, folder: Path) -> int:
    """Make calls and end; return how many of them were not recorded."""
    with Sink() as sink:
        own = _run(way, sink.url, folder / f"{way}-{end}", "--calls", str(LOSS_CALLS), "--end", end)
        return LOSS_CALLS - (_recorded(own) if way == "ours" else sink.spans)


def _recorded(folder: Path) -> int:
    from tc_core import SQLiteStorage

    with SQLiteStorage(folder / "ours.db") as store:
        return store.totals()[()].calls


def bytes_a_call(way: str, calls: int, folder: Path, *, conversation: bool) -> float:
    """Weigh what is sent or written for so many calls, less what it is for a third of them; for one call."""
    weighed = []
    for count in (calls, calls * 3):
        with Sink() as sink:
            name = f"{way}-{count}-{'conversation' if conversation else 'one'}"
            own = _run(
                way, sink.url, folder / name, "--calls", str(count), *(["--conversation"] if conversation else [])
            )
            on_disk = sum(file.stat().st_size for file in own.rglob("*") if file.is_file())
            weighed.append(sink.bytes + on_disk)
    return (weighed[1] - weighed[0]) / (calls * 2)


def _run(way: str, sink: str, folder: Path, *arguments: str) -> Path:
    folder.mkdir()
    _python(*PROGRAM, way, sink, str(folder), *arguments)
    return folder


def _python(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, env=environment, stderr=subprocess.DEVNULL)


def starts(ways: Sequence[str], rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Measure, in turns, a program that imports a way, and one that records a call, above those with an idle handler.

    Milliseconds of processor time, the least of all rounds: the clock on the wall would tell how busy the machine is.
    """
    times: dict[tuple[str, str], list[float]] = {}
    with Sink() as sink:
        for turn in range(rounds):
            for way in ("idle", *ways):
                imports = "; ".join(f"import {module}" for module in ("benchmarks.peer_ways", *WAYS[way].imports))
                own = folder / f"{way}-start-{turn}"
                took = {
                    "import": _cpu_ms(partial(_python, "-c", imports)),
                    "first_call": _cpu_ms(partial(_run, way, sink.url, own, "--calls", "1", "--end", "at_once")),
                }
                for what, each in took.items():
                    times.setdefault((way, what), []).append(each)
    return {
        way: {f"{what}_ms": min(times[way, what]) - min(times["idle", what]) for what in ("import", "first_call")}
        for way in ways
    }


def _cpu_ms(work: Callable[[], object]) -> float:
    """Run a program; return the milliseconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the ways that are installed."""
    asked = options.ways.split(",")
    ways = installed(asked)
    messages = [int(each) for each in options.messages.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = added(ways, messages, options.blocks, options.calls, folder)
        begun = starts(ways, options.rounds, folder)
        others = [
            {
                "way": way,
                "lost_at_once": lost(way, "at_once", folder),
                "lost_normal": lost(way, "normal", folder),
                "bytes_one": bytes_a_call(way, options.weighed, folder, conversation=False),
                "bytes_conversation": bytes_a_call(way, options.weighed, folder, conversation=True),
                **begun[way],
            }
            for way in ways
        ]
    versions = {each: _version(each) for way in ("idle", *ways) for each in WAYS[way].distributions}
    missing = [each for each in asked if each not in ways]
    return {"benchmark": "peers", "rows": rows, "others": others, "versions": versions, "not_installed": missing}


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"{row['way']} adds to a LangChain call, {row['messages']} messages",
            "25 us" if row["way"] == "ours" else "",
            f"{row['added_us']:.0f} us",
        )
        for row in result["rows"]
        if row["way"] != "idle_again"
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", default=",".join(name for name in WAYS if not name.startswith("idle")))
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200, help="calls a block, of each kind")
    parser.add_argument("--messages", default="1,30")
    parser.add_argument("--weighed", type=int, default=600, help="calls whose bytes are weighed, and three times those")
    parser.add_argument("--rounds", type=int, default=7, help="starts of each program")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = run(options)
    show(result, result["rows"], as_json=options.json)
    if not options.json:
        print()
        show(result, result["others"], as_json=False)
        print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
        if result["not_installed"]:
            print(f"not installed, so left out: {', '.join(result['not_installed'])}")
    return result


if __name__ == "__main__":
    main()
