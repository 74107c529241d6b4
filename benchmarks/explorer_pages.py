"""How long the explorer's server takes to answer its pages from a large store, and how much code it ships.

Every page is asked through the application, as a browser asks it, but for the socket. Median of rounds, warm: the first
answer is not counted.

    python -m benchmarks.explorer_pages [--events N] [--rounds N] [--json]
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from benchmarks.common import Figure, median, show, spread
from benchmarks.stores import fill, opened
from benchmarks.traffic import Traffic
from tc_core.web import static_files
from tc_core.web.app import build

PAGES = {
    "costs": "/api/costs?by=model",
    "costs by agent and model": "/api/costs?by=agent,model",
    "runs": "/api/runs",
    "budgets": "/api/budgets",
    "compare": "/api/compare?before=last-month&after=this-month",
}
MOST_MS, MOST_KB = 300.0, 150.0


def run(events: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Fill a store and ask each page."""
    with opened("sqlite", folder) as store:
        sum(fill(store, Traffic(events).calls(), events, folder / "spool"))
        client = TestClient(build(store, name="store.db"), base_url="http://127.0.0.1")
        rows = [_measured(client, name, address, rounds) for name, address in PAGES.items()]
    files = static_files.read_all().items()
    shipped = sum(len(file.compressed) for name, file in files if not name.endswith("LICENSE"))
    return {"benchmark": "explorer_pages", "events": events, "rows": rows, "shipped_kb": shipped / 1000}


def _measured(client: TestClient, name: str, address: str, rounds: int) -> dict[str, Any]:
    took = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = client.get(address)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise AssertionError(f"{address}: {answer.text}")
    return {"page": name, "ms": median(took[1:]), "min..max": spread(took[1:]), "first_ms": took[0]}


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    found = [
        Figure(f"page {row['page']}, {result['events']:,} events", f"{MOST_MS:g} ms", f"{row['ms']:.0f} ms")
        for row in result["rows"]
    ]
    return [*found, Figure("code of the explorer, compressed", f"{MOST_KB:g} KB", f"{result['shipped_kb']:.0f} KB")]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(given.events, given.rounds, Path(folder))
    show(result, result["rows"], as_json=given.json)


if __name__ == "__main__":
    main()
