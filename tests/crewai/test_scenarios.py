"""What CrewAI does, held against what the server counted: to the token."""

import pytest

from tc_core import CostTracker
from tc_core.runtime.recorders import recorder_for
from tc_crewai import TokenCalculatorListener
from tc_crewai.runs import runs
from tests.crewai.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_what_is_recorded_is_what_the_server_counted(scenario, world, store, truth):
    explicit = TokenCalculatorListener(CostTracker(store), environment="explicit")  # beside the global one
    await scenario(world)
    truth(store)
    assert set(store.aggregate("calls", ["environment"])) == {("explicit",)}
    explicit.remove()
    assert not recorder_for(store)._open
    assert not runs.scopes.open
