"""What recording adds to a call of LangChain, and of CrewAI and LlamaIndex (see benchmarks/frameworks.py).

A whole call of a chat model in process (GenericFakeChatModel, so there is nothing but LangChain itself) with our
handler, divided by the same call with a handler of LangChain's that does nothing, in interleaved blocks of one process.
Beside it: the time inside our own hooks on the caller's thread, with the spool on, at full speed and at 200 calls a
second.

    python -m benchmarks.overhead [--framework langchain|crewai|llamaindex|all] [--blocks N] [--calls N]
        [--messages 1,30,1000] [--json]
"""

import argparse
import gc
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("LANGSMITH_TRACING", "false")

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from benchmarks import frameworks
from benchmarks.common import Figure, median, percentile, show
from tc_core import CostTracker, SQLiteStorage
from tc_langchain import TokenCalculatorCallback

PACE_SECONDS = 0.005
AIMS = {1: 1.15, 30: 1.15, 1000: None}


class Idle(BaseCallbackHandler):
    """LangChain's own handler, in the thread of the call; it inherits doing nothing."""

    run_inline = True


class IdleChat(Idle):
    """The same, and it also takes chat messages as they are: without that LangChain turns them into text first."""

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        pass


class Timed(TokenCalculatorCallback):
    """Ours, with a clock around its hooks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nanos: list[int] = []
        self._start_nanos = 0

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        began = time.perf_counter_ns()
        super().on_chat_model_start(*args, **kwargs)
        self._start_nanos = time.perf_counter_ns() - began

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        began = time.perf_counter_ns()
        super().on_llm_end(*args, **kwargs)
        self.nanos.append(self._start_nanos + time.perf_counter_ns() - began)


def measure(messages: int, blocks: int, calls: int, folder: Path) -> dict[str, Any]:
    """Measure prompts of so many messages."""
    usage = {"input_tokens": 10 * messages, "output_tokens": 2, "total_tokens": 10 * messages + 2}
    details = {"input_token_details": {"cache_read": 4}, "output_token_details": {"reasoning": 1}}
    answer = AIMessage(
        "hello there", usage_metadata={**usage, **details}, response_metadata={"model_name": "gpt-4o-2024-08-06"}
    )
    model = GenericFakeChatModel(messages=itertools.cycle([answer]))
    prompt: list[BaseMessage] = [HumanMessage("word " * 20) for _ in range(messages)]
    tracker = CostTracker(SQLiteStorage(folder / f"{messages}.db"))
    timed = Timed(tracker, agent_id="agent", environment="benchmark")
    handlers: dict[str, BaseCallbackHandler] = {
        "idle": Idle(),
        "idle_chat": IdleChat(),
        "ours": TokenCalculatorCallback(tracker, agent_id="agent", environment="benchmark"),
        "timed": timed,
        "idle_again": Idle(),
    }
    found: list[dict[str, float]] = []
    for block in range(blocks + 1):
        gc.collect()
        times = {name: _calls(partial(_invoke, model, prompt, each), calls) for name, each in handlers.items()}
        if block:  # the first warms up
            found.append(
                {name: median(each) for name, each in times.items()}
                | {f"{n}_mean": sum(e) / len(e) for n, e in times.items()}
            )
        else:
            timed.nanos.clear()
    busy, timed.nanos = timed.nanos, []
    _calls(partial(_invoke, model, prompt, timed), max(200, calls), pace=PACE_SECONDS)
    tracker.storage.close()
    ratios = [each["ours"] / each["idle"] for each in found]
    return {
        "messages": messages,
        "aim": AIMS.get(messages),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "ratio_of_means": median([each["ours_mean"] / each["idle_mean"] for each in found]),
        "ratio_to_idle_chat": median([each["ours"] / each["idle_chat"] for each in found]),
        "ratio_of_idle_to_itself": median([each["idle_again"] / each["idle"] for each in found]),
        "idle_us": median([each["idle"] for each in found]) / 1000,
        "ours_us": median([each["ours"] for each in found]) / 1000,
        "own_p50_us": percentile(timed.nanos, 0.5) / 1000,
        "own_p99_us": percentile(timed.nanos, 0.99) / 1000,
        "own_busy_p50_us": percentile(busy, 0.5) / 1000,
        "own_busy_p99_us": percentile(busy, 0.99) / 1000,
    }


def _invoke(model: GenericFakeChatModel, prompt: list[BaseMessage], handler: BaseCallbackHandler) -> object:
    return model.invoke(prompt, config={"callbacks": [handler]})


def _calls(call: Callable[[], object], count: int, pace: float = 0.0) -> list[int]:
    times = []
    for _ in range(count):
        if pace:
            time.sleep(pace)
        began = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - began)
    return times


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    found = [
        Figure(
            f"a LangChain call with {row['messages']:,} messages / with an idle handler",
            "" if row["aim"] is None else f"{row['aim']}x",
            f"{row['ratio']:.2f}x",
        )
        for row in result["rows"]
    ]
    first = result["rows"][0]
    own = f"{first['own_busy_p50_us']:.0f} / {first['own_busy_p99_us']:.0f} us"
    return [*found, Figure("own time on the caller's thread, p50 / p99", "15 / 80 us", own)]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300, help="calls a block, of each kind")
    parser.add_argument("--messages", default="1,30,1000")
    parser.add_argument("--framework", choices=("langchain", "crewai", "llamaindex", "all"), default="langchain")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    chosen = ("langchain", "crewai", "llamaindex") if options.framework == "all" else (options.framework,)
    result: dict[str, Any] = {"benchmark": "overhead", "rows": [], "others": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "langchain" in chosen:
            result["rows"] = [
                measure(int(n), options.blocks, options.calls, folder) for n in options.messages.split(",")
            ]
        for framework in chosen:
            if framework != "langchain":
                result["others"].append(getattr(frameworks, framework)(options.blocks, options.calls, folder))
    if options.json:
        show(result, [], as_json=True)
    for rows in (result["rows"], result["others"]):
        if rows and not options.json:
            show(result, rows, as_json=False)
    return result


if __name__ == "__main__":
    main()
