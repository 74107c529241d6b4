"""What a run says: figures worked out by hand, on a clock that tests set."""

import pytest

from tc_core import CostTracker, WorkflowTracker, continue_trace
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

US = 0.001
"""A reading of the clock, in milliseconds: each moves it on."""


def near(milliseconds):
    """A duration by the clock, which moves on a little at each reading."""
    return pytest.approx(milliseconds, abs=1)


def ask(store, clock, prompt, answer, *, tokens, seconds=1.0, model="gpt-4o", status="ok", cached=None):
    """Record a model call as an adapter does, and return its id."""
    recorder, key = recorder_for(store), object()
    id_ = recorder.start("llm_call", key=key, model=model, content=prompt)
    clock.advance(seconds=seconds)
    usage = Usage(tokens, 10, cached)
    if status == "ok":
        recorder.finish(key, usage=usage, output=[Segment("assistant", "text", answer)])
    else:
        recorder.fail(key, status=status, error_type="Timeout", usage=usage)
    return id_


def user(text):
    return [Segment("user", "text", text)]


def test_the_critical_path_sums_to_the_duration(own_store, tracker, clock):
    """planner 2 s, of which its call takes 1.5; then executor 5 s; 1 s nothing."""
    with tracker:
        with tracker.track_agent("planner"):
            clock.advance(seconds=0.5)
            ask(own_store, clock, user("plan"), "a plan", tokens=1000, seconds=1.5)
        with tracker.track_agent("executor"):
            clock.advance(seconds=5)
        clock.advance(seconds=1)
    analysis = tracker.analyze()
    steps = [(step.name, round(step.duration_ms)) for step in analysis.critical_path if step.duration_ms > 1]
    assert steps == [("planner", 500), ("gpt-4o", 1500), ("executor", 5000), ("support", 1000)]
    assert sum(step.duration_ms for step in analysis.critical_path) == pytest.approx(analysis.duration_ms)
    assert analysis.duration_ms == near(8000)
    assert analysis.bottleneck_agent == "executor"
    assert analysis.agents["planner"].critical_ms == near(2000)
    # at work are the call (1.5 s) and the executor (5 s), of 8 s
    assert analysis.serial_share == pytest.approx(6.5 / 8, abs=0.001)
    assert (analysis.parallel_share, analysis.efficiency.parallelism) == (0, 1)
    assert analysis.idle_share == pytest.approx(1.5 / 8, abs=0.001)


def test_agents_at_the_same_time_are_parallel_and_only_the_longer_is_critical(own_store, tracker, clock):
    with tracker:
        long, short = tracker.track_agent("long"), tracker.track_agent("short")
        long._open()
        clock.advance(seconds=1)
        short._open()
        clock.advance(seconds=2)
        short._close(None)
        clock.advance(seconds=1)
        long._close(None)
    analysis = tracker.analyze()
    assert analysis.parallel_share == pytest.approx(0.5, abs=0.001)
    assert analysis.efficiency.parallelism == pytest.approx(1.5, abs=0.001)
    assert [step.name for step in analysis.critical_path if step.duration_ms > 1] == ["long"]
    assert analysis.agents["short"].critical_ms == 0


def test_an_agent_that_works_twice_at_once_is_not_counted_twice(own_store, tracker, clock):
    with tracker:
        one, two = tracker.track_agent("worker"), tracker.track_agent("worker")
        one._open()
        two._open()
        clock.advance(seconds=3)
        one._close(None)
        two._close(None)
    worker = tracker.analyze().agents["worker"]
    assert (worker.entries, worker.duration_ms) == (2, near(3000))


def test_an_agent_without_calls_and_a_call_without_a_price_divide_by_nothing(own_store, tracker):
    """The first version divided by a cost of zero."""
    with tracker, tracker.track_agent("idle"):
        pass
    analysis = tracker.analyze()
    assert (analysis.total_cost, analysis.agents["idle"].cost, analysis.bottleneck_agent) == (0, 0, "idle")
    assert analysis.efficiency.waste_share is None
    with tracker, tracker.track_agent("worker") as worker:
        worker.track_call("a-model-without-a-price", 1000, 100)
    analysis = tracker.analyze()
    assert (analysis.total_cost, analysis.unpriced_calls, analysis.agents["worker"].cost) == (None, 1, None)
    assert analysis.to_dict()["total_cost"] is None


