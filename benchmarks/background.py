"""What recording takes in the background of a process that makes ten calls a second, thread by thread, and at rest.

An agent of LangChain whose conversation grows from a question to 30 messages, 20 KB with its system text and four
tools, then the next one begins; between two calls of the model its tool is called, and after each it waits, as for a
provider. Each case has a process of its own and they take turns: nothing recorded, recording alone, with the ledger,
with health, and with budgets and alerts as well. Beside processor time it counts how often threads of ours wake up
(voluntary context switches, where the system tells them), also in a process that has made a call and makes no more.

    python -m benchmarks.background [--seconds N] [--rate N] [--rounds N] [--json]
"""

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("LANGSMITH_TRACING", "false")

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import StructuredTool

from benchmarks.common import Figure, median, show

WORDS = (Path(__file__).parent.parent / "README.md").read_text().split()
LONGEST = 30
"""How many messages a conversation has, about 20 KB of text, when the next begins."""
OURS = "token-calculator-"
AIM = 0.02
"""Of one core, for the ledger and health together."""


OFF = {"TOKEN_CALC_LEDGER": "off", "TOKEN_CALC_HEALTH": "off"}
CASES: dict[str, dict[str, str]] = {
    "no recording": {},
    "recording alone": OFF,
    "with the ledger": {**OFF, "TOKEN_CALC_LEDGER": "on"},
    "ledger and health": {},
    "budgets and alerts": {},
    "at rest": {},
}
"""What is measured, and by which settings; the last one records a call and then rests."""


def words(characters: int, seed: object) -> str:
    """Return text of about so many characters, the same for the same seed."""
    chance, found = random.Random(str(seed)), ""
    while len(found) < characters:
        found += chance.choice(WORDS) + " "
    return found


SYSTEM = words(3000, "system")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": f"look_up_{what}",
            "description": words(400, what),
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string", "description": words(80, what)}},
            },
        },
    }
    for what in ("flights", "hotels", "weather", "orders")
]


class Model(GenericFakeChatModel):
    """Answers at once, and names its model where LangChain's own models do."""

    model_name: str = "gpt-4o"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}


class Agent:
    """Goes on with its conversation by a call of the model and of a tool at each step."""

    def __init__(self, handlers: Sequence[Any]) -> None:
        self._config: Any = {"callbacks": list(handlers)}
        self._number = itertools.count()
        self._model = Model(messages=map(self._answer, itertools.count()))
        self._tool = StructuredTool.from_function(self._look_up, name="look_up_flights", description="Look it up.")
        self._conversation: list[BaseMessage] = []

    def step(self) -> None:
        """Make one call of the model, and one of the tool that it asks for."""
        if not 0 < len(self._conversation) < LONGEST:
            question = words(300, f"question {next(self._number)}")
            self._conversation = [SystemMessage(SYSTEM), HumanMessage(question)]
        answer = self._model.invoke(self._conversation, self._config, tools=TOOLS)
        result = self._tool.invoke(answer.tool_calls[0]["args"], self._config)
        self._conversation += [answer, ToolMessage(result, tool_call_id=answer.tool_calls[0]["id"])]

    @staticmethod
    def _look_up(query: str) -> str:
        return words(750, query)

    @staticmethod
    def _answer(number: int) -> AIMessage:
        usage = {"input_tokens": 4000, "output_tokens": 60, "total_tokens": 4060}
        call = {"name": "look_up_flights", "args": {"query": words(40, number)}, "id": f"call_{number}"}
        named = {"model_name": "gpt-4o-2024-08-06"}
        said = words(200, f"answer {number}")
        return AIMessage(said, tool_calls=[call], usage_metadata=usage, response_metadata=named)


def _handlers(case: str, folder: Path) -> tuple[list[Any], Callable[[], object]]:
    """Return what is given to each call, and what brings out what waits."""
    if case == "no recording":
        return [], lambda: None
    from tc_core import AlertManager, AlertRule, BudgetTracker, CostTracker, SQLiteStorage, flush
    from tc_core.settings import AlertRule as Said
    from tc_langchain import TokenCalculatorCallback

    store = SQLiteStorage(folder / "store.db")
    if case == "budgets and alerts":
        budgets = BudgetTracker(store)
        budgets.set_budget(1000.0, "day", name="all", hard=True)
        budgets.set_budget(1000.0, "month", {"agent_id": "agent"}, name="agent")
        manager = AlertManager(store)
        for kind, threshold in (("cost", 1e6), ("errors", 1.0), ("latency", 1e6), ("burn_rate", 1e6)):
            manager.add_alert_rule(AlertRule.of(Said(name=kind, type=kind, threshold=threshold)))
    return [TokenCalculatorCallback(CostTracker(store), agent_id="agent")], flush


