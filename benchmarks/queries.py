"""How long questions take in a large store.

Each question is asked of our store, of a naive table with the same events (all text, an index for each question), and
once more of bare sqlite3 with the very statements that our store sends: that is the limit. Before they are timed, the
answers of both tables are compared. Median of interleaved rounds. `first_ms` is processor time of the question that
reads the columns which the next ones find in memory.

    python -m benchmarks.queries [--events N] [--rounds N] [--storage sqlite|postgresql|memory] [--json]
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from benchmarks.baselines import naive_copy
from benchmarks.common import Figure, median, show, spread
from benchmarks.questions import Known, Question, questions
from benchmarks.stores import KINDS, fill, opened
from benchmarks.traffic import Traffic
from tc_core.store.read.columns.keeper import ROWS_FIRST
from tc_core.store.sql import SqlStore

AIMS = {"roll-up": 5.0, "report": 5.0, "scan": 700.0, "columns": 60.0}
LINEAGE_AIMS = {10: 1.0, 100: 2.0, 1000: 10.0}
ROUND_SECONDS = 0.2
MOST_REPEATS = 30


def run(events: int, rounds: int, storage: str, folder: Path, *, with_naive: bool) -> dict[str, Any]:
    """Fill a store and ask it."""
    with opened(storage, folder) as store:
        seconds = sum(fill(store, Traffic(events).calls(), events, folder / "spool"))
        asked = questions(store, Known(store))
        naive = naive_copy(store.path, folder / "naive.db") if with_naive and store.path is not None else None
        bare = sqlite3.connect(f"{store.path.as_uri()}?mode=ro", uri=True) if store.path is not None else None
        rows = [_measure(each, store, naive, bare, rounds) for each in asked]
        for connection in (naive, bare):
            if connection is not None:
                connection.close()
    return {
        "benchmark": "queries",
        "storage": storage,
        "events": events,
        "filled_per_s": events / seconds,
        "rows": rows,
    }


def _measure(
    question: Question, store: SqlStore, naive: sqlite3.Connection | None, bare: sqlite3.Connection | None, rounds: int
) -> dict[str, Any]:
    ways: dict[str, Callable[[], Any]] = {"ours": question.ask}
    first_ms = None
    if naive is not None and question.naive is not None:
        statement, parameters = question.naive
        ways["naive"] = lambda: naive.execute(statement, parameters).fetchall()
        if question.is_compared:
            _compare(question.name, question.ask(), ways["naive"]())
    if question.kind == "columns":  # which are read once, so that no statements are the limit
        for _ in range(int(ROWS_FIRST)):
            question.ask()
        began = time.process_time_ns()
        question.ask()
        first_ms = (time.process_time_ns() - began) / 1e6
    elif bare is not None:
        with _statements(store) as sent:
            question.ask()
        ways["limit"] = lambda: [bare.execute(*each).fetchall() for each in sent]
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, way in [*ways.items(), ("again", question.ask)]:
            times.setdefault(name, []).append(_milliseconds(way))
    middle = {name: median(each) for name, each in times.items()}
    return {
        "question": question.name,
        "kind": question.kind,
        "ms": middle["ours"],
        "min..max": spread(times["ours"]),
        "first_ms": first_ms,
        "self_ratio": middle["again"] / middle["ours"],
        "naive_ms": middle.get("naive"),
        "to_naive": middle["naive"] / middle["ours"] if "naive" in middle else None,
        "limit_ms": middle.get("limit"),
        "of_limit": middle["limit"] / middle["ours"] if "limit" in middle else None,
    }


def _milliseconds(way: Callable[[], Any]) -> float:
    """Return what one run takes; quick ones are run several times."""
    took: list[float] = []
    deadline = time.perf_counter() + ROUND_SECONDS
    while not took or (len(took) < MOST_REPEATS and time.perf_counter() < deadline):
        began = time.perf_counter_ns()
        way()
        took.append((time.perf_counter_ns() - began) / 1e6)
    return median(took)


@contextmanager
def _statements(store: SqlStore) -> Iterator[list[tuple[str, Any]]]:
    """Collect what the store sends to SQLite."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            sent.append((statement, parameters))

    engine = store._database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _compare(name: str, ours: dict[Any, Any], naive: list[tuple[Any, ...]]) -> None:
    """Raise when the two tables answer differently."""
    got = {
        key: (totals.calls, totals.known_cost_nanos or 0)
        for key, totals in ours.items()
        if totals.calls or totals.cost_nanos
    }
    expected = {tuple(row[:-2]): (row[-2], round((row[-1] or 0) * 1e9)) for row in naive if row[-2] or row[-1]}
    got = {tuple(str(part)[:13] if "T" in str(part) else part for part in key): value for key, value in got.items()}
    if got.keys() != expected.keys() or any(
        got[key][0] != expected[key][0] or abs(got[key][1] - expected[key][1]) > 1000 for key in got
    ):
        raise AssertionError(f"{name}: {got} is not {expected}")


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    found = []
    for row in result["rows"]:
        aim = AIMS.get(row["kind"])
        if row["kind"] == "lineage":
            aim = LINEAGE_AIMS.get(int(row["question"].split()[2].strip(",")))
        found.append(
            Figure(
                f"{row['question']}, {result['events']:,} events",
                "" if aim is None else f"{aim:g} ms",
                f"{row['ms']:.2f} ms",
                row["to_naive"],
                row["of_limit"],
            )
        )
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--storage", choices=KINDS, default="sqlite")
    parser.add_argument("--without-naive", action="store_true", help="it takes 1 GB for a million events")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(
            options.events, options.rounds, options.storage, Path(folder), with_naive=not options.without_naive
        )
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