def test_by_cost_the_dearest_is_the_bottleneck_where_nothing_tells_of_time(own_store, tracker):
    with tracker:
        for agent, tokens in (("cheap", 10), ("dear", 100_000)):
            with tracker.track_agent(agent) as each:
                each.track_call("gpt-4o", tokens, 0)
    analysis = tracker.analyze()
    assert analysis.bottleneck_agent == "dear"
    assert analysis.costliest_path == ("support", "dear", "gpt-4o")


def test_latencies_that_were_given_by_hand_count(own_store, tracker):
    with tracker:
        for agent, latency in (("slow", 5000), ("quick", 100)):
            with tracker.track_agent(agent) as each:
                each.track_call("gpt-4o-mini", 10, 0, latency_ms=latency)
    assert tracker.analyze().bottleneck_agent == "slow"


def test_retries_and_duplicates_are_waste_each_once(own_store, tracker, clock):
    """A time-out that was billed and made again; then the same question twice more, of which one is a duplicate."""
    again = "Which flights leave for Rome tomorrow morning, and how many seats are left in each?"
    with tracker, tracker.track_agent("worker"):
        ask(own_store, clock, user("plan"), "", tokens=1000, status="error")
        ask(own_store, clock, user("plan"), "a plan", tokens=1000)
        ask(own_store, clock, user(again), "two", tokens=2000)
        ask(own_store, clock, user(again), "two", tokens=2000)
    wasted = tracker.analyze().waste
    assert (wasted.retried_calls, wasted.duplicate_calls) == (1, 1)
    # 1,000 x $2.50 + 10 x $10 a million, and 2,000 x $2.50 + 10 x $10
    assert (wasted.retried_cost_nanos, wasted.duplicate_cost_nanos) == (2_600_000, 5_100_000)
    assert wasted.cost == pytest.approx(0.0077)
    suggested = {each.kind: each for each in tracker.suggest_optimizations()}
    assert suggested.keys() == {"retries", "duplicates"}
    assert suggested["duplicates"].savings == pytest.approx(0.0051)
    assert suggested["retries"].evidence["errors"] == ["Timeout"]


def test_the_same_question_at_the_same_time_is_no_duplicate(own_store, tracker, clock):
    recorder = recorder_for(own_store)
    with tracker, tracker.track_agent("worker"):
        for key in ("a", "b"):
            recorder.start("llm_call", key=key, model="gpt-4o", content=user("the same"))
        clock.advance(seconds=1)
        for key in ("a", "b"):
            recorder.finish(key, usage=Usage(10, 1), output=[Segment("assistant", "text", "yes")])
    assert tracker.analyze().waste.duplicate_calls == 0


def test_what_is_sent_again_is_told_apart_from_waste(own_store, tracker, clock):
    long = "A long document about the rules of flying. " * 50
    with tracker, tracker.track_agent("worker"):
        ask(own_store, clock, user(long), "one", tokens=505)
        ask(own_store, clock, [*user(long), Segment("assistant", "text", "one"), *user("and?")], "two", tokens=520)
    analysis = tracker.analyze()
    assert analysis.waste.cost == 0
    assert 480 < analysis.waste.resent_tokens < 520
    # of 1,025 tokens at $2.50 a million
    assert analysis.waste.resent_cost == pytest.approx(analysis.waste.resent_tokens * 2.5e-6, rel=0.01)
    assert analysis.efficiency.resent_share == pytest.approx(analysis.waste.resent_tokens / 1025)


QUESTION = "What does it cost to fly to Rome in May?"


def run_two(store, clock, *, second, said):
    """A run of two agents, one after the other; `said` is what the first one brings."""
    tracker = WorkflowTracker("trip", store)
    with tracker:
        with tracker.track_agent("flights"):
            system = Segment("system", "text", "You find flights. " * 10)
            ask(store, clock, [system, *user(QUESTION)], said, tokens=90, seconds=4)
        with tracker.track_agent("hotels"):
            system = Segment("system", "text", "You find hotels. " * 10)
            ask(store, clock, [system, *user(second)], "Hotel Roma", tokens=60, seconds=3)
    return tracker


