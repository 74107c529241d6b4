"""What alert rules cost a call, also while the receiver is dead; and how long an alert is on its way.

Calls are recorded by hand, one after the other, in rounds in which each case has its turn. A dead receiver takes the
connection and never answers. The way of an alert is from the record to a receiver on this machine.

python -m benchmarks.alerts [--calls N] [--rounds N] [--json]
"""

import argparse
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, percentile, show
from tc_core import AlertManager, AlertRule, CostTracker, SQLiteStorage, TrackingEvent
from tc_core.alerts.kinds.registry import MOST
from tc_core.alerts.notifiers.webhook import Webhook
from tc_core.settings import AlertRule as Said

TYPES = (
    "cost",
    "cost_spike",
    "context",
    "new_model",
    "burn_rate",
    "errors",
    "latency",
    "unpriced",
    "no_data",
    "budget",
)
HIGHEST = {**MOST, "budget": 10.0}
"""The highest thresholds that these types take."""
AIM = "<= 1.05 x"


def _never(event: TrackingEvent) -> bool:
    return (event.cost or 0.0) > 1e6


def _tenth(event: TrackingEvent) -> bool:
    return event.labels["tenth"] == "yes"


def _always(_: TrackingEvent) -> bool:
    return True


def no_rules(_manager: AlertManager, _url: str) -> None:
    """What it is compared with."""


def functions(manager: AlertManager, _url: str) -> None:
    """Ten functions that never fire."""
    for number in range(10):
        manager.add_alert_rule(AlertRule(f"function {number}", _never))


def types(manager: AlertManager, _url: str) -> None:
    """Ten types of the settings, none of which fires."""
    for name in TYPES:
        manager.add_alert_rule(AlertRule.of(Said(name=name, type=name, threshold=HIGHEST.get(name, 1e9))))


def dead_receiver(manager: AlertManager, url: str) -> None:
    """A rule that fires for each tenth call, and a receiver that never answers."""
    manager._live.channels.add("webhook", Webhook(url, allow_private=True))
    manager.add_alert_rule(AlertRule("tenth", _tenth, channels=["webhook"], cooldown=0))


CASES: dict[str, Callable[[AlertManager, str], None]] = {
    "no rules": no_rules,
    "ten functions": functions,
    "ten types": types,
    "a dead receiver": dead_receiver,
}


def record(case: str, calls: int) -> dict[str, float]:
    """Record some calls into a store of their own; return microseconds a call, and how long until all are stored."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as dead,
        SQLiteStorage(Path(folder) / "s.db") as store,
    ):
        CASES[case](AlertManager(store), f"http://127.0.0.1:{dead.getsockname()[1]}/")
        tracker, took = CostTracker(store), []
        tracker.track_call("gpt-4o", 1000, 100, tenth="no")
        store.flush()
        began = time.perf_counter()
        for number in range(calls):
            start = time.perf_counter_ns()
            tracker.track_call("gpt-4o", 1000, 100, tenth="no" if number % 10 else "yes")
            took.append((time.perf_counter_ns() - start) / 1000)
        store.flush()
        return {
            "p50_us": median(took),
            "p99_us": percentile(took, 0.99),
            "calls_s": calls / (time.perf_counter() - began),
        }


def way(alerts: int) -> float:
    """Return how many milliseconds lie between the record of a call and the alert at the receiver, in the middle."""
    came = threading.Semaphore(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.release()
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the class calls it
            pass

    took = []
    with (
        tempfile.TemporaryDirectory() as folder,
        HTTPServer(("127.0.0.1", 0), Handler) as server,
        SQLiteStorage(Path(folder) / "s.db") as store,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        manager = AlertManager(store)
        manager._live.channels.add("webhook", Webhook(f"http://127.0.0.1:{server.server_port}/", allow_private=True))
        manager.add_alert_rule(AlertRule("each", _always, channels=["webhook"], cooldown=0))
        tracker = CostTracker(store)
        for _ in range(alerts + 1):  # the first one imports what is needed
            began = time.perf_counter()
            tracker.track_call("gpt-4o", 1000, 100)
            came.acquire(timeout=60)
            took.append((time.perf_counter() - began) * 1000)
            manager.flush(60)
        server.shutdown()
    return median(took[1:])


def run(calls: int, rounds: int) -> dict[str, Any]:
    """Run all cases in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, of_case in found.items():
            of_case.append(record(name, calls))
    plain = [each["p50_us"] for each in found["no rules"]]
    rows = [
        {
            "case": name,
            **{key: round(median([each[key] for each in of_case]), 1) for key in ("p50_us", "p99_us", "calls_s")},
            "to_none": round(median([each["p50_us"] / bare for each, bare in zip(of_case, plain, strict=True)]), 3),
        }
        for name, of_case in found.items()
    ]
    return {"benchmark": "alerts", "calls": calls, "way_ms": round(way(min(calls, 50)), 1), "rows": rows}


def figures(result: dict[str, Any]) -> Iterator[Figure]:
    """Yield what is aimed at beside what was measured."""
    for row in result["rows"][1:]:
        yield Figure(f"a call recorded with {row['case']}, against none", AIM, f"{row['to_none']:.2f} x")
    yield Figure("an alert from the record to a receiver", "reported", f"{result['way_ms']} ms")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = run(options.calls, options.rounds)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
