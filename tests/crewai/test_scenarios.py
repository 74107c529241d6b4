"""What CrewAI does, held against what the server counted: to the token."""

import asyncio

import pytest

from tc_core import CostTracker
from tc_core.runtime.recorders import recorder_for
from tc_crewai import TokenCalculatorListener
from tc_crewai.runs import runs
from tests.crewai.scenarios import ESTIMATED, SCENARIOS, knowledge


def run(scenario, world):
    """Run a scenario as a program would: one that is asynchronous in an event loop of its own."""
    if asyncio.iscoroutinefunction(scenario):
        asyncio.run(scenario(world))
    else:
        scenario(world)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_is_recorded_is_what_the_server_counted(scenario, world, store, truth):
    explicit = TokenCalculatorListener(CostTracker(store), environment="explicit")  # beside the global one
    run(scenario, world)
    truth(store)
    assert set(store.aggregate("calls", ["environment"])) == {("explicit",)}
    explicit.remove()
    assert not recorder_for(store)._open
    assert not runs.scopes.open


@pytest.mark.parametrize("scenario", ESTIMATED, ids=lambda scenario: scenario.__name__)
def test_what_crewai_does_not_tell_is_estimated_and_says_so(scenario, world, store, truth):
    run(scenario, world)
    truth(store, estimated=ESTIMATED[scenario])


def test_embeddings_of_knowledge_are_estimated_but_for_those_of_its_sources(world, store):
    """Of a source that is read in, CrewAI tells nothing; the documents say how to see it."""
    knowledge(world)
    of_source, *_, of_question, _answer = [each.tokens for each in world.server.exchanges]
    (estimated,) = store.query_events({"event_type": "embedding"})
    assert (estimated.model, estimated.usage_source) == ("text-embedding-3-small", "exact")
    assert estimated.cost is not None
    total = store.totals()[()]
    assert (total.calls, total.estimated) == (len(world.server.exchanges) - 1, 1)
    known = store.totals(filters={"event_type": "llm_call"})[()].input_tokens
    assert known == sum(each.tokens.prompt for each in world.server.exchanges) - of_source.prompt - of_question.prompt


def test_the_tables_are_as_long_as_they_must_be():
    assert len(SCENARIOS) >= 25