def test_steps_that_did_not_need_each_other_are_proven_by_earlier_runs(own_store, clock):
    tracker = run_two(own_store, clock, second=QUESTION, said="LH 123 at 10:40")
    assert tracker.suggest_optimizations() == []  # a first run proves nothing
    (found,) = run_two(own_store, clock, second=QUESTION, said="LH 77 at 6:15").suggest_optimizations()
    assert (found.kind, found.title) == ("parallel", "Run flights and hotels at the same time")
    assert found.time_saved_ms == near(3000)
    assert found.savings is None
    assert found.confidence == pytest.approx(2 / 3)


@pytest.mark.parametrize("number", [1, 3])
def test_a_step_that_was_given_something_new_is_not_proven_independent(own_store, clock, number):
    """What the first has said may be quoted in it, which hashes do not tell."""
    for run in range(number):
        said = f"LH {run} at 10:40"
        tracker = run_two(own_store, clock, second=f"Find a hotel for who arrives with {said}", said=said)
    assert tracker.suggest_optimizations() == []


def test_what_is_the_same_each_time_since_the_first_says_the_same_is_not_proven(own_store, clock):
    for _ in range(3):
        tracker = run_two(own_store, clock, second="Find a hotel for who arrives with LH 1", said="LH 1")
    assert tracker.suggest_optimizations() == []


def test_a_step_that_reads_what_the_other_said_is_never_independent(own_store, clock):
    tracker = WorkflowTracker("trip", own_store)
    for run in range(3):
        with tracker:
            with tracker.track_agent("flights"):
                said = f"LH {run} leaves at 10:40 and arrives at 12:15, and has one stop and 4 seats left. " * 4
                ask(own_store, clock, user("Find a flight"), said, tokens=10)
            with tracker.track_agent("hotels"):
                ask(own_store, clock, user(said), "Hotel Roma", tokens=100)
    assert tracker.suggest_optimizations() == []


def test_a_step_that_looks_something_up_by_itself_is_not_proven(own_store, clock):
    """Its query may be what the first has said."""
    recorder = recorder_for(own_store)
    tracker = WorkflowTracker("trip", own_store)
    for run in range(3):
        with tracker:
            with tracker.track_agent("flights"):
                ask(own_store, clock, user("Find a flight"), f"LH {run}", tokens=10)
            with tracker.track_agent("hotels"):
                recorder.start("retrieval", key="r", name="hotels")
                clock.advance(seconds=1)
                recorder.finish("r", output=[Segment("tool", "tool_result", "Hotel Roma")])
                ask(own_store, clock, [*user("Find a hotel"), *user("Hotel Roma")], "yes", tokens=100)
    assert tracker.suggest_optimizations() == []


def test_steps_that_ran_at_once_in_another_run_are_proven_by_that(own_store, clock):
    tracker = WorkflowTracker("trip", own_store)
    with tracker:
        blocks = [tracker.track_agent(name) for name in ("flights", "hotels")]
        for block in blocks:
            block._open()
        clock.advance(seconds=2)
        for block in blocks:
            block._close(None)
    clock.advance(seconds=1)
    (found,) = run_two(own_store, clock, second="Something new", said="LH 123").suggest_optimizations()
    assert found.evidence["proofs"] == [{"by": "overlap", "runs": 1}]


def test_a_context_that_two_agents_send_in_different_places_could_be_cached(own_store, clock):
    handbook = Segment("user", "text", "The handbook says that every flight must be checked twice. " * 130)
    tracker = WorkflowTracker("trip", own_store)
    with tracker:
        for agent in ("flights", "hotels"):
            with tracker.track_agent(agent):
                system = Segment("system", "text", f"You find {agent}.")
                ask(own_store, clock, [system, handbook], "yes", tokens=1500)
    (found,) = tracker.suggest_optimizations()
    assert found.kind == "shared_context"
    tokens = found.evidence["tokens"]
    assert 1300 < tokens < 1500
    # a cached token of gpt-4o costs $1.25 a million less
    assert found.savings_high == pytest.approx(tokens * 1.25e-6)


