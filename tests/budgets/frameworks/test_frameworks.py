"""Where each framework needs something of its own: delegations, models made before, embeddings, batches, streams."""

import asyncio

import pytest
from crewai import Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.hooks import HookAborted
from crewai.tools import tool
from langchain_openai import OpenAIEmbeddings
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding

import tc_core
from tc_core import BudgetExceededError, CostTracker, instrument
from tc_core.demo.script import Step
from tc_langchain import TrackedEmbeddings

ASKED = [ChatMessage(role="user", content="hello")]


def settled(budgets, *, calls):
    """Check that nothing is reserved any more, and that what is spent is what the events cost."""
    assert crewai_event_bus.flush(timeout=10)
    found = budgets.get_remaining()
    events = [event for event in budgets.storage.query_events() if event.is_call]
    assert len(events) == calls
    assert found.reserved == 0
    assert found.spent == pytest.approx(sum(event.cost or 0 for event in events), abs=1e-9)
    assert [each.state for each in budgets.check()] == ["ok"]


# CrewAI


def test_a_crew_of_several_agents_settles_each_call(store, budgets, clients, server):
    budgets.set_budget(1, "total", hard=True)
    instrument(store, enforce=True)
    said = {"goal": "Find out", "backstory": "Curious"}
    agents = [Agent(role=role, llm=clients.crewai(), **said) for role in ("Researcher", "Writer")]
    tasks = [
        Task(description=f"Look {number}", expected_output="A fact", agent=agent) for number, agent in enumerate(agents)
    ]
    Crew(agents=agents, tasks=tasks).kickoff()
    assert len(server.exchanges) == 2
    settled(budgets, calls=2)


def test_what_a_tool_is_refused_stops_the_crew_that_called_it(store, budgets, clients, server):
    """CrewAI's tools swallow what is raised inside them: the agent's own next call is refused too."""
    # the tool's model may take 4,000 tokens of output: $0.04 of gpt-4o; the agent's 50: $0.00003 of gpt-4o-mini
    budgets.set_budget(0.02, "total", name="small", hard=True)
    instrument(store, enforce=True)
    dear = clients.crewai("openai/gpt-4o", max_tokens=4000)

    @tool("ask_expert")
    def ask_expert(question: str) -> str:
        """Ask somebody who knows."""
        return dear.call(question)

    server.push(Step(tool_calls=[("ask_expert", {"question": "why?"})]))
    agent = Agent(
        role="Researcher", goal="Find out", backstory="Curious", llm=clients.crewai(max_tokens=50), tools=[ask_expert]
    )
    task = Task(description="Look", expected_output="A fact", agent=agent)
    with pytest.raises(HookAborted) as raised:
        Crew(agents=[agent], tasks=[task]).kickoff()
    assert isinstance(raised.value, BudgetExceededError)
    assert raised.value.budget == "small"
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4o-mini"]
    settled(budgets, calls=1)


