"""CrewAI's bus hands events to handlers in threads, in any order: what is recorded does not depend on it."""

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import tc_core
from tc_core import SQLiteStorage
from tc_core.lineage.tree import tree
from tc_core.runtime.recorders import recorder_for
from tests.crewai import scenarios
from tests.crewai.test_host_is_safe import tables
from tests.crewai.test_lineage import relations
from tests.crewai.test_scenarios import run

NEAR = 6
"""How far apart two events may be that change places: as far as a busy machine lets them."""

SHUFFLED = [
    scenarios.a_crew_for_each_input,
    scenarios.delegation,
    scenarios.a_hierarchy,
    scenarios.a_guardrail,
    scenarios.a_guardrail_that_asks_a_model,
    scenarios.an_agent_that_tries_again,
    scenarios.an_agent_alone,
    scenarios.an_agent_alone_with_a_guardrail,
    scenarios.a_function_that_the_model_runs,
    scenarios.failures_that_crewai_tells_twice,
    scenarios.tasks_that_run_side_by_side,
    scenarios.a_flow,
    scenarios.memory,
    scenarios.knowledge_with_exact_embeddings,
    scenarios.no_usage,
]


class Late:
    """Keeps back what the bus hands to our handlers, until it is let go."""

    def __init__(self):
        self.kept = []
        self._lock = threading.Lock()
        self._keeps = True
        self._submit = submit = ThreadPoolExecutor.submit

        def keep(pool, function, *arguments):
            if pool._thread_name_prefix != "CrewAISyncHandler" or not _is_for_us(arguments):
                return submit(pool, function, *arguments)
            with self._lock:
                if not self._keeps:  # a memory that is saved in a thread may end after all else
                    return submit(pool, function, *arguments)
                self.kept.append((pool, function, *arguments))
            done = Future()
            done.set_result(None)
            return done

        ThreadPoolExecutor.submit = keep

    def let_go(self, order):
        """Hand on what was kept, in the order that `order` makes of how many there are."""
        self._keep_no_more()
        handled = [pool.submit(*arguments) for pool, *arguments in map(self.kept.__getitem__, order(len(self.kept)))]
        for each in handled:
            each.result(10)

    def let_go_singly(self, place):
        """Hand on one after another, sorted by what `place` says of each event."""
        self._keep_no_more()
        for pool, *arguments in sorted(self.kept, key=lambda kept: place(kept[4])):
            pool.submit(*arguments).result(10)

    def _keep_no_more(self):
        ThreadPoolExecutor.submit = self._submit
        with self._lock:
            self._keeps = False


def _is_for_us(arguments):
    _call_handlers, _source, _event, handlers, _state = arguments
    return any(handler.__module__.startswith("tc_crewai") for handler in handlers)


def told(store):
    """Return all lineages of a store, and its relations, in no order."""
    events = store.query_events()
    trees = [tree(*store.tree(event.event_id)).walk() for event in events if event.parent_id is None]
    return sorted([_row(node.event) for node in nodes] for nodes in trees), relations(store)


def _row(event):
    named = (event.depth, event.event_type, event.name, event.model, event.provider, event.status)
    return tuple(map(str, (*named, event.agent_id, event.task_type, event.usage, event.usage_source)))


def wait_for_ends(store):
    """Return once nothing is open: CrewAI's memory is saved in threads that outlast a kick-off on a busy machine."""
    deadline = time.monotonic() + 20
    while recorder_for(store)._open and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not recorder_for(store)._open


@pytest.fixture
def shuffled(world, store, tmp_path, monkeypatch):
    """Runs a scenario twice, the second time with its events in another order; returns what is told of both."""

    def compare(scenario, order):
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "first"))
        run(scenario, world)
        wait_for_ends(store)
        in_order = told(store)
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "second"))
        late = Late()
        with SQLiteStorage(tmp_path / "late.db") as other:
            tc_core.instrument(other)
            try:
                run(scenario, world)
            finally:
                late.let_go(order)
            wait_for_ends(other)
            found = told(other)
        assert tables() == [0] * 5
        return found, in_order

    return compare


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("scenario", SHUFFLED, ids=lambda scenario: scenario.__name__)
def test_neighbours_that_change_places_change_nothing(scenario, seed, shuffled):
    chance = random.Random(seed)
    found, in_order = shuffled(
        scenario, lambda count: sorted(range(count), key=lambda place: place + chance.uniform(0, NEAR))
    )
    assert found == in_order


@pytest.mark.parametrize(
    "scenario",
    [scenarios.delegation, scenarios.a_hierarchy, scenarios.a_guardrail, scenarios.a_flow, scenarios.memory],
    ids=lambda scenario: scenario.__name__,
)
def test_what_is_told_from_the_end_to_the_beginning_is_the_same(scenario, shuffled):
    found, in_order = shuffled(scenario, lambda count: reversed(range(count)))
    assert found == in_order


@pytest.mark.parametrize(
    "first",
    [("crew_kickoff_started", "task_started", "agent_execution_completed"), ("agent_execution_completed",)],
    ids=["the-other-is-known", "nothing-is-known"],
)
def test_an_end_that_names_the_start_of_something_else_is_kept_until_its_own_is_told(first, world, store):
    late = Late()
    try:
        run(scenarios.failures_that_crewai_tells_twice, world)
    finally:
        late.let_go_singly(lambda event: first.index(event.type) if event.type in first else len(first))
    wait_for_ends(store)
    agents = store.query_events({"event_type": "agent"})
    assert [(event.agent_id, event.status) for event in agents] == [("Researcher", "ok"), ("Writer", "ok")]
    assert tables() == [0] * 5
