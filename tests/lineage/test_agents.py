"""How well agents do, against numbers from the literature and ones worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from tc_core import InMemoryStorage, LineageError, ProvenanceAnalyzer, ProvenanceRelationship, TrackingEvent
from tc_core.lineage.agents import cost_per_success, median, wilson

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(event_id, parent_id=None, *, second=0, **facts):
    moment = START + timedelta(seconds=second)
    return TrackingEvent(event_id=event_id, parent_id=parent_id, timestamp=moment, **({"event_type": "agent"} | facts))


def call(event_id, parent_id=None, cost=0.0, **facts):
    known = {"event_type": "llm_call", "model": "gpt-4o", "input_tokens": 100, "output_tokens": 10, "cost": cost}
    return event(event_id, parent_id, **(known | facts))


@pytest.mark.parametrize(
    ("successes", "of", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),  # Brown, Cai and DasGupta (2001) and every table of Wilson's interval
        (0, 10, 0.0, 0.2775),
        (2, 2, 0.3424, 1.0),
        (50, 100, 0.4038, 0.5962),
    ],
)
def test_wilson(successes, of, low, high):
    found = wilson(successes, of)
    assert found.value == successes / of
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_of_nothing_nothing_is_known():
    assert [each.value for each in (wilson(0, 0), median([]), cost_per_success([], []))] == [None] * 3
    assert cost_per_success([5, 5], [False, False]).low is None


def test_the_interval_of_a_median_is_between_two_of_the_values():
    # n = 100: ranks 100 / 2 -+ 1.96 * 10 / 2 = 40.2 and 59.8, of 0 to 99.
    found = median(range(100))
    assert (found.value, found.low, found.high) == (49.5, 40, 59)
    assert median([7.0]).low == median([7.0]).high == 7.0


def test_a_success_costs_what_failures_cost_too():
    found = cost_per_success([10**9, 10**9, 10**9, 10**9], [True, True, True, False])
    assert found.value == pytest.approx(4 / 3)  # four dollars for three successes
    assert 1 <= found.low <= found.value <= found.high <= 4


@pytest.fixture
def store():
    """A planner with twelve runs, three of them failed, and a writer of which only calls are recorded."""
    store = InMemoryStorage()
    for n in range(12):
        status = "error" if n < 3 else "ok"
        run = event(f"run{n}", second=n, name="planner", agent_id="planner", status=status, latency_ms=100.0 * (n + 1))
        step = event(f"step{n}", f"run{n}", second=n, event_type="task", agent_id="planner")
        store.save_events(
            [run, step, call(f"call{n}", f"step{n}", 0.25, second=n, agent_id="planner", cached_tokens=50)]
        )
    store.save_events([event("open", second=50, agent_id="planner", status="open")])
    store.save_events([call(f"w{n}", None, None, second=60 + n, agent_id="writer") for n in range(2)])
    store.save_events([call("nobody's", None, 9.0)])
    store.save_relationship(ProvenanceRelationship("call1", "call0", "retry_of"))
    store.save_relationship(ProvenanceRelationship("run1", "run0", "retry_of"))
    store.save_relationship(ProvenanceRelationship("call2", "call0", "retry_of", "content", 0.5))
    return store


def test_runs_of_an_agent(each_store, store):
    each_store.save_events(store.query_events())
    for relation in store.relationships():
        each_store.save_relationship(relation)
    planner, writer = ProvenanceAnalyzer(each_store).agent_performance()
    assert (planner.agent_id, planner.unit, planner.finished, planner.successes) == ("planner", "runs", 12, 9)
    assert (planner.unfinished, planner.is_enough, planner.calls, planner.retries) == (1, True, 12, 1)
    assert planner.success_rate.value == 0.75
    assert planner.latency_ms.value == 800  # of the successes, 400 to 1,200
    assert planner.cost == 3.0
    assert planner.cost_per_success.value == pytest.approx(3 / 9)
    assert planner.cached_share == 0.5
    assert (writer.unit, writer.finished, writer.is_enough, writer.unpriced_calls) == ("calls", 2, False, 2)
    assert (writer.cost, writer.cost_per_success.value, writer.latency_ms.value) == (None, None, None)
    plain = planner.to_dict()
    assert (plain["success_rate"], plain["cost"]) == (0.75, 3.0)
    assert plain["success_rate_low"] < 0.75 < plain["success_rate_high"]


def test_a_period_filters_and_another_least_number(store):
    analyzer = ProvenanceAnalyzer(store)
    (planner,) = analyzer.agent_performance(START, START + timedelta(seconds=6), least=6)
    assert (planner.finished, planner.successes, planner.is_enough) == (6, 3, True)
    assert [each.agent_id for each in analyzer.agent_performance(filters={"agent_id": "writer"})] == ["writer"]
    (one,) = analyzer.agent_performance(filters={"root_id": "run5"})
    assert (one.finished, one.calls) == (1, 1)
    (step,) = analyzer.agent_performance(filters={"parent_id": "run5"})
    assert (step.unit, step.finished) == ("calls", 0)
    assert ProvenanceAnalyzer(InMemoryStorage()).agent_performance() == []


def test_bottlenecks_of_a_workflow():
    store = InMemoryStorage()
    for n in range(2):
        at = START + timedelta(minutes=n)
        store.save_events(
            [
                TrackingEvent(
                    event_id=f"r{n}", timestamp=at, event_type="workflow", workflow_id="trip", latency_ms=100.0
                ),
                TrackingEvent(
                    event_id=f"s{n}",
                    parent_id=f"r{n}",
                    timestamp=at,
                    event_type="tool",
                    name="search",
                    workflow_id="trip",
                    latency_ms=90.0,
                ),
            ]
        )
    analyzer = ProvenanceAnalyzer(store)
    slow, waiting = analyzer.bottlenecks("trip")
    assert (slow.name, slow.ms, slow.runs, waiting.ms) == ("search", 180, 2, 20)
    assert analyzer.bottlenecks("trip", runs=1)[0].ms == 90
    with pytest.raises(LineageError, match="no run of workflow 'none'"):
        analyzer.bottlenecks("none")