def test_another_crew_is_not_stopped_by_that(store, budgets, clients, server):
    budgets.set_budget(0.000001, "total", {"agent_id": "nobody"}, name="nobody", hard=True)
    budgets.set_budget(0.000001, "total", name="all", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(HookAborted):
        clients.crew().kickoff()
    budgets.remove("all")
    clients.crew().kickoff()
    assert len(server.exchanges) == 1


def test_an_agent_that_ran_before_enforcement_is_stopped_after_it(store, budgets, clients, server):
    instrument(store)
    crew = clients.crew()
    crew.kickoff()
    budgets.set_budget(0.000001, "total", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError):
        crew.kickoff()
    assert len(server.exchanges) == 1


# LlamaIndex


def test_a_model_that_was_made_before_is_stopped(store, budgets, clients, server):
    model = clients.llamaindex()
    model.chat(ASKED)
    budgets.set_budget(0.000001, "total", hard=True)
    instrument(store, enforce=True)
    for call in (model.chat, model.stream_chat):
        with pytest.raises(BudgetExceededError):
            call(ASKED)
    with pytest.raises(BudgetExceededError):
        asyncio.run(model.achat(ASKED))
    assert len(server.exchanges) == 1
    settled(budgets, calls=0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_embeddings_of_llamaindex(store, budgets, server, when):
    def make():
        return OpenAIEmbedding(model="text-embedding-3-small", api_base=server.base_url, api_key="x", max_retries=0)

    model = make() if when == "before" else None
    budgets.set_budget(0.01, "total", hard=True)
    instrument(store, enforce=True)
    model = model or make()
    model.get_text_embedding("hello")
    model.get_text_embedding_batch(["hello", "there"])
    asyncio.run(model.aget_query_embedding("hello"))
    settled(budgets, calls=3)
    budgets.set_budget(1e-9, "total", hard=True)
    made = len(server.exchanges)
    for call in (model.get_text_embedding, model.get_query_embedding):
        with pytest.raises(BudgetExceededError):
            call("hello " * 100)
    with pytest.raises(BudgetExceededError):
        model.get_text_embedding_batch(["hello " * 100])
    assert len(server.exchanges) == made
    settled(budgets, calls=3)


# LangChain


def test_embeddings_of_langchain_are_stopped_in_our_wrapper(store, budgets, server):
    budgets.set_budget(0.01, "total", hard=True)
    instrument(store, enforce=True)
    embeddings = TrackedEmbeddings(
        OpenAIEmbeddings(
            model="text-embedding-3-small", base_url=server.base_url, api_key="x", check_embedding_ctx_length=False
        ),
        tracker=CostTracker(store),
    )
    embeddings.embed_query("hello")
    settled(budgets, calls=1)
    budgets.set_budget(1e-9, "total", hard=True)
    with pytest.raises(BudgetExceededError):
        embeddings.embed_documents(["hello " * 100])
    assert len(server.exchanges) == 1
    settled(budgets, calls=1)


def test_a_batch_of_which_one_prompt_is_refused_reserves_nothing(store, budgets, clients, server):
    # each may take 100 tokens of output: $0.00006 of gpt-4o-mini, so two fit
    budgets.set_budget(0.00015, "total", hard=True)
    instrument(store, enforce=True)
    with pytest.raises(BudgetExceededError):
        clients.langchain(max_tokens=100).generate([[m] for m in _messages("one", "two", "three")])
    assert server.exchanges == []
    settled(budgets, calls=0)


def _messages(*texts):
    from langchain_core.messages import HumanMessage

    return [HumanMessage(text) for text in texts]


def test_a_fallback_that_has_room_is_used(store, budgets, clients, server):
    budgets.set_budget(0.0005, "total", hard=True)
    instrument(store, enforce=True)
    dear, cheap = clients.langchain("gpt-4o", max_tokens=100), clients.langchain(max_tokens=100)
    dear.with_fallbacks([cheap]).invoke("hello")
    assert [exchange.request["model"] for exchange in server.exchanges] == ["gpt-4o-mini"]
    settled(budgets, calls=1)


def test_twenty_calls_at_once_never_spend_more_than_the_budget(store, budgets, clients, server):
    # each may take 100 tokens of output ($0.001) and costs far less: what is not used is there for others
    budgets.set_budget(0.004, "total", hard=True)
    instrument(store, enforce=True)
    model = clients.langchain("gpt-4o", max_tokens=100)

    async def all_of_them():
        return await asyncio.gather(*(model.ainvoke("hello") for _ in range(20)), return_exceptions=True)

    done = asyncio.run(all_of_them())
    refused = [each for each in done if isinstance(each, BudgetExceededError)]
    assert len(refused) == 20 - len(server.exchanges)  # most wait until others are through
    assert budgets.get_remaining().spent <= 0.004
    settled(budgets, calls=len(server.exchanges))


def test_a_call_that_fails_gives_back_what_was_reserved(store, budgets, clients, server):
    budgets.set_budget(1, "total", hard=True)
    instrument(store, enforce=True)
    server.push(Step(status=500))
    with pytest.raises(Exception, match="500"):
        clients.langchain().invoke("hello")
    settled(budgets, calls=1)
    assert budgets.get_remaining().spent == 0


def test_a_budget_for_each_run_stops_one_that_never_ends(store, budgets, clients, server):
    # a call may take 100 tokens of output: $0.00006 of gpt-4o-mini, and costs $0.0000081 or so
    budgets.set_budget(3, "run", unit="calls", hard=True)
    instrument(store, enforce=True)
    model = clients.langchain(max_tokens=100)

    def loop():
        for _ in range(10):
            model.invoke("hello")

    for _ in range(2):
        with tc_core.workflow("loop", storage=store), pytest.raises(BudgetExceededError, match="3 calls of 3 calls"):
            loop()
    assert len(server.exchanges) == 6


def test_a_call_inside_a_block_that_has_reserved_takes_that_over(store, budgets, clients, server):
    budgets.set_budget(0.0001, "total", hard=True)
    instrument(store, enforce=True)
    with budgets.reserve(0.0001):
        clients.langchain(max_tokens=100).invoke("hello")  # has no room but for what the block reserved
        with pytest.raises(BudgetExceededError):
            clients.langchain("gpt-4o", max_tokens=100).invoke("hello")
    settled(budgets, calls=1)


# Models without a price


@pytest.mark.parametrize(
    ("unpriced", "said"), [("refuse", "has no price"), ("allow", None), ("gpt-4o-mini", None), ("gpt-4o", "no room")]
)
def test_a_model_without_a_price(store, budgets, clients, server, unpriced, said):
    budgets.set_budget(0.0005, "total", hard=True, unpriced=unpriced)
    instrument(store, enforce=True)
    model = clients.langchain("acme-1", max_tokens=100)
    if said is not None:
        with pytest.raises(BudgetExceededError, match=said):
            model.invoke("hello")
        assert server.exchanges == []
        return
    model.invoke("hello")
    (event,) = [event for event in store.query_events() if event.is_call]
    assert event.cost is None
    spent = 0.0 if unpriced == "allow" else tc_core.calculate_cost(unpriced, event.input_tokens, event.output_tokens)
    found = budgets.get_remaining()
    assert (found.spent, found.reserved) == (spent, 0)
    assert [each.state for each in budgets.check()] == ["ok"]
