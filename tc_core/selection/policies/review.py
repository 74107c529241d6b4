"""Looking at what came of a policy: outcomes are taken up, and held against those of runs that it did not touch.

What is routed is held against what was kept at the same time, by the toss of a coin. Other kinds act on all calls that
they are about: there the runs since then are held against as many days before, which says less, and enough for a guard.
"""

from typing import Any

from tc_core.model.event import from_us
from tc_core.model.scope import DIMENSIONS
from tc_core.selection.policies import guard, sql
from tc_core.selection.policies.evidence import Counts
from tc_core.selection.policies.sql import Applied
from tc_core.store.schema.days import US_PER_DAY
from tc_core.store.sql import SqlStore
from tc_core.workflows.outcomes import OUTCOME

MOST_OUTCOMES = 20_000
BEFORE_US = 30 * US_PER_DAY
SLACK_US = 600_000_000
"""An outcome may be dated so long before it is in the store."""
_SAID_OF_RUNS = frozenset(DIMENSIONS) - {"agent_id", "agent_type", "task_type", "intent"}
"""Dimensions by which outcomes can be told apart: they are of runs, not of the agents in them."""


def review(store: SqlStore, applied: Applied, heard_us: int | None = None) -> str | None:
    """Take up the outcomes under a policy, since `heard_us`; return why it is to be taken back, or None."""
    if applied.policy.kind != "route":
        return _before_and_since(store, applied)
    since_us = applied.since_us if heard_us is None else max(applied.since_us, heard_us - SLACK_US)
    events = store.query_events({"event_type": OUTCOME}, from_us(since_us), limit=MOST_OUTCOMES, descending=True)
    found = sql.of_outcomes(reversed(events), applied.policy.unit or "run")
    salt, margin = applied.salt, applied.policy.margin or guard.MARGIN

    def do(connection: Any) -> str | None:
        sql.say_outcomes(connection, salt, found)
        words = ("kept as they were", "that were routed")
        worse = guard.verdict(margin, sql.outcomes(connection, salt), words)
        return worse or guard.verdict_of_errors(sql.sums(connection, salt))

    return store.database.transact(do)


def _before_and_since(store: SqlStore, applied: Applied) -> str | None:
    filters: dict[str, Any] = {
        name: list(values)
        for name, values in applied.policy.filters.items()
        if name in _SAID_OF_RUNS or name.startswith("labels.")
    }
    events = store.query_events(
        {**filters, "event_type": OUTCOME},
        from_us(applied.since_us - BEFORE_US),
        limit=MOST_OUTCOMES,
        descending=True,
    )
    since = from_us(applied.since_us)
    before, under = ([each for each in events if (each.timestamp >= since) is is_since] for is_since in (False, True))
    counts = Counts(*_counted(before)), Counts(*_counted(under))
    worse = guard.verdict(guard.MARGIN, counts, ("before", "since it is on"))
    if worse is not None or applied.policy.kind != "trim":
        return worse
    with store.database.reading() as connection:
        return guard.verdict_of_errors(sql.sums(connection, applied.salt))


def _counted(events: list[Any]) -> tuple[int, int]:
    said = sql.of_outcomes(sorted(events, key=lambda each: each.timestamp), "run")
    return sum(said.values()), len(said)
