"""What LangChain does, held against what the server counted: to the token."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import Generation, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langchain_core.tools import tool
from langchain_openai import OpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

import tc_core
from tc_core import CostTracker, calculate_cost
from tc_core.demo.script import Step
from tc_core.runtime.recorders import recorder_for
from tc_langchain import TokenCalculatorCallback
from tc_langchain.runs import Runs
from tests.langchain import scenarios
from tests.langchain.scenarios import SCENARIOS, add, completion_model, several_prompts_of_a_completion_model


def shape(store, root=None):
    """Return the lineage as nested lists of what can be told at a glance."""
    run = store.runs(limit=1)[0] if root is None else root
    events, _ = store.tree(run.event.event_id)
    return [(event.depth, event.event_type, event.name or event.model, event.status) for event in events]


def relations(store):
    by_id = {event.event_id: event for event in store.query_events()}
    return sorted(
        (relation.relation, *(by_id[id_].model or by_id[id_].name for id_ in (relation.source_id, relation.target_id)))
        for relation in store.relationships()
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_what_is_recorded_is_what_the_server_counted(scenario, server, chat, store, truth):
    await scenario(chat, server)
    truth(store)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_two_handlers_of_a_store_count_once(scenario, server, chat, store, truth):
    extra = TokenCalculatorCallback(CostTracker(store), agent_id="explicit")

    def make(*arguments, **options):
        return chat(*arguments, **options, callbacks=[extra])

    await scenario(make, server)
    truth(store)
    if scenario not in (completion_model, several_prompts_of_a_completion_model):
        assert set(store.aggregate("calls", ["agent_id"])) == {("explicit",)}


def test_several_prompts_in_one_request_are_runs_of_their_own_with_its_tokens_once(server, store):
    OpenAI(model="gpt-3.5-turbo-instruct", base_url=server.base_url, api_key="x").generate(["one", "two and more"])
    (exchange,) = server.exchanges
    total = store.totals()[()]
    assert (total.calls, total.estimated) == (2, 0)
    assert (total.input_tokens, total.output_tokens) == (exchange.tokens.prompt, exchange.tokens.completion)


@pytest.mark.parametrize("reported", [True, False])
def test_several_prompts_share_what_the_first_reports(store, reported):
    """LangChain gives the usage of a batch to its first prompt; the others are not estimated on top of it."""
    handler = TokenCalculatorCallback(CostTracker(store))
    runs = [uuid4() for _ in range(3)]
    for run in runs:
        handler.on_llm_start({}, ["hello there"], run_id=run, batch_size=3, invocation_params={"model": "gpt-4o"})
    usage = {"prompt_tokens": 30, "completion_tokens": 6} if reported else {}
    for run, token_usage in zip(runs, (usage, {}, {}), strict=True):
        handler.on_llm_end(
            LLMResult(generations=[[Generation(text="ok")]], llm_output={"token_usage": token_usage}), run_id=run
        )
    found = [(event.usage_source, event.input_tokens) for event in store.query_events()]
    assert found == ([("provider", 30), ("provider", 0), ("provider", 0)] if reported else [("exact", 9)] * 3)
    assert not Runs.of(recorder_for(store)).batched


# Failures


def test_an_error_is_recorded_without_usage_and_costs_nothing(server, chat, store, truth):
    server.push(Step(status=400))
    with pytest.raises(Exception, match="scripted error"):
        chat().invoke("hello")
    truth(store)
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.cost) == ("error", None, None)
    assert event.error_type
    assert store.totals()[()].unpriced == 0


def test_a_stream_without_usage_is_estimated_and_says_so(server, chat, store, truth):
    list(chat().stream("hello there"))
    truth(store, estimated=1)
    (event,) = store.query_events()
    # "hello there" is 2 tokens, a message adds 3 and the reply 3; the answer repeats: "You said: hello there" is 5.
    assert (event.input_tokens, event.output_tokens, event.usage_source, event.status) == (9, 5, "exact", "ok")


@pytest.mark.parametrize("end", ["closed", "dropped"])
def test_a_stream_that_is_left_early_is_estimated_from_what_came(server, chat, store, end):
    server.push(Step(text="one two three four five six seven eight"))
    stream = chat(stream_usage=True).stream("hello")
    received = [next(stream).text, next(stream).text, next(stream).text]
    if end == "closed":
        stream.close()
    del stream
    (event,) = store.query_events()
    assert "".join(received) == "one two "
    assert (event.status, event.usage_source, event.output_tokens) == ("closed", "exact", 3)


def test_a_connection_that_breaks_is_estimated(server, chat, store):
    server.push(Step(text="one two three four", cut_after=2))
    list(chat(stream_usage=True).stream("hello"))
    (event,) = store.query_events()
    assert (event.usage_source, event.output_tokens) == ("exact", 3)


def test_an_answer_without_usage_is_estimated(server, chat, store, truth):
    server.push(Step(text="hello", no_usage=True))
    chat().invoke("hello there")
    truth(store, estimated=1)
    assert store.query_events()[0].output_tokens == 1


@pytest.mark.swallows  # such a report is counted in doctor
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_server_that_reports_nothing_but_zeros_has_not_counted(server, chat, store, way):
    server.push(Step(text="one two three", usage={"prompt": 0, "completion": 0}))
    answered = getattr(chat(stream_usage=True), way)("hello there")
    assert answered if way == "invoke" else list(answered)
    (event,) = store.query_events()
    assert (event.input_tokens, event.output_tokens, event.usage_source) == (9, 3, "exact")


def test_an_unknown_model_is_unpriced_not_free(server, chat, store, truth):
    chat("acme-9").invoke("hello")
    truth(store)
    assert store.aggregate("cost") == {(): None}


def test_the_model_that_answered_sets_the_price(server, chat, store):
    server.push(Step(text="ok", model="gpt-4o-mini-2024-07-18", usage={"prompt": 1000, "completion": 0}))
    chat("my-deployment").invoke("hello")
    (event,) = store.query_events()
    assert (event.model, event.served_model, event.cost_nanos) == ("my-deployment", "gpt-4o-mini-2024-07-18", 150_000)


# Lineage


def test_an_agents_lineage(server, chat, store):
    server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
    agent = create_agent(chat(), tools=[add], name="calculator")
    agent.invoke({"messages": [HumanMessage("one and two?")]}, {"configurable": {"thread_id": "thread-7"}})
    assert shape(store) == [
        (0, "agent", "calculator", "ok"),
        (1, "task", "model", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
        (1, "task", "tools", "ok"),
        (2, "tool", "add", "ok"),
        (1, "task", "model", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
    ]
    events = store.query_events()
    assert {(event.agent_id, event.session_id) for event in events} == {("calculator", "thread-7")}
    assert len({event.root_id for event in events}) == 1


def test_the_nodes_of_a_graph_are_its_agents(server, chat, store):
    def ask(state: MessagesState):
        return {"messages": [chat().invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("researcher", ask)
    graph.add_node("writer", ask)
    graph.add_edge(START, "researcher")
    graph.add_edge("researcher", "writer")
    graph.add_edge("writer", END)
    graph.compile(name="report").invoke({"messages": [HumanMessage("go")]})
    assert shape(store) == [
        (0, "workflow", "report", "ok"),
        (1, "task", "researcher", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
        (1, "task", "writer", "ok"),
        (2, "llm_call", "gpt-4o-mini", "ok"),
    ]
    assert store.aggregate("calls", ["agent_id"]) == {("researcher",): 1, ("writer",): 1}


def test_a_model_called_inside_a_tool_hangs_under_the_tool(server, chat, store):
    @tool
    def ask(question: str) -> str:
        """Ask somebody else."""
        CostTracker(store).track_call("gpt-4o", 10, 1)
        return chat("gpt-4o").invoke(question).text

    server.push(Step(tool_calls=[("ask", {"question": "why?"})]))
    create_agent(chat(), tools=[ask], name="outer").invoke({"messages": [HumanMessage("hm")]})
    tool_event = next(event for event in store.query_events() if event.event_type == "tool")
    inside = store.query_events({"parent_id": tool_event.event_id})
    assert [(event.event_type, event.model, event.agent_id) for event in inside] == [
        ("llm_call", "gpt-4o", "outer")
    ] * 2


def test_a_tool_that_fails(server, chat, store):
    @tool
    def broken() -> str:
        """Break."""
        raise LookupError("CANARY")

    with pytest.raises(LookupError):
        broken.invoke({})
    (event,) = store.query_events()
    assert (event.event_type, event.name, event.status, event.error_type) == ("tool", "broken", "error", "LookupError")


def test_a_retriever_is_recorded_by_its_name(store):
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun):
            return [Document("text")]

    Shelf().invoke("CANARY")
    (event,) = store.query_events()
    assert (event.event_type, event.name) == ("retrieval", "shelf")


def test_retries_are_related_to_the_attempt_before(server, chat, store):
    server.push(Step(status=500), Step(status=500))
    chat().with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke("hello")
    assert relations(store) == [("retry_of", "gpt-4o-mini", "gpt-4o-mini")] * 2
    first, second, third = store.query_events({"event_type": "llm_call"})
    pairs = {(relation.source_id, relation.target_id) for relation in store.relationships()}
    assert pairs == {(second.event_id, first.event_id), (third.event_id, second.event_id)}


def test_a_whole_chain_that_is_tried_again(server, chat, store):
    server.push(Step(status=500))
    chain = ChatPromptTemplate.from_template("{q}") | chat() | StrOutputParser()
    chain.with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke({"q": "hello"})
    assert relations(store) == [("retry_of", "gpt-4o-mini", "gpt-4o-mini")]


async def test_a_node_that_is_tried_again_is_related_to_its_failure(server, chat, store):
    await scenarios.a_node_that_is_tried_again(chat, server)
    assert relations(store) == [("retry_of", "ask", "ask"), ("retry_of", "gpt-4o-mini", "gpt-4o-mini")]
    await scenarios.a_graph_that_fans_out(chat, server)
    assert len(relations(store)) == 2


def test_fallbacks_are_related_to_what_failed(server, chat, store):
    server.push(Step(status=500), Step(status=500))
    chat("gpt-4o").with_fallbacks([chat("gpt-4.1"), chat()]).invoke("hello")
    assert relations(store) == [("fallback_for", "gpt-4.1", "gpt-4o"), ("fallback_for", "gpt-4o-mini", "gpt-4.1")]


def test_a_fallback_of_whole_chains(server, chat, store):
    server.push(Step(status=500))
    prompt = ChatPromptTemplate.from_template("{q}")
    (prompt | chat("gpt-4o")).with_fallbacks([prompt | chat() | StrOutputParser()]).invoke({"q": "hello"})
    assert relations(store) == [("fallback_for", "gpt-4o-mini", "gpt-4o")]


async def test_a_middleware_that_asks_again_is_related_to_what_failed(server, chat, store):
    await scenarios.retries_of_a_middleware(chat, server)
    assert relations(store) == [
        ("retry_of", "gpt-4o-mini", "gpt-4o-mini"),
        ("retry_of", "gpt-4o-mini", "gpt-4o-mini"),
        ("triggered_by", "add", "gpt-4o-mini"),
    ]


async def test_a_middleware_that_asks_another_model_is_related_to_what_failed(server, chat, store):
    await scenarios.fallbacks_of_a_middleware(chat, server)
    assert relations(store) == [("fallback_for", "gpt-4.1", "gpt-4o"), ("fallback_for", "gpt-4o-mini", "gpt-4.1")]


async def test_what_middlewares_ask_for_themselves_has_a_task_type(server, chat, store):
    await scenarios.a_summary_of_a_middleware(chat, server)
    await scenarios.tools_chosen_by_a_middleware(chat, server)
    calls = store.aggregate("calls", ["task_type", "model"])
    assert calls == {
        ("summarization", "gpt-4o"): 1,
        ("tool_selection", "gpt-4o"): 1,
        (None, "gpt-4o-mini"): 2,
    }


async def test_a_tool_is_triggered_by_the_call_that_asked_for_it(server, chat, store):
    await scenarios.an_agent_inside_a_tool(chat, server)
    assert relations(store) == [("triggered_by", "ask_colleague", "gpt-4o")] * 2
    assert store.aggregate("calls", ["agent_id", "model"]) == {
        ("boss", "gpt-4o"): 2,
        ("colleague", "gpt-4o-mini"): 2,
    }


async def test_every_run_of_a_tool_is_triggered_and_a_repeated_one_is_a_retry(server, chat, store):
    await scenarios.a_tool_that_a_middleware_repeats(chat, server)
    runs = store.query_events({"event_type": "tool"})
    assert [event.status for event in runs] == ["error", "error", "ok"]
    (first, second, third) = (event.event_id for event in runs)
    retries = [(each.source_id, each.target_id) for each in store.relationships() if each.relation == "retry_of"]
    assert sorted(retries) == sorted([(second, first), (third, second)])
    assert relations(store).count(("triggered_by", "flaky", "gpt-4o-mini")) == 3
    assert not Runs.of(recorder_for(store)).tool_calls


async def test_a_tool_that_goes_on_after_an_interrupt_is_triggered_like_before_and_no_retry(server, chat, store):
    await scenarios.a_question_inside_a_tool_for_a_human(chat, server)
    assert {(event.status, event.session_id) for event in store.query_events()} == {("ok", "T2")}
    assert relations(store) == [("triggered_by", "ask", "gpt-4o-mini")] * 2


async def test_handing_over_to_another_agent_is_no_failure(server, chat, store):
    await scenarios.one_agent_hands_over_to_another(chat, server)
    assert {event.status for event in store.query_events()} == {"ok"}
    assert store.aggregate("calls", ["agent_id", "model"]) == {("alice", "gpt-4o"): 1, ("bob", "gpt-4o-mini"): 1}


async def test_an_answer_from_a_cache_costs_nothing_and_names_its_origin(server, chat, store):
    set_llm_cache(InMemoryCache())
    try:
        chat().invoke("hello")
        chat().invoke("hello")
        await chat().ainvoke("hello")
        chat("acme-1").invoke("hello")
        chat("acme-1").invoke("hello")
    finally:
        set_llm_cache(None)
    total = store.totals()[()]
    assert (len(server.exchanges), total.calls, total.unpriced) == (2, 5, 1)
    assert total.input_tokens == sum(exchange.tokens.prompt for exchange in server.exchanges)
    assert relations(store) == [
        ("derived_from", "acme-1", "acme-1"),
        ("derived_from", "gpt-4o-mini", "gpt-4o-mini"),
        ("derived_from", "gpt-4o-mini", "gpt-4o-mini"),
    ]
    cached = [event for event in store.query_events() if event.price_source == "cache"]
    assert [(event.cost_nanos, event.input_tokens) for event in cached] == [(0, 0)] * 3


async def test_the_service_tier_sets_the_price(server, chat, store):
    await scenarios.a_cheaper_service_tier(chat, server)
    (exchange, *_) = server.exchanges
    (flex, *others) = store.query_events()
    standard = calculate_cost("gpt-5", exchange.tokens.prompt, exchange.tokens.completion)
    assert flex.cost == pytest.approx(standard / 2)
    assert {event.service_tier for event in (flex, *others)} == {"flex"}
    assert {event.cost for event in others} == {flex.cost}


async def test_an_interrupt_is_no_failure(server, chat, store):
    await scenarios.an_interrupt_and_its_answer(chat, server)
    assert {(event.status, event.session_id) for event in store.query_events()} == {("ok", "T1")}
    assert store.aggregate("calls") == {(): 3}  # a node begins anew when it goes on, and so asks again


async def test_a_cancelled_agent_and_a_timeout(server, chat, store):
    server.push(Step(delay=3), Step(delay=3))
    agent = asyncio.create_task(create_agent(chat(), tools=[], name="slow").ainvoke(scenarios.question()))
    while not server.exchanges and len(recorder_for(store)._open) < 3:
        await asyncio.sleep(0.01)
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent

    async def with_a_limit():
        with suppress(TimeoutError):
            await asyncio.wait_for(chat().ainvoke("hello"), 0.3)

    await asyncio.create_task(with_a_limit())
    await asyncio.sleep(0)  # what is done when a task ends comes behind what waits for it
    assert {event.status for event in store.query_events()} == {"cancelled"}
    assert store.aggregate("calls") == {(): 2}


def test_calls_after_a_failure_that_nobody_handles_are_not_related(server, chat, store):
    server.push(Step(status=500))

    def careless(text):
        try:
            chat().invoke(text)
        except Exception:  # careless is what is tested
            return chat("gpt-4o").invoke(text).text

    RunnableLambda(careless).invoke("hello")
    assert relations(store) == []


# Who is heard


def test_a_callback_on_a_model_alone(server, chat, tmp_path):
    tracker = CostTracker(tmp_path / "alone.db")
    callback = TokenCalculatorCallback(tracker, agent_id="rag", environment="production", feature="search")
    chain = ChatPromptTemplate.from_template("{q}") | chat(callbacks=[callback])
    chain.invoke({"q": "hello"})
    (event,) = tracker.storage.query_events()
    assert (event.agent_id, event.environment, event.labels) == ("rag", "production", {"feature": "search"})
    assert event.input_tokens == server.exchanges[0].tokens.prompt


def test_a_callback_without_a_tracker_uses_the_default_store(server, chat):
    chat(callbacks=[TokenCalculatorCallback()]).invoke("hello")
    assert CostTracker().get_costs().total_calls == 1


def test_the_labels_of_a_callback_win(server, chat, store):
    callback = TokenCalculatorCallback(CostTracker(store), agent_id="explicit", user_id="u")
    with tc_core.labels(user_id="around", feature="f"):
        create_agent(chat(), tools=[], name="named").invoke(
            {"messages": [HumanMessage("x")]}, {"callbacks": [callback]}
        )
    events = store.query_events()
    assert {event.agent_id for event in events} == {"explicit"}
    assert {tuple(sorted(event.labels.items())) for event in events} == {(("feature", "f"), ("user_id", "u"))}


def test_after_uninstrument_nothing_is_recorded_and_instrument_begins_again(server, chat, store):
    model = chat()
    model.invoke("hello")
    tc_core.uninstrument()
    model.invoke("hello")
    assert store.aggregate("calls") == {(): 1}
    tc_core.instrument(store)
    tc_core.instrument(store)
    model.invoke("hello")
    assert store.aggregate("calls") == {(): 2}


def test_a_block_of_the_users_own_inside_a_node_lies_between_the_node_and_the_call(server, chat, store):
    def think(state):
        with tc_core.workflow("thinking"):
            return {"messages": [chat().invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    graph.compile(name="thinker").invoke({"messages": [HumanMessage("hello")]})
    assert [entry[:3] for entry in shape(store)] == [
        (0, "workflow", "thinker"),
        (1, "task", "think"),
        (2, "workflow", "thinking"),
        (3, "llm_call", "gpt-4o-mini"),
    ]


def test_instrument_says_what_it_records(tmp_path):
    assert "langchain" in tc_core.instrument(tmp_path / "s.db")
    with pytest.raises(tc_core.ConfigurationError, match="unknown framework 'pylons'"):
        tc_core.instrument(frameworks=["pylons"])


def test_instrument_makes_its_store_the_default(server, chat, tmp_path):
    tc_core.instrument(tmp_path / "mine.db", labels={"team": "ai"})
    chat().invoke("hello")
    CostTracker().track_call("gpt-4o", 1, 1)
    with tc_core.workflow("w"):
        pass
    assert CostTracker(tmp_path / "mine.db").get_costs(filters={"team": "ai"}).total_calls == 2
    assert not (tmp_path / "token_calculator.db").exists()


# Threads and tasks


def test_fifty_threads_and_their_parents(server, chat, store, truth):
    def work(number):
        with tc_core.workflow(f"w{number}"):
            chat().invoke(f"hello {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    truth(store)
    assert store.aggregate("calls", ["workflow_id"]) == {(f"w{number}",): 1 for number in range(50)}
    assert {event.depth for event in store.query_events({"event_type": "llm_call"})} == {1}


async def test_tasks_and_their_parents(server, chat, store, truth):
    async def work(number):
        async with tc_core.workflow(f"w{number}"):
            await chat().ainvoke(f"hello {number}")

    await asyncio.gather(*(work(number) for number in range(20)))
    truth(store)
    assert store.aggregate("calls", ["workflow_id"]) == {(f"w{number}",): 1 for number in range(20)}


@pytest.mark.parametrize("executor", ["plain", "bound", "langchains"])
def test_threads_inside_a_chain(server, chat, store, executor):
    def fan_out(text):
        model = chat()
        pool = ContextThreadPoolExecutor(2) if executor == "langchains" else ThreadPoolExecutor(2)
        call = tc_core.bind_context(model.invoke) if executor == "bound" else model.invoke
        with pool:
            return [answer.text for answer in pool.map(call, [text] * 3)]

    RunnableLambda(fan_out).invoke("hello")
    depths = [event.depth for event in store.query_events({"event_type": "llm_call"})]
    # A plain thread begins without context, so that nothing can know what it belongs to.
    assert depths == [0 if executor == "plain" else 1] * 3


async def test_a_task_that_is_cancelled_is_noticed_though_langchain_tells_no_end(server, chat, store):
    server.push(Step(delay=3))
    task = asyncio.create_task(chat().ainvoke("hello"))
    recorder = recorder_for(store)
    while not recorder._open:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (event,) = store.query_events()
    assert (event.status, event.error_type) == ("cancelled", "CancelledError")
    assert event.usage_source == "exact"  # the prompt was sent, so that it is estimated
    assert not recorder._open


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_records_like_its_parent(server, chat, store, in_a_child):
    chat().invoke("in the parent")
    assert in_a_child(lambda: chat().invoke("in the child")) == 0
    assert store.aggregate("calls") == {(): 2}
    assert store.totals()[()].input_tokens == sum(exchange.tokens.prompt for exchange in server.exchanges)


def test_many_runs_leave_nothing_behind(server, chat, store):
    agent = create_agent(chat(), tools=[add], name="calculator")
    for _ in range(30):
        server.push(Step(tool_calls=[("add", {"a": 1, "b": 2})]))
        agent.invoke({"messages": [HumanMessage("one and two?")]})
    recorder = recorder_for(store)
    assert not recorder._open
    assert not Runs.of(recorder).chains
    assert store.aggregate("calls") == {(): 60}
