"""One way of recording LangChain calls, ours or a peer's, in a process of its own (see benchmarks/peers.py).

    python -m benchmarks.peer_ways WAY SINK FOLDER            # blocks as they are asked for, a line of JSON each
    python -m benchmarks.peer_ways WAY SINK FOLDER --calls N [--conversation] --end normal|at_once

Each is set up as its own documentation says for a program, with its defaults: no sampling, texts as they come.
"""

import argparse
import gc
import importlib
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("LANGSMITH_TRACING", "false")

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from benchmarks.common import median

LONGEST = 30
"""How many messages a conversation has when the next begins."""


WORDS = (Path(__file__).parent.parent / "README.md").read_text().split()
"""What prompts are made of: text that can be compressed as much as people's."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A way that is set up: the handlers to give to a call, and how what waits is brought out."""

    handlers: list[Any]
    settle: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Way:
    """What is measured: its distributions, what a program imports, and how it is set up for a sink and a folder."""

    distributions: tuple[str, ...]
    imports: tuple[str, ...]
    set_up: Callable[[str, Path], Recording]


class IdleChat(BaseCallbackHandler):
    """Takes chat messages as they are and does nothing."""

    run_inline = True

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        pass


def _idle(_sink: str, _folder: Path) -> Recording:
    return Recording([IdleChat()])


def _ours(_sink: str, folder: Path) -> Recording:
    from tc_core import CostTracker, SQLiteStorage
    from tc_langchain import TokenCalculatorCallback

    store = SQLiteStorage(folder / "ours.db")
    return Recording([TokenCalculatorCallback(CostTracker(store), agent_id="agent")], settle=store.flush)


def _langfuse(sink: str, _folder: Path) -> Recording:
    client = importlib.import_module("langfuse").Langfuse(public_key="pk-none", secret_key="sk-none", base_url=sink)
    handler = importlib.import_module("langfuse.langchain").CallbackHandler()
    return Recording([handler], settle=client.flush)


def _instrumentor(module: str, name: str) -> Callable[[str, Path], Recording]:
    def set_up(sink: str, _folder: Path) -> Recording:
        exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        provider = importlib.import_module("opentelemetry.sdk.trace").TracerProvider()
        provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter(endpoint=f"{sink}/v1/traces")))
        instrumentor = getattr(importlib.import_module(module), name)()
        instrumentor.instrument(tracer_provider=provider)
        return Recording([], provider.force_flush)

    return set_up


_OTEL = ("opentelemetry.sdk.trace.export", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_OPENINFERENCE = "openinference.instrumentation.langchain"
_OPENTELEMETRY = "opentelemetry.instrumentation.langchain"

WAYS = {
    "idle": Way(("langchain-core",), ("langchain_core.language_models",), _idle),
    "idle_again": Way(("langchain-core",), ("langchain_core.language_models",), _idle),
    "ours": Way(("token-calculator-suite",), ("tc_core", "tc_langchain"), _ours),
    "langfuse": Way(("langfuse",), ("langfuse", "langfuse.langchain"), _langfuse),
    "openinference": Way(
        ("openinference-instrumentation-langchain", "opentelemetry-sdk"),
        (*_OTEL, _OPENINFERENCE),
        _instrumentor(_OPENINFERENCE, "LangChainInstrumentor"),
    ),
    "opentelemetry": Way(
        ("opentelemetry-instrumentation-langchain", "opentelemetry-sdk"),
        (*_OTEL, _OPENTELEMETRY),
        _instrumentor(_OPENTELEMETRY, "LangchainInstrumentor"),
    ),
}


class Model(GenericFakeChatModel):
    """Answers at once; it names its model where LangChain's own models do."""

    model_name: str = "gpt-4o"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}


class Calls:
    """Calls of a model that states its usage."""

    def __init__(self) -> None:
        usage = {"input_tokens": 1000, "output_tokens": 2, "total_tokens": 1002}
        details = {"input_token_details": {"cache_read": 800}, "output_token_details": {"reasoning": 1}}
        answer = AIMessage(
            "hello there",
            usage_metadata={**usage, **details},
            response_metadata={"model_name": "gpt-4o-2024-08-06"},
        )
        self._model = Model(messages=itertools.cycle([answer]))

    def one(self, prompt: list[BaseMessage], handlers: list[Any]) -> int:
        """Call once; return the nanoseconds it took."""
        began = time.perf_counter_ns()
        self._model.invoke(prompt, config={"callbacks": handlers})
        return time.perf_counter_ns() - began


def prompt_of(messages: int, conversation: int = 0) -> list[BaseMessage]:
    """Write a prompt of so many messages of 16 words, other ones in each conversation."""
    chance = random.Random(conversation)
    return [HumanMessage(" ".join(chance.choices(WORDS, k=16))) for _ in range(messages)]


def block(calls: Calls, recording: Recording, messages: int, count: int) -> dict[str, float]:
    """Call so often; return microseconds a call: what the caller waits, and processor time of all threads."""
    prompt = prompt_of(messages)
    gc.collect()
    cpu = time.process_time()
    waited = [calls.one(prompt, recording.handlers) for _ in range(count)]
    recording.settle()
    return {"waited_us": median(waited) / 1000, "cpu_us": (time.process_time() - cpu) / count * 1e6}


def _answer_requests(calls: Calls, recording: Recording, answers: Any) -> None:
    for line in sys.stdin:
        print(json.dumps(block(calls, recording, **json.loads(line))), file=answers, flush=True)


def main() -> None:
    """Set one way up, and call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("sink")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--conversation", action="store_true", help="each prompt is the one before and a message more")
    parser.add_argument("--end", choices=("normal", "at_once"), default="normal")
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    recording, calls = WAYS[options.way].set_up(options.sink, options.folder), Calls()
    if not options.calls:
        _answer_requests(calls, recording, answers)
        return
    for call in range(options.calls):
        conversation, place = divmod(call, LONGEST if options.conversation else 1)
        calls.one(prompt_of(place + 1, conversation), recording.handlers)
    if options.end == "at_once":
        os._exit(0)


if __name__ == "__main__":
    main()