def test_two_runs_are_compared_by_agent_and_by_origin(own_store, tracker, clock):
    for text in ("Short.", "A much longer question, with many words in it, that somebody has asked. " * 10):
        with tracker:
            with tracker.track_agent("planner"):
                ask(own_store, clock, user("plan"), "a plan", tokens=10)
            with tracker.track_agent("executor"):
                ask(own_store, clock, user(text), "done", tokens=len(text) // 4)
    second, first = tracker.runs()
    change = tracker.compare(first, second)
    # 720 characters against 6: 180 tokens against 1
    assert (change.tokens, change.calls) == (179, 0)
    assert [(agent.agent_id, agent.tokens) for agent in change.agents] == [("executor", 179)]
    assert sum(origin.tokens for origin in change.origins) == 179
    assert tracker.compare(first.event.event_id).to_dict() == change.to_dict()


def test_runs_together_are_a_distribution_with_what_a_success_costs(own_store, clock):
    tracker = WorkflowTracker("support", own_store)
    for number in range(1, 12):
        with tracker:
            with tracker.track_agent("worker") as worker:
                clock.advance(seconds=number)
                worker.track_call("gpt-4o", 1000 * number, 0)
            if number <= 10:
                tracker.outcome(success=number % 2 == 0, value=number)
    found = tracker.distribution()
    assert (found.runs, found.outcomes, found.successes, found.success_rate) == (11, 10, 5, 0.5)
    assert (found.tokens.p50, found.tokens.least, found.tokens.most, found.tokens.mean) == (6000, 1000, 11000, 6000)
    assert found.duration_ms.p50 == near(6000)
    # 1 + ... + 10 thousand tokens at $2.50 a million, over five successes
    assert found.cost_per_success == pytest.approx(55_000 * 2.5e-6 / 5)
    assert found.value == 55
    assert tracker.distribution(since=tracker.runs()[2].event.timestamp).runs == 3
    assert WorkflowTracker("nothing", own_store).distribution().to_dict()["cost"] is None


def test_analysis_comes_from_storage_also_in_another_process(own_store, tracker, run_python):
    with tracker, tracker.track_agent("worker") as worker:
        worker.track_call("gpt-4o", 1000, 100)
    said = run_python(
        "import sys; from tc_core import WorkflowTracker;"
        "print(WorkflowTracker('support', sys.argv[1]).analyze().to_dict() == eval(sys.stdin.read() or sys.argv[2]))",
        own_store.path,
        repr(tracker.analyze().to_dict()),
    )
    assert said.strip() == "True"


def test_a_graph_or_a_block_is_analysed_by_its_name(own_store):
    recorder = recorder_for(own_store)
    recorder.start("workflow", key="graph", name="reporter")
    CostTracker(own_store).track_call("gpt-4o", 1, 1)
    recorder.start("llm_call", key="call", parent="graph", model="gpt-4o", labels={"agent_id": "writer"})
    recorder.finish("call", usage=Usage(1000, 100))
    recorder.finish("graph")
    assert wait_for_parts(own_store, 60)
    assert WorkflowTracker("reporter", own_store).analyze().agents["writer"].calls == 1


def test_every_store_that_lasts_answers_alike(each_store, clock):
    tracker = WorkflowTracker("support", each_store)
    again = "Which flights leave for Rome tomorrow morning, and how many seats are left in each?"
    with tracker:
        with tracker.track_agent("worker"):
            ask(each_store, clock, user(again), "two", tokens=2000)
            ask(each_store, clock, user(again), "two", tokens=2000)
        with (
            continue_trace(tracker.traceparent(), storage=each_store, name="step"),
            tracker.track_agent("other") as other,
        ):
            other.track_call("gpt-4o", 1000, 100)
        tracker.outcome(value=1)
    analysis = WorkflowTracker("support", each_store).analyze()
    assert (analysis.calls, analysis.waste.duplicate_calls, analysis.outcome.value) == (3, 1, 1)
    assert [event.event_type for event in tracker.events()][:2] == ["workflow_start", "agent"]
    assert len(each_store.query_events({"event_type": "workflow_end"})) == 1
    assert tracker.distribution().cost_per_success == pytest.approx(analysis.total_cost)
    assert tracker.suggest_optimizations()[0].kind == "duplicates"
    assert tracker.visualize().startswith("workflow support")
