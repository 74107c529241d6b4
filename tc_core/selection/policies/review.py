"""Looking at what came of a policy: outcomes of runs are taken up, and held against those of runs that were kept."""

from typing import Any

from tc_core.model.event import from_us
from tc_core.selection.policies import guard, sql
from tc_core.selection.policies.sql import Applied
from tc_core.store.sql import SqlStore
from tc_core.workflows.outcomes import OUTCOME

MOST_OUTCOMES = 20_000


def review(store: SqlStore, applied: Applied) -> str | None:
    """Take up the outcomes since a policy of kind `route` is on; return why it is to be taken back, or None."""
    events = store.query_events(
        {"event_type": OUTCOME}, from_us(applied.since_us), limit=MOST_OUTCOMES, descending=True
    )
    found = sql.of_outcomes(reversed(events), applied.policy.unit or "run")

    def do(connection: Any) -> str | None:
        sql.say_outcomes(connection, applied.salt, found)
        return guard.verdict(applied.policy, sql.outcomes(connection, applied.salt), sql.sums(connection, applied.salt))

    return store.database.transact(do)
