"""The lineage of what LlamaIndex does: what hangs under what, what came from what, and under which names."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags
from llama_index_instrumentation.span_handlers.base import Thread
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_fixed

import tc_core
import tc_llamaindex
from tc_core import CostTracker
from tc_core.demo.script import Step
from tc_core.runtime.recorders import recorder_for
from tc_llamaindex import TokenCalculatorHandler
from tc_llamaindex.spans import Spans
from tests.llamaindex import scenarios
from tests.llamaindex.scenarios import MESSAGES, function_agent


class Done(Event):
    """What has been done."""

    what: str


def shape(store, root=None):
    """Return the lineage as what can be told at a glance."""
    run = store.runs(limit=1)[0] if root is None else root
    events, _ = store.tree(run.event.event_id)
    return [(event.depth, event.event_type, event.name or event.model, event.status) for event in events]


def relations(store):
    by_id = {event.event_id: event for event in store.query_events()}
    return sorted(
        (relation.relation, *(by_id[id_].name or by_id[id_].model for id_ in (relation.source_id, relation.target_id)))
        for relation in store.relationships()
    )


# Retrieval and answers


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.a_query_engine,
        scenarios.a_query_engine_asynchronously,
        scenarios.a_query_streamed,
        scenarios.a_query_streamed_asynchronously,
    ],
    ids=lambda scenario: scenario.__name__,
)
async def test_a_query_has_its_passages_and_its_answer_below_it(scenario, server, make, store):
    await scenario(make, server)
    assert shape(store) == [
        (0, "workflow", "RetrieverQueryEngine", "ok"),
        (1, "retrieval", "VectorIndexRetriever", "ok"),
        (2, "embedding", "text-embedding-3-small", "ok"),
        (1, "task", "CompactAndRefine", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
    ]
    assert relations(store) == [("derived_from", "gpt-4o-mini", "VectorIndexRetriever")]


def test_an_answers_passages_are_known_by_their_ids_and_scores(make, store):
    index = make.index()
    answer = index.as_query_engine(llm=make.chat(), similarity_top_k=2).query("who was first?")
    (relation,) = store.relationships()
    found = store.get_event(relation.target_id)
    assert found.event_type == "retrieval"
    assert found.metadata == {
        "found": 2,
        "nodes": [{"id": node.node_id, "score": round(node.score, 6)} for node in answer.source_nodes],
    }


def test_ids_of_passages_are_bounded_in_length_and_number(make, store):
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, TextNode

    class Shelf(BaseRetriever):
        def _retrieve(self, query_bundle):
            return [NodeWithScore(node=TextNode(text=f"CANARY {n}", id_="x" * 500 + str(n))) for n in range(80)]

    Shelf().retrieve("CANARY")
    (event,) = store.query_events()
    assert (event.event_type, event.name, event.metadata["found"]) == ("retrieval", "Shelf", 80)
    assert event.metadata["nodes"] == [{"id": "x" * 128, "score": None}] * 50


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_an_answer_that_is_refined_enhances_the_one_before(server, make, store, way):
    await (scenarios.refining if way == "sync" else scenarios.refining_asynchronously)(make, server)
    assert [kind for _, kind, _, _ in shape(store)].count("llm_call") == 3
    assert relations(store) == [
        *[("derived_from", "gpt-4o-mini", "VectorIndexRetriever")] * 3,
        *[("enhancement_of", "gpt-4o-mini", "gpt-4o-mini")] * 2,
    ]
    first, second, third = store.query_events({"event_type": "llm_call"})
    pairs = {(each.source_id, each.target_id) for each in store.relationships() if each.relation == "enhancement_of"}
    assert pairs == {(second.event_id, first.event_id), (third.event_id, second.event_id)}


def test_a_refined_answer_that_is_streamed_enhances_the_one_before(make, store):
    engine = make.index().as_query_engine(llm=make.chat(), response_mode="refine", similarity_top_k=3, streaming=True)
    assert "".join(engine.query("who?").response_gen)
    assert relations(store)[-2:] == [("enhancement_of", "gpt-4o-mini", "gpt-4o-mini")] * 2
    assert {event.depth for event in store.query_events({"event_type": "llm_call"})} == {2}


async def test_answers_side_by_side_enhance_nothing(server, make, store):
    await scenarios.accumulating(make, server)
    assert {relation for relation, *_ in relations(store)} == {"derived_from"}


async def test_passages_are_ranked_again_before_they_are_used(server, make, store):
    await scenarios.reranking(make, server)
    assert shape(store)[3:6] == [
        (1, "retrieval", "LLMRerank", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
        (1, "task", "CompactAndRefine", "ok"),
    ]
    assert relations(store) == [
        ("derived_from", "LLMRerank", "VectorIndexRetriever"),
        ("derived_from", "gpt-4o-mini", "LLMRerank"),
    ]
    ranked, found = (
        next(event for event in store.query_events({"event_type": "retrieval"}) if event.name == name).metadata
        for name in ("LLMRerank", "VectorIndexRetriever")
    )
    assert ranked["nodes"][0]["id"] == found["nodes"][1]["id"]  # the model chose the second


async def test_an_answer_made_of_answers_is_derived_from_them(server, make, store):
    await scenarios.sub_questions(make, server)
    assert [row for row in shape(store) if row[1] in ("workflow", "tool")] == [
        (0, "workflow", "SubQuestionQueryEngine", "ok"),
        (1, "workflow", "RetrieverQueryEngine", "ok"),
        (1, "workflow", "RetrieverQueryEngine", "ok"),
    ]
    assert relations(store) == [
        *[("derived_from", "gpt-4o-mini", "RetrieverQueryEngine")] * 2,
        *[("derived_from", "gpt-4o-mini", "VectorIndexRetriever")] * 2,
    ]


async def test_a_streamed_chat_hangs_under_its_engine_though_a_thread_asks(server, make, store):
    await scenarios.a_chat_engine_streamed(make, server)
    assert {row[1:3] for row in shape(store) if row[0] == 0} == {("workflow", "CondensePlusContextChatEngine")}
    assert all(event.depth > 0 for event in store.query_events({"event_type": "llm_call"}))
    assert len([relation for relation, *_ in relations(store) if relation == "derived_from"]) == 2


def test_a_pipeline_has_its_embeddings_below_it(make, store):
    from llama_index.core import Document
    from llama_index.core.ingestion import IngestionPipeline

    IngestionPipeline(transformations=[make.embed()]).run(documents=[Document(text="alpha")])
    assert shape(store) == [
        (0, "workflow", "IngestionPipeline", "ok"),
        (1, "embedding", "text-embedding-3-small", "ok"),
    ]


def test_answers_that_are_kept_after_their_end_are_not_looked_at_again(make, store):
    engine = make.index().as_query_engine(llm=make.chat(), streaming=True)
    kept = [engine.query("who?") for _ in range(3)]
    assert all("".join(each.response_gen) for each in kept)
    make.chat().chat(MESSAGES)
    assert not Spans.of(recorder_for(store)).generators


# Agents and workflows


async def test_an_agents_lineage(server, make, store):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    await function_agent(make).run("one and two?")
    assert shape(store) == [
        (0, "agent", "calculator", "ok"),
        (1, "llm_call", "gpt-4o-mini", "ok"),
        (1, "tool", "add", "ok"),
        (1, "llm_call", "gpt-4o-mini", "ok"),
    ]
    assert {event.agent_id for event in store.query_events()} == {"calculator"}
    (relation,) = store.relationships()
    first, tool = store.query_events({"event_type": "llm_call"})[0], store.query_events({"event_type": "tool"})[0]
    assert (relation.source_id, relation.relation, relation.target_id) == (
        tool.event_id,
        "triggered_by",
        first.event_id,
    )


async def test_a_handoff_begins_the_turn_of_another_agent(server, make, store):
    await scenarios.a_handoff(make, server)
    assert shape(store) == [
        (0, "workflow", "AgentWorkflow", "ok"),
        (1, "agent", "alice", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
        (2, "tool", "handoff", "ok"),
        (1, "agent", "bob", "ok"),
        (2, "llm_call", "gpt-4o", "ok"),
        (2, "tool", "add", "ok"),
        (2, "llm_call", "gpt-4o", "ok"),
    ]
    assert relations(store) == [
        ("triggered_by", "add", "gpt-4o"),
        ("triggered_by", "bob", "handoff"),
        ("triggered_by", "handoff", "gpt-4o-mini"),
    ]
    assert store.aggregate("calls", ["agent_id"]) == {("alice",): 1, ("bob",): 2}


async def test_an_agent_inside_a_tool(server, make, store):
    await scenarios.an_agent_inside_a_tool(make, server)
    assert shape(store) == [
        (0, "agent", "boss", "ok"),
        (1, "llm_call", "gpt-4o-mini", "ok"),
        (1, "tool", "ask_colleague", "ok"),
        (2, "agent", "colleague", "ok"),
        (3, "llm_call", "gpt-4o", "ok"),
        (1, "llm_call", "gpt-4o-mini", "ok"),
    ]
    assert store.aggregate("calls", ["agent_id"]) == {("boss",): 2, ("colleague",): 1}


async def test_a_query_engine_inside_a_tool(server, make, store):
    await scenarios.an_agent_with_a_query_engine(make, server)
    assert [row[:3] for row in shape(store) if row[1] != "llm_call"][:6] == [
        (0, "agent", "librarian"),
        (1, "tool", "shelf"),
        (2, "workflow", "RetrieverQueryEngine"),
        (3, "retrieval", "VectorIndexRetriever"),
        (4, "embedding", "text-embedding-3-small"),
        (3, "task", "CompactAndRefine"),
    ]
    assert {event.agent_id for event in store.query_events() if event.depth} == {"librarian"}


async def test_a_users_workflow_has_its_steps(server, make, store):
    await scenarios.a_workflow(make, server)
    assert shape(store) == [
        (0, "workflow", "Report", "ok"),
        (1, "task", "plan", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
        (1, "task", "write", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
    ]


async def test_the_steps_of_workflows_side_by_side_are_not_mixed_up(server, make, store):
    await scenarios.workflows_side_by_side(make, server)
    runs = store.runs(limit=10)
    assert len(runs) == 5
    assert all([row[0] for row in shape(store, run)] == [0, 1, 2, 1, 2] for run in runs)


async def test_a_step_that_is_tried_again_is_related_to_the_attempt_before(server, make, store):
    await scenarios.retries_of_a_step(make, server)
    assert [row[1:] for row in shape(store) if row[0] == 1] == [
        ("task", "insist", "error"),
        ("task", "insist", "error"),
        ("task", "insist", "ok"),
    ]
    assert relations(store) == [
        *[("retry_of", "gpt-4o-mini", "gpt-4o-mini")] * 2,
        *[("retry_of", "insist", "insist")] * 2,
    ]
    first, second, third = store.query_events({"event_type": "task"})
    pairs = {(each.source_id, each.target_id) for each in store.relationships()}
    assert {(second.event_id, first.event_id), (third.event_id, second.event_id)} < pairs


async def test_steps_that_fail_side_by_side_are_not_taken_for_each_other(store):
    class Fan(Workflow):
        failed: ClassVar[set[str]] = set()

        @step
        async def begin(self, ctx: Context, ev: StartEvent) -> scenarios.Plan | None:
            for what in "abc":
                ctx.send_event(scenarios.Plan(what=what))

        @step(retry_policy=retry_policy(wait=wait_fixed(0.001), stop=stop_after_attempt(3)), num_workers=3)
        async def work(self, ev: scenarios.Plan) -> Done:
            await asyncio.sleep(0.001)
            if ev.what in "ab" and ev.what not in self.failed:
                self.failed.add(ev.what)
                raise RuntimeError("CANARY")
            return Done(what=ev.what)

        @step
        async def end(self, ctx: Context, ev: Done) -> StopEvent | None:
            return None if ctx.collect_events(ev, [Done] * 3) is None else StopEvent()

    await Fan(timeout=10).run()
    tried = [event for event in store.query_events({"event_type": "task"}) if event.name == "work"]
    assert [event.status for event in tried] == ["error", "error", "ok", "ok", "ok"]
    failed = {event.event_id for event in tried if event.status == "error"}
    repeated = [each for each in store.relationships() if each.relation == "retry_of"]
    assert {each.target_id for each in repeated} == failed
    assert len({each.source_id for each in repeated}) == len(repeated) == 2


# Tools, by themselves


def test_a_tool_that_fails_is_recorded_by_the_type_of_its_error(store):
    def broken() -> str:
        """Break."""
        raise LookupError("CANARY")

    with pytest.raises(LookupError):
        FunctionTool.from_defaults(broken)()
    (event,) = store.query_events()
    assert (event.event_type, event.name, event.status, event.error_type) == ("tool", "broken", "error", "LookupError")


# Labels and sessions


def test_labels_and_session_of_ours_hold(make, store):
    with tc_core.session("s-1"), tc_core.labels(feature="search", agent_id="reader"):
        make.index().as_query_engine(llm=make.chat()).query("who?")
    events = store.query_events()
    assert {(event.session_id, event.agent_id, event.labels.get("feature")) for event in events} == {
        ("s-1", "reader", "search")
    }


async def test_a_session_may_come_from_the_tags_of_llamaindex(server, make, store):
    with instrument_tags({"session": "s-7", "secret": "CANARY"}):
        make.chat().chat(MESSAGES)
        await function_agent(make).run("hello")
    with instrument_tags({"session_id": "s-8"}):
        SimpleChatEngine.from_defaults(llm=make.chat()).chat("hello")
    assert store.aggregate("calls", ["session_id"]) == {("s-7",): 2, ("s-8",): 1}
    assert not any("CANARY" in str(event.to_dict()) for event in store.query_events())


async def test_the_labels_of_a_handler_win(server, make, store):
    handler = TokenCalculatorHandler(CostTracker(store), agent_id="explicit", user_id="u").attach()
    try:
        with tc_core.labels(user_id="around", feature="f"):
            await function_agent(make).run("hello")
    finally:
        handler.detach()
    events = store.query_events()
    assert {event.agent_id for event in events} == {"explicit"}
    assert {tuple(sorted(event.labels.items())) for event in events} == {(("feature", "f"), ("user_id", "u"))}


def test_a_handler_alone_records_where_it_is_told_to(make, tmp_path):
    tracker = CostTracker(tmp_path / "alone.db")
    handler = TokenCalculatorHandler(tracker, agent_id="rag", environment="production", feature="search")
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    dispatcher.add_span_handler(handler)
    try:
        make.chat().chat(MESSAGES)
    finally:
        dispatcher.event_handlers.remove(handler)
        dispatcher.span_handlers.remove(handler)
    (event,) = tracker.storage.query_events()
    assert (event.agent_id, event.environment, event.labels) == ("rag", "production", {"feature": "search"})
    assert handler.tracker is tracker


def test_a_handler_without_a_tracker_uses_the_default_store(make):
    handler = TokenCalculatorHandler().attach()
    try:
        make.chat().chat(MESSAGES)
    finally:
        handler.detach()
    assert CostTracker().get_costs().total_calls == 1


def test_a_handler_of_events_alone_still_counts(make, tmp_path, server):
    tracker = CostTracker(tmp_path / "alone.db")
    handler = TokenCalculatorHandler(tracker)
    get_dispatcher().add_event_handler(handler)
    try:
        make.chat().chat(MESSAGES)
        list(make.chat().stream_chat(MESSAGES))
    finally:
        handler.detach()
    assert tracker.get_costs().input_tokens == sum(exchange.tokens.prompt for exchange in server.exchanges)


def test_a_handler_of_events_alone_sees_failures_too(make, tmp_path, server):
    tracker = CostTracker(tmp_path / "alone.db")
    handler = TokenCalculatorHandler(tracker)
    get_dispatcher().add_event_handler(handler)
    server.push(Step(status=400))
    try:
        with pytest.raises(Exception, match="scripted"):
            make.chat().chat(MESSAGES)
    finally:
        handler.detach()
    (event,) = tracker.storage.query_events()
    assert (event.status, event.cost) == ("error", None)


# Where a run is


async def test_current_is_the_innermost_recorded_run(server, make, store):
    seen = []

    async def look() -> str:
        """Look where it is."""
        seen.append(tc_llamaindex.current())
        await asyncio.sleep(0)
        await asyncio.create_task(look_deeper())
        return "seen"

    async def look_deeper():
        thread = Thread(target=lambda: seen.append(tc_llamaindex.current()))
        thread.start()
        thread.join()
        seen.append(await asyncio.to_thread(tc_llamaindex.current))
        CostTracker(store).track_call("gpt-4o", 10, 1)

    assert tc_llamaindex.current() is None
    server.push(Step(tool_calls=[("look", {})]))
    await function_agent(make, tools=[look]).run("look")
    assert tc_llamaindex.current() is None
    (tool,) = store.query_events({"event_type": "tool"})
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0].startswith("FunctionTool.acall-")
    by_hand = next(event for event in store.query_events() if event.model == "gpt-4o")
    assert (by_hand.parent_id, by_hand.agent_id) == (tool.event_id, "calculator")


def test_current_is_that_of_the_thread(make, store):
    inside, done = threading.Event(), threading.Event()

    def wait() -> str:
        """Wait."""
        inside.set()
        done.wait(5)
        return "ok"

    tool = FunctionTool.from_defaults(wait)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(tool)
        assert inside.wait(5)
        assert tc_llamaindex.current() is None  # another thread is inside, this one is not
        done.set()


def test_a_run_hangs_under_what_is_open_of_ours(make, store):
    with tc_core.workflow("w"):
        make.chat().chat(MESSAGES)
    workflow, call = store.query_events()
    assert (call.parent_id, call.workflow_id) == (workflow.event_id, "w")


@pytest.mark.parametrize("executor", ["plain", "bound", "llamaindexs"])
def test_threads_inside_a_tool(make, store, executor):
    def ask() -> str:
        """Ask in a thread."""
        model = make.chat()
        work = tc_core.bind_context(model.chat) if executor == "bound" else model.chat
        thread = (Thread if executor == "llamaindexs" else threading.Thread)(target=work, args=(MESSAGES,))
        thread.start()
        thread.join()
        return "ok"

    FunctionTool.from_defaults(ask)()
    (call,) = store.query_events({"event_type": "llm_call"})
    # A plain thread begins without context, so that nothing can know what it belongs to.
    assert call.depth == (0 if executor == "plain" else 1)


# Models of one's own


async def test_a_model_that_answers_by_its_own_completions_counts_once(store):
    model = MockLLM(max_tokens=3)
    model.chat(MESSAGES)
    await model.achat(MESSAGES)
    list(model.stream_chat(MESSAGES))
    assert [piece async for piece in await model.astream_chat(MESSAGES)]
    assert [piece async for piece in await model.astream_complete("hello")]
    total = store.totals()[()]
    assert (total.calls, total.estimated) == (5, 5)


async def test_the_same_question_twice_at_once_is_two_calls(server, make, store, truth):
    model, messages = make.chat(), [ChatMessage(content="hello")]
    first, second = await model.astream_chat(messages), model.stream_chat(messages)
    list(second)
    assert [piece async for piece in first]
    assert len(server.exchanges) == 2
    truth(store)
