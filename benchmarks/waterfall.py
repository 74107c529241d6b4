"""How long a waterfall takes: where the input tokens of one agent's calls come from.

Conversations of 18 calls that call a tool each, so that a prompt has 3 to 37 parts, 20 on average; half of the calls
are billed for a few per cent more than was counted, a third of the input was read from a cache, and each fourth call is
another agent's. That the answer is right to the token is for the tests to say.

    python -m benchmarks.waterfall [--calls 1000,10000,100000] [--rounds N] [--json]
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, median, show, timed
from tc_core import SQLiteStorage, TrackingEvent
from tc_core.ledger.canonical import ANSWER, SCHEMAS, SYSTEM, TEXT, TOOL_RESULT, USER, what
from tc_core.ledger.tree import PER_REQUEST, PER_SEGMENT
from tc_core.ledger.waterfall import waterfall
from tc_core.model.event import from_us
from tc_core.store.sql import SqlStore

AIMS_S = {1_000: 0.1, 100_000: 1.0}
TURNS = 18
START_US = 1_767_225_600_000_000
AGENT = "support"

Row = tuple[int | None, ...]


def events(calls: int) -> Iterator[TrackingEvent]:
    """Yield calls of conversations, each behind the tool that it has asked for."""
    chance = random.Random(7)
    for number in range(calls):
        session, turn = divmod(number, TURNS)
        at, agent = START_US + number * 50_000_000, AGENT if session % 4 else "other"
        named: dict[str, Any] = {"agent_id": agent, "session_id": f"session-{session}"}
        tool = TrackingEvent(event_type="tool", name=f"tool-{turn % 3}", timestamp=from_us(at - 1_000_000), **named)
        counted = PER_REQUEST + sum(weights(turn))
        billed = round(counted * chance.choice((1, 1.03)))
        cached, cost = counted // 3, None
        if number % 50:
            cost = (billed - cached) * 2_500 + cached * 1_250 + 90 * 10_000
        call = TrackingEvent(
            model="gpt-4o",
            input_tokens=billed,
            output_tokens=90,
            cached_tokens=cached,
            timestamp=from_us(at),
            cost_nanos=cost,
            **named,
        )
        yield from (tool, call)


def weights(turn: int) -> list[int]:
    """Return what the parts of a prompt weigh: schemas, instructions, a question, and two for each turn before."""
    return [PER_SEGMENT + each for each in (350, 220, 40, *((25, 180) * turn))]


def fill(store: SqlStore, calls: int) -> None:
    """Write calls, and what the ledger would know of them; hashes are made up."""
    made = list(events(calls))
    for start in range(0, len(made), 20_000):
        store.save_events(made[start : start + 20_000])
    chance = random.Random(11)
    with store.question() as connection:
        found = connection.exec_driver_sql('SELECT "key", model IS NULL FROM event ORDER BY at').all()
    tools, keys = ([key for key, is_tool in found if bool(is_tool) == wanted] for wanted in (True, False))
    front = [(chance.getrandbits(63), SCHEMAS), (chance.getrandbits(63), what(SYSTEM, TEXT))]
    rows: dict[str, tuple[Sequence[str], list[Row]]] = {
        "segment": (("id", "tail", "tokens"), []),
        "node": (("id", "parent", "segment", "what", "depth", "prefix"), []),
        "prompt": (("event", "node", "out_node"), []),
        "produced": (("segment", "event"), []),
    }
    for first in range(0, calls, TURNS):
        path: list[tuple[int, int]] = []
        parts = [*front, (chance.getrandbits(63), what(USER, TEXT))]
        for turn in range(min(TURNS, calls - first)):
            for segment, place in parts:
                weight = weights(turn)[len(path)]
                parent, prefix = path[-1] if path else (None, PER_REQUEST)
                is_shared = len(path) < len(front)
                node = front[len(path)][0] ^ 1 if is_shared else chance.getrandbits(63)
                path.append((node, prefix + weight))
                if not is_shared or first == 0:
                    rows["node"][1].append((node, parent, segment, place, len(path), prefix + weight))
                    rows["segment"][1].append((segment, 0, weight - PER_SEGMENT))
            answer, result = chance.getrandbits(63), chance.getrandbits(63)
            rows["prompt"][1].append((keys[first + turn], path[-1][0], None))
            next_tool = tools[min(first + turn + 1, calls - 1)]
            rows["produced"][1].extend([(answer, keys[first + turn]), (result, next_tool)])
            parts = [(answer, ANSWER), (result, TOOL_RESULT)]
    for name, (columns, values) in rows.items():
        values.sort(key=lambda row: row[0] or 0)
        for start in range(0, len(values), 50_000):
            with store.database.writing() as connection:
                store.database.insert_missing(connection, name, columns, values[start : start + 50_000])


def run(sizes: Sequence[int], rounds: int, folder: Path) -> dict[str, Any]:
    """Fill a store of each size and ask it."""
    rows = []
    for size in sizes:
        with SQLiteStorage(folder / f"{size}.db") as store:
            fill(store, size * 4 // 3)
            took = [timed(lambda: waterfall(store, {"agent_id": AGENT})) for _ in range(rounds)]
            found = waterfall(store, {"agent_id": AGENT})
        rows.append(
            {
                "calls": found.calls,
                "aim_s": AIMS_S.get(size),
                "s": median([each.wall_s for each in took]),
                "cpu_s": min(each.cpu_s for each in took),
                "us_a_call": 1e6 * min(each.cpu_s for each in took) / found.calls,
                "tokens": found.total_tokens,
            }
        )
    return {"benchmark": "waterfall", "rows": rows}


def figures(result: Mapping[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    return [
        Figure(
            f"waterfall of {row['calls']:,} calls",
            "" if row["aim_s"] is None else f"{row['aim_s']:g} s",
            f"{row['s']:.2f} s, of it {row['cpu_s']:.2f} of a processor",
        )
        for row in result["rows"]
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", default="1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.calls.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        result = run(sizes, options.rounds, Path(folder))
    show(result, result["rows"], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
