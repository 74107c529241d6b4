"""What A/B tests say of how good models are."""

from tc_core.model.event import to_us
from tc_core.model.period import Period
from tc_core.selection import ab_sql
from tc_core.selection.ab_test import BOUNDS
from tc_core.selection.quality import Outcomes
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


def of_ab_tests(storage: StorageBackend, agent_id: str | None, period: Period) -> dict[str, Outcomes]:
    """Return the outcomes of each model in tests with outcomes from 0 to 1 that ran in a period.

    Tests that were set up for another agent are left out; those that name none are about all.
    """
    if not isinstance(storage, SqlStore):
        return {}
    came: dict[str, list[float]] = {}
    with storage.question() as connection:
        for test in ab_sql.setups(connection):
            is_of_agent = agent_id is None or test.agent_id in (None, agent_id)
            is_before = period.end is not None and test.start_us >= to_us(period.end)
            is_after = period.start is not None and (test.stopped_us or test.end_us) <= to_us(period.start)
            if not is_of_agent or is_before or is_after or (test.low, test.high) != BOUNDS:
                continue
            for arm, value in ab_sql.outcomes(connection, test.id):
                came.setdefault((test.model_a, test.model_b)[arm], []).append(value)
    return {model: Outcomes(len(values), sum(values) / len(values)) for model, values in came.items()}