def _threads() -> Counter[str]:
    """Return the microseconds of processor time that each living thread of ours has had so far, by its name."""
    found: Counter[str] = Counter()
    for thread in threading.enumerate():
        if thread.name.startswith(OURS) and thread.ident is not None:
            with suppress(OSError):  # it has just ended
                clock = time.pthread_getcpuclockid(thread.ident)
                found[thread.name.removeprefix(OURS)] += round(time.clock_gettime(clock) * 1e6)
    return found


def _wakes() -> int | None:
    """Return how often threads of this process went to sleep by themselves; None where the system does not tell."""
    found = []
    for path in Path("/proc/self/task").glob("*/status"):
        with suppress(OSError):  # it has just ended
            found += re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", path.read_text(), re.MULTILINE)
    return sum(map(int, found)) if found else None


def work(case: str, seconds: float, rate: float, rest: float, folder: Path) -> dict[str, Any]:
    """Make so many calls a second for so long; return what this process and each thread of ours took."""
    handlers, settle = _handlers(case, folder)
    agent, steps = Agent(handlers), round(seconds * rate)
    for _ in range(LONGEST // 2 + 1):  # what is loaded and made once is no part of it
        agent.step()
    settle()
    if case == "at rest":
        time.sleep(rest)
    wakes, threads, cpu, began = _wakes(), _threads(), time.process_time(), time.perf_counter()
    for number in range(1, steps + 1):
        if case != "at rest":
            agent.step()
        elif number < steps:
            continue
        time.sleep(max(began + number / rate - time.perf_counter(), 0.0))
    settle()
    took = time.perf_counter() - began
    cpu, later = time.process_time() - cpu, _wakes()
    by_thread = _threads()
    by_thread.subtract(threads)
    return {
        "cpu_us": cpu / steps * 1e6,
        "core": cpu / took,
        "wakes_s": None if wakes is None or later is None else (later - wakes) / took,
        "threads": {name: us / steps for name, us in by_thread.items() if us > 0},
    }


def run(seconds: float, rate: float, rest: float, rounds: int) -> dict[str, Any]:
    """Run all cases in turn, each in a process of its own."""
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case, of_case in found.items():
            of_case.append(_elsewhere(case, seconds, rate, rest))
    rows: list[dict[str, Any]] = []
    for case, of_case in found.items():
        names = sorted({name for each in of_case for name in each["threads"]})
        by_thread = {name: round(median([each["threads"].get(name, 0.0) for each in of_case])) for name in names}
        wakes = [each["wakes_s"] for each in of_case if each["wakes_s"] is not None]
        rows.append(
            {
                "case": case,
                "cpu_us": round(median([each["cpu_us"] for each in of_case])),
                "core": round(median([each["core"] for each in of_case]), 5),
                "wakes_s": round(median(wakes), 1) if wakes else None,
                "threads": by_thread,
            }
        )
    return {"benchmark": "background", "seconds": seconds, "rate": rate, "rows": rows}


def _elsewhere(case: str, seconds: float, rate: float, rest: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        how = ["--seconds", str(seconds), "--rate", str(rate), "--rest", str(rest)]
        command = [sys.executable, "-m", "benchmarks.background", "--case", case, "--folder", folder, *how]
        environment = {name: value for name, value in os.environ.items() if name not in OFF}
        printed = subprocess.run(command, check=True, env=environment | CASES[case], stdout=subprocess.PIPE).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def figures(result: dict[str, Any]) -> Iterator[Figure]:
    """Yield what is aimed at beside what was measured."""
    core = {row["case"]: row["core"] for row in result["rows"]}
    added = core["ledger and health"] - core["recording alone"]
    what = f"of a core at {result['rate']:.0f} calls a second"
    yield Figure(f"ledger and health, {what}", f"{AIM:.0%}", f"{added:.1%}")
    yield Figure(f"all of recording, {what}", "reported", f"{core['budgets and alerts'] - core['no recording']:.1%}")
    yield Figure("a process that has recorded and rests, of a core", "reported", f"{core['at rest']:.2%}")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any] | None:
    """Run the benchmark, or one case of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each case is measured")
    parser.add_argument("--rate", type=float, default=10.0, help="calls a second")
    parser.add_argument("--rest", type=float, default=8.0, help="seconds until a process counts as resting")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.case:
        print(json.dumps(work(options.case, options.seconds, options.rate, options.rest, options.folder)))
        return None
    result = run(options.seconds, options.rate, options.rest, options.rounds)
    rows = [
        {**row, "threads": ", ".join(f"{name} {us}" for name, us in row["threads"].items())} for row in result["rows"]
    ]
    show(result, result["rows"] if options.json else rows, as_json=options.json)
    return result


if __name__ == "__main__":
    main()
