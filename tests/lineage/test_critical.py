"""The critical path and the bottlenecks of runs whose times are known."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tc_core.lineage.critical import bottlenecks, critical_path
from tc_core.lineage.tree import tree
from tc_core.model.event import TrackingEvent

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(event_id, parent_id, begin_ms, end_ms, **facts):
    return TrackingEvent(
        event_id=event_id,
        parent_id=parent_id,
        root_id="run",
        timestamp=START + timedelta(milliseconds=begin_ms),
        latency_ms=None if end_ms is None else float(end_ms - begin_ms),
        **({"event_type": "tool", "name": event_id} | facts),
    )


def steps(path):
    return [(step.name, step.begins_ms, step.ms, step.is_wait) for step in path.steps]


def test_of_what_runs_at_once_what_ends_last_is_waited_for():
    # 0..100: slow runs 10..70 beside quick 10..30; then last 80..95. Between them and at both ends the run itself.
    path = critical_path(
        tree(
            [
                event("run", None, 0, 100, event_type="workflow"),
                event("slow", "run", 10, 70),
                event("quick", "run", 10, 30),
                event("last", "run", 80, 95),
            ]
        )
    )
    assert steps(path) == [
        ("run", 0, 10, True),
        ("slow", 10, 60, False),
        ("run", 70, 10, True),
        ("last", 80, 15, False),
        ("run", 95, 5, True),
    ]
    assert (path.total_ms, path.busy_ms, path.wait_ms) == (100, 75, 25)
    assert path.names == ["slow", "last"]


def test_it_goes_through_what_hangs_below():
    path = critical_path(
        tree(
            [
                event("run", None, 0, 50, event_type="workflow"),
                event("agent", "run", 0, 50, event_type="agent"),
                event("ask", "agent", 0, 20, event_type="llm_call", model="gpt-4o", agent_id="planner"),
                event("search", "agent", 20, 30),
                event("again", "agent", 30, 50, event_type="llm_call", model="gpt-4o", agent_id="planner"),
            ]
        )
    )
    assert [step.event_id for step in path.steps] == ["ask", "search", "again"]
    assert path.names == ["planner", "search", "planner"]
    assert path.wait_ms == 0
    assert path.to_dict()["steps"][1] == {
        "event_id": "search", "name": "search", "kind": "tool", "agent_id": None, "begins_ms": 20.0, "ms": 10.0,
        "is_wait": False,
    }  # fmt: skip


def test_what_overlaps_is_counted_once():
    # a 0..60 and b 40..100 overlap: from the end back, b is waited for until 40, then a from 0 until there.
    path = critical_path(
        tree([event("run", None, 0, 100, event_type="workflow"), event("a", "run", 0, 60), event("b", "run", 40, 100)])
    )
    assert steps(path) == [("a", 0, 40, False), ("b", 40, 60, False)]


def test_what_has_no_end_ends_with_the_last_below_it_and_what_ends_after_its_parent_is_cut():
    path = critical_path(
        tree([event("run", None, 0, None, event_type="workflow"), event("a", "run", 10, 40), event("b", "a", 20, 90)])
    )
    assert path.total_ms == 40
    assert steps(path) == [("run", 0, 10, True), ("a", 10, 10, True), ("b", 20, 20, False)]


def test_a_run_without_times_has_no_path():
    path = critical_path(tree([event("run", None, 0, None), event("a", "run", 0, None)]))
    assert (path.steps, path.total_ms, path.names) == ((), 0, [])


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 60), st.integers(0, 8)), max_size=12))
def test_the_steps_fill_the_run_without_gap_or_overlap(spans):
    events = [event("run", None, 0, 100, event_type="workflow")]
    for number, (begin, length, above) in enumerate(spans):
        parent = "run" if above >= number else f"e{above}"
        events.append(event(f"e{number}", parent, begin, begin + length))
    path = critical_path(tree(events))
    at = 0.0
    for step in path.steps:
        assert step.begins_ms == pytest.approx(at)
        assert step.ms > 0
        at += step.ms
    assert at == pytest.approx(100)
    assert path.busy_ms + path.wait_ms == pytest.approx(path.total_ms) == pytest.approx(100)


def test_bottlenecks_are_what_several_runs_wait_for():
    def run(search_ms):
        ends = 20 + search_ms
        return tree(
            [
                event("run", None, 0, ends + 10, event_type="workflow"),
                event("ask", "run", 0, 20, event_type="llm_call", model="gpt-4o", agent_id="planner", cost=0.5),
                event("search", "run", 20, ends),
            ]
        )

    first, second, third = bottlenecks([run(70), run(170)])
    # Of 100 + 200 ms: the tool 70 + 170, the model 20 + 20, and 10 + 10 in which nothing ran.
    assert (first.kind, first.name, first.ms, first.share, first.runs) == ("tool", "search", 240, 0.8, 2)
    assert (second.name, second.agent_id, second.ms, second.cost) == ("gpt-4o", "planner", 40, 0.5)
    assert (third.kind, third.name, third.ms, third.cost) == ("waiting", "run", 20, None)
    assert first.saves_ms == 60  # half of 240 ms, of two runs
    assert sum(each.share for each in (first, second, third)) == pytest.approx(1)
    assert first.to_dict()["event_ids"] == ("search",)
