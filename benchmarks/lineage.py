"""How long the lineage of a run takes out of a large store, and questions for all that is recorded.

Runs of 10, 100 and 1,000 events as a graph of networkx whose nodes are ids, built anew each time; beside it the same
with every event whole. Then all that is recorded, as arrays: reading it, and questions for all edges. The events are
those of `benchmarks.traffic`, with a relation to an earlier one of its run for each fourth: as many edges as events.

    python -m benchmarks.lineage [--events N] [--rounds N] [--storage sqlite|postgresql] [--json]
"""

import argparse
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, Took, median, show, spread, timed
from benchmarks.questions import Known, lineage
from benchmarks.stores import KINDS, fill, opened
from benchmarks.traffic import Traffic
from tc_core import LineageGraph
from tc_core.model.provenance import RELATIONS
from tc_core.store.schema.tables import SEED_KEYS
from tc_core.store.sql import SqlStore

AIMS_MS = {10: 1.0, 100: 2.0, 1000: 8.0}
WHOLE_AIM_MS = 1000.0
MOST_REPEATS = 30
ROUND_SECONDS = 0.2


def run(events: int, rounds: int, storage: str, folder: Path) -> dict[str, Any]:
    """Fill a store and ask it."""
    with opened(storage, folder) as store:
        for _ in fill(store, Traffic(events).calls(), events, folder / "spool"):
            pass
        relate(store)
        known = Known(store)
        asked: list[tuple[str, Callable[[], object], float | None]] = []
        for size, root in known.roots.items():
            aim = AIMS_MS[min(AIMS_MS, key=lambda each: abs(each - size))]
            asked.append((f"{size:,} events as networkx", partial(as_networkx, store, root), aim))
            asked.append((f"{size:,} events whole, as networkx", partial(lineage, store, root), None))
        middle = known.event_id
        whole = LineageGraph(store)
        whole.roots()
        asked += [
            ("all: read, and the descendants of one", lambda: LineageGraph(store).descendants(middle), WHOLE_AIM_MS),
            ("all: read, and the cycles", lambda: LineageGraph(store).cycles(), WHOLE_AIM_MS),
            ("all: the ancestors of one, once read", lambda: whole.ancestors(middle), WHOLE_AIM_MS),
            ("all: the depth of one, once read", lambda: whole.depth(middle), WHOLE_AIM_MS),
        ]
        rows = [measure(name, ask, aim, rounds) for name, ask, aim in asked]
        tracemalloc.start()
        graph = LineageGraph(store)
        edges = graph._graph().edges
        graph.descendants(middle)
        bytes_held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return {
        "benchmark": "lineage",
        "storage": storage,
        "events": events,
        "edges": edges,
        "bytes": bytes_held,
        "rows": rows,
    }


def relate(store: SqlStore) -> None:
    """Add a relation to an earlier event of the same run for each fourth event."""
    chance = random.Random(11)
    keys = [SEED_KEYS["relation", each] for each in RELATIONS]
    origin = SEED_KEYS["relation_source", "content"]
    runs: dict[int, list[int]] = {}
    with store.database.reading() as connection:
        for key, root in connection.exec_driver_sql('SELECT "key", root FROM event ORDER BY "key"'):
            runs.setdefault(root, []).append(key)
    columns = ("source", "relation", "target", "origin", "confidence")
    rows = [
        (newer, chance.choice(keys), chance.choice(run[:place]), origin, 1.0)
        for run in runs.values()
        for place, newer in enumerate(run)
        if place > 1 and chance.random() < 0.25
    ]
    for start in range(0, len(rows), 50_000):
        with store.database.writing() as connection:
            store.database.insert_missing(connection, "relation", columns, rows[start : start + 50_000])


def as_networkx(store: SqlStore, root: str) -> object:
    """Build the graph of a run."""
    return LineageGraph(store, event_id=root).to_networkx()


def measure(name: str, ask: Callable[[], object], aim_ms: float | None, rounds: int) -> dict[str, Any]:
    """Return the median time of a question, and how long of it a processor worked; quick ones are asked several times.

    Where others use the machine the two differ.
    """
    times, works = [], []
    for _ in range(rounds):
        took: list[Took] = []
        deadline = time.perf_counter() + ROUND_SECONDS
        while not took or (len(took) < MOST_REPEATS and time.perf_counter() < deadline):
            took.append(timed(ask, collect=False))
        times.append(1000 * median([each.wall_s for each in took]))
        works.append(1000 * median([each.cpu_s for each in took]))
    return {"question": name, "aim_ms": aim_ms, "ms": median(times), "min..max": spread(times), "cpu_ms": min(works)}


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"lineage, {row['question']}",
            f"{row['aim_ms']:g} ms",
            f"{row['ms']:.1f} ms, of it {row['cpu_ms']:.1f} of a processor",
        )
        for row in result["rows"]
        if row["aim_ms"] is not None
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--storage", choices=KINDS, default="sqlite")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.events, options.rounds, options.storage, Path(folder))
    if not options.json:
        held = f"{result['bytes'] / 1e6:.0f} MB for all as arrays"
        print(f"{result['events']:,} events, {result['edges']:,} edges, {held}\n")
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
