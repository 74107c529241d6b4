"""A store, and a clock that tests set: what a run took is then exact."""

from datetime import UTC, datetime

import pytest

from tc_core import SQLiteStorage, WorkflowTracker
from tc_core.testing import FakeClock

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def own_store(tmp_path):
    with SQLiteStorage(tmp_path / "own.db") as store:
        yield store


@pytest.fixture
def clock():
    with FakeClock(START) as clock:
        yield clock


@pytest.fixture
def tracker(own_store):
    return WorkflowTracker("support", own_store)


def tree_of(store, tracker, run=None):
    """Return depth, type and name of each event of a run, in the order of a tree."""
    found, waiting = [], [(0, tracker._run(run))]
    while waiting:
        depth, node = waiting.pop()
        found.append((depth, node.event.event_type, node.event.name or node.event.model))
        waiting.extend((depth + 1, child) for child in reversed(node.children))
    return found
