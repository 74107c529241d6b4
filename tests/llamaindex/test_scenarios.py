"""What LlamaIndex does, held against what the server counted: to the token."""

import pytest

from tc_core import CostTracker
from tc_llamaindex import TokenCalculatorHandler
from tests.llamaindex.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_what_is_recorded_is_what_the_server_counted(scenario, server, make, store, truth):
    await scenario(make, server)
    truth(store)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_two_handlers_of_a_store_count_once(scenario, server, make, store, truth):
    explicit = TokenCalculatorHandler(CostTracker(store), agent_id="explicit").attach()
    try:
        await scenario(make, server)
    finally:
        explicit.detach()
    truth(store)
    assert set(store.aggregate("calls", ["agent_id"])) == {("explicit",)}
    assert {event.agent_id for event in store.query_events()} == {"explicit"}
