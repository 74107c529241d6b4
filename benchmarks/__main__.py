"""All measurements in one table: what was aimed at, what was measured, and that against a baseline and the limit.

`to_baseline` is how many times better than what a first version would do, `of_limit` which share of what the bare
driver does with the same rows; both are of the same run. Each benchmark runs in a process of its own.

    python -m benchmarks [--events N] [--json]
"""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.common import Figure, machine, show

PARTS: tuple[tuple[str, list[str]], ...] = (
    ("overhead", []),
    ("kill", ["--kills", "20"]),
    ("ingest", []),
    ("ingest", ["--storage", "postgresql", "--events", "80000"]),
    ("processes", []),
    ("size", ["--events", "{events}"]),
    ("queries", ["--events", "{events}"]),
    ("reports", ["--events", "{events}"]),
    ("lineage", ["--events", "{events}"]),
    ("waterfall", []),
    ("memory", []),
    ("analysis", ["--events", "{events}"]),
    ("anomalies", []),
    ("forecast", []),
    ("startup", []),
    ("bill", []),
    ("bill_http", []),
    ("provenance", []),
    ("quotations", []),
    ("health", []),
    ("background", []),
    ("cache", []),
    ("patterns", []),
    ("workflows", []),
    ("budgets", []),
    ("policies", []),
    ("cache", []),
    ("patterns", []),
    ("alerts", []),
    ("ab_tests", []),
    ("selection", []),
    ("explorer_pages", ["--events", "{events}"]),
    ("encrypted", []),
    ("explorer", []),
)
"""Which benchmarks, and with which arguments."""


def figures(events: int) -> Iterator[Figure]:
    """Run one benchmark after the other and yield its figures."""
    for name, arguments in PARTS:
        given = [each.format(events=events) for each in arguments]
        print(f"{name} {' '.join(given)} ...", file=sys.stderr)
        command = [sys.executable, "-m", f"benchmarks.{name}", *given, "--json"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        yield from importlib.import_module(f"benchmarks.{name}").figures(json.loads(printed))


def main(arguments: list[str] | None = None) -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="how many the store has that is weighed and asked"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    before = machine()
    rows = [figure.to_dict() for figure in figures(options.events)]
    show(
        {"benchmark": "all", "events": options.events, "machine_before": before, "rows": rows},
        rows,
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
