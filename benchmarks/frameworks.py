"""What recording adds to a call of a CrewAI or a LlamaIndex model.

A whole call of a model in process, with our handlers, divided by the same call with handlers that do nothing, in
interleaved blocks of one process. CrewAI runs handlers in threads of its own: `ratio` is what the caller waits for,
`ratio_handled` includes the time until the bus has handled everything, on all cores.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import median
from tc_core import CostTracker, SQLiteStorage

for _name in ("CREWAI_DISABLE_TELEMETRY", "CREWAI_TESTING", "CREWAI_DISABLE_VERSION_CHECK"):
    os.environ.setdefault(_name, "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

PROMPT = "word " * 20
USAGE = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}


def crewai(blocks: int, calls: int, folder: Path) -> dict[str, Any]:
    """Measure a model of CrewAI, which tells of its calls as CrewAI's own models do."""
    os.environ.setdefault("CREWAI_STORAGE_DIR", str(folder / "crewai"))
    from crewai.events import LLMCallCompletedEvent, LLMCallStartedEvent
    from crewai.events.event_bus import crewai_event_bus
    from crewai.events.types.llm_events import LLMCallType
    from crewai.llms.base_llm import BaseLLM, llm_call_context

    from tc_crewai import TokenCalculatorListener

    class Model(BaseLLM):
        """Answers at once."""

        def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
            with llm_call_context():
                self._emit_call_started_event(messages=messages)
                self._emit_call_completed_event(
                    response="hello there", call_type=LLMCallType.LLM_CALL, messages=messages, usage=USAGE
                )
            return "hello there"

    def nothing(_source: Any, _event: Any) -> None:
        pass

    @contextmanager
    def idle() -> Iterator[None]:
        for event in (LLMCallStartedEvent, LLMCallCompletedEvent):
            crewai_event_bus.register_handler(event, nothing)
        yield
        for event in (LLMCallStartedEvent, LLMCallCompletedEvent):
            crewai_event_bus.off(event, nothing)

    tracker = CostTracker(SQLiteStorage(folder / "crewai.db"))

    @contextmanager
    def ours() -> Iterator[None]:
        listener = TokenCalculatorListener(tracker, agent_id="agent")
        yield
        listener.remove()
        tracker.storage.flush()

    model = Model(model="gpt-4o")
    found = _compare(
        lambda: model.call([{"role": "user", "content": PROMPT}]),
        {"idle": idle, "ours": ours},
        lambda: crewai_event_bus.flush(timeout=60),
        blocks,
        calls,
    )
    tracker.storage.close()
    return {"framework": "crewai", **found}


def llamaindex(blocks: int, calls: int, folder: Path) -> dict[str, Any]:
    """Measure a model of LlamaIndex."""
    from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback
    from llama_index_instrumentation import get_dispatcher
    from llama_index_instrumentation.base import BaseEvent
    from llama_index_instrumentation.event_handlers import BaseEventHandler
    from llama_index_instrumentation.span import BaseSpan
    from llama_index_instrumentation.span_handlers import BaseSpanHandler

    from tc_llamaindex import TokenCalculatorHandler

    class Model(CustomLLM):
        """Answers at once."""

        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="gpt-4o")

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text="hello there", raw={"usage": USAGE})

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            yield self.complete(prompt)

    class IdleEvents(BaseEventHandler):
        """Does nothing."""

        def handle(self, event: BaseEvent, **kwargs: Any) -> None:
            pass

    class IdleSpans(BaseSpanHandler[BaseSpan]):
        """Does nothing."""

        def new_span(self, *args: Any, **kwargs: Any) -> None:
            return None

        def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
            return None

        def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
            return None

    root = get_dispatcher()

    @contextmanager
    def idle() -> Iterator[None]:
        events, spans = IdleEvents(), IdleSpans()
        root.add_event_handler(events)
        root.add_span_handler(spans)
        yield
        root.event_handlers.remove(events)
        root.span_handlers.remove(spans)

    tracker = CostTracker(SQLiteStorage(folder / "llamaindex.db"))

    @contextmanager
    def ours() -> Iterator[None]:
        handler = TokenCalculatorHandler(tracker, agent_id="agent").attach()
        yield
        handler.detach()
        tracker.storage.flush()

    model, messages = Model(), [ChatMessage(content=PROMPT)]
    found = _compare(lambda: model.chat(messages), {"idle": idle, "ours": ours}, lambda: None, blocks, calls)
    tracker.storage.close()
    return {"framework": "llamaindex", **found}


Handlers = Callable[[], Any]


def _compare(
    call: Callable[[], object],
    ways: dict[str, Handlers],
    settle: Callable[[], object],
    blocks: int,
    calls: int,
) -> dict[str, Any]:
    waited: list[dict[str, float]] = []
    handled: list[dict[str, float]] = []
    for block in range(blocks + 1):
        times, whole = {}, {}
        for name, handlers in [*ways.items(), ("idle_again", ways["idle"])]:  # ours leaves nothing to be written later
            gc.collect()
            with handlers():
                began = time.perf_counter_ns()
                times[name] = median([_timed(call) for _ in range(calls)])
                settle()
                whole[name] = (time.perf_counter_ns() - began) / calls
        if block:  # the first warms up
            waited.append(times)
            handled.append(whole)
    ratios = [each["ours"] / each["idle"] for each in waited]
    return {
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "ratio_handled": median([each["ours"] / each["idle"] for each in handled]),
        "ratio_of_idle_to_itself": median([each["idle_again"] / each["idle"] for each in waited]),
        "idle_us": median([each["idle"] for each in waited]) / 1000,
        "ours_us": median([each["ours"] for each in waited]) / 1000,
    }


def _timed(call: Callable[[], object]) -> int:
    began = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - began
