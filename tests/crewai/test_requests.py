"""What goes over the wire, seen by the interceptor: requests made again, and answers that nobody could parse."""

import asyncio

import pytest
from crewai import LLM

import tc_crewai
from tc_core.demo.script import Step
from tests.crewai.conftest import World
from tests.crewai.scenarios import (
    Sum,
    a_function_that_the_model_runs,
    an_agent_that_plans_its_steps,
    an_agent_with_a_tool,
    asynchronous,
    delegation,
    plain,
    streamed,
)
from tests.crewai.test_scenarios import run


@pytest.fixture
def watched(server):
    return World(server, interceptor=tc_crewai.TrackingInterceptor(), max_retries=2)


def attempts(store, event):
    return [(attempt.number, attempt.retry, attempt.status, attempt.input_tokens) for attempt in store.attempts(event)]


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_requests_that_the_client_makes_again_are_attempts_of_one_call(watched, server, store, is_asynchronous):
    server.push(Step(status=500), Step(status=500), Step(text="ok", usage={"prompt": 10, "completion": 2}))
    if is_asynchronous:
        asyncio.run(watched.llm().acall("hello"))
    else:
        watched.llm().call("hello")
    (event,) = store.query_events()
    assert (event.input_tokens, event.output_tokens, event.usage_source) == (10, 2, "provider")
    assert attempts(store, event.event_id) == [(1, 0, 500, None), (2, 1, 500, None), (3, 2, 200, 10)]


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_an_answer_that_cannot_be_parsed_is_billed_all_the_same(watched, server, store, is_asynchronous):
    """CrewAI tells only that the call has failed; the tokens are those of the answer."""
    server.push(Step(text="no JSON", usage={"prompt": 40, "completion": 7}))
    llm = watched.llm()
    with pytest.raises(Exception, match="JSON"):
        asyncio.run(llm.acall("hello", response_model=Sum)) if is_asynchronous else llm.call(
            "hello", response_model=Sum
        )
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.output_tokens, event.usage_source) == ("error", 40, 7, "provider")
    assert event.cost_nanos == 40 * 150 + 7 * 600  # 0.15 and 0.60 dollars a million


@pytest.mark.parametrize(
    "scenario",
    [plain, streamed, asynchronous, an_agent_with_a_tool, delegation],
    ids=lambda scenario: scenario.__name__,
)
def test_the_interceptor_adds_nothing_to_what_is_counted(scenario, server, store, truth):
    run(scenario, World(server, interceptor=tc_crewai.TrackingInterceptor()))
    truth(store)


@pytest.mark.parametrize("scenario", [a_function_that_the_model_runs, an_agent_that_plans_its_steps])
def test_usage_that_crewai_loses_is_exact_with_the_interceptor(scenario, server, store, truth):
    scenario(World(server, interceptor=tc_crewai.TrackingInterceptor()))
    truth(store)


def test_without_anybody_listening_the_interceptor_does_nothing(server):
    LLM(
        model="openai/gpt-4o-mini", base_url=server.base_url, api_key="x", interceptor=tc_crewai.TrackingInterceptor()
    ).call("hello")
    assert len(server.exchanges) == 1
