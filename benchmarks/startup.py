"""How long `import tc_core` takes, above an interpreter that does nothing.

python -m benchmarks.startup [--rounds N] [--json]
"""

import argparse
import os
import subprocess
import sys
from typing import Any

from benchmarks.common import Figure, median, show, spread, timed

PROGRAMS = {
    "nothing": "pass",
    "import tc_core": "import tc_core",
    "CostTracker": "from tc_core import CostTracker",
    "nothing again": "pass",
}


def run(rounds: int) -> dict[str, Any]:
    """Start interpreters, in turn; compiled modules are kept, as they are where a program is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for round_ in range(rounds + 1):
        for name, program in PROGRAMS.items():
            command = [sys.executable, "-c", program]
            took = timed(lambda command=command: subprocess.run(command, check=True, env=environment), collect=False)  # type: ignore[misc]
            if round_:  # the first compiles
                times[name].append(took.wall_s * 1000)
    above = {
        name: [ours - bare for ours, bare in zip(each, times["nothing"], strict=True)] for name, each in times.items()
    }
    rows = [
        {"program": name, "ms": median(each), "min..max": spread(each), "above_bare_ms": median(above[name])}
        for name, each in times.items()
    ]
    return {"benchmark": "startup", "rows": rows}


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the line for the table of all figures."""
    found = {row["program"]: row for row in result["rows"]}
    return [
        Figure(
            "import tc_core, above a bare interpreter", "40 ms", f"{found['import tc_core']['above_bare_ms']:.0f} ms"
        )
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = run(options.rounds)
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
