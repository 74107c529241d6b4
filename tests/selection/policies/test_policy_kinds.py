"""Each kind at work, asked about requests as hosts ask."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tc_core import AgentLoopError, Policy
from tc_core.model import ids
from tc_core.model.event import EventRecord
from tc_core.model.part import Followed, Request
from tc_core.model.scope import Scope
from tc_core.model.segment import Segment
from tc_core.selection.policies.guard import Failures, verdict_of_errors
from tc_core.selection.policies.registry import acting_of
from tc_core.selection.policies.sql import ON, Applied, Sums
from tc_core.testing import FakeClock

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
PROMPT = [Segment("system", "text", "Be brief."), Segment("human", "text", "Hello")]


@pytest.fixture
def today():
    with FakeClock(NOON) as clock:
        yield clock


def at_work(**said):
    return acting_of(Applied(Policy(name="p", **said), ON, "ab" * 16, 0))


def request(prompt=PROMPT, **said):
    said = {"temperature": 0.0, "setup": lambda: "as always", "can_answer": True, "can_swap": True, **said}
    return Request("gpt-4o", "openai", content=prompt, event_id=ids.new_id(), **said)


def asked(acting, given, answer="Hi."):
    """Ask as a host does that sends what is not answered, and tells what came of it."""
    verdict = acting.decide(given)
    if verdict is None or verdict.arm == 0:
        acting.followed(given.event_id, Followed(answer))
        return None
    return verdict.decision.answer


# Cache


def test_an_exact_duplicate_is_answered(today):
    cache = at_work(kind="cache")
    assert [asked(cache, request()) for _ in range(3)] == [None, "Hi.", "Hi."]


@pytest.mark.parametrize(
    "changed",
    [
        {"content": [*PROMPT, Segment("ai", "text", "Hm")]},
        {"content": PROMPT[1:]},
        {"content": [Segment("system", "text", "Be brief.Hello")]},
        {"content": [Segment("human", "text", "Be brief."), Segment("human", "text", "Hello")]},
        {"model": "gpt-4o-mini"},
        {"provider": "azure"},
        {"setup": lambda: "otherwise"},
    ],
    ids=["longer", "shorter", "one text", "another role", "another model", "another provider", "another setup"],
)
def test_what_differs_in_anything_is_not_answered(today, changed):
    cache = at_work(kind="cache")
    asked(cache, request())
    assert asked(cache, request()._replace(**changed)) is None


@pytest.mark.parametrize(
    ("temperature", "way", "is_answered"),
    [(0.0, "zero", True), (None, "zero", False), (0.7, "zero", False), (None, "unset", True), (0.7, "unset", False)],
)
def test_only_steady_calls_are_answered(today, temperature, way, is_answered):
    cache = at_work(kind="cache", temperature=way)
    answers = [asked(cache, request(temperature=temperature)) for _ in range(2)]
    assert (answers[1] == "Hi.") is is_answered


@pytest.mark.parametrize(
    "given",
    [
        {"can_answer": False},
        {"setup": None},
        {"setup": lambda: None},
        {"prompt": [*PROMPT, Segment("human", "image", {"type": "image"})]},
        {"prompt": []},
    ],
    ids=["no way to answer", "no setup", "setup unknown", "an image", "no prompt"],
)
def test_what_cannot_be_told_apart_or_answered_is_left_alone(today, given):
    cache = at_work(kind="cache")
    assert cache.decide(request(**given)) is None


def test_what_is_no_text_is_not_kept(today):
    cache = at_work(kind="cache")
    assert [asked(cache, request(), answer=None) for _ in range(2)] == [None, None]


def test_answers_grow_old_and_are_bounded(today):
    cache = at_work(kind="cache", ttl_s=60, most=2)
    asked(cache, request())
    today.advance(seconds=59)
    assert asked(cache, request()) == "Hi."
    today.advance(seconds=2)
    assert asked(cache, request()) is None
    for number in range(5):
        asked(cache, request([Segment("human", "text", f"{number}")]))
    assert len(cache._kept) == 2
    assert asked(cache, request([Segment("human", "text", "4")])) == "Hi."
    assert asked(cache, request([Segment("human", "text", "0")])) is None


def test_no_prompt_is_kept_as_text(today):
    cache = at_work(kind="cache")
    asked(cache, request([Segment("human", "text", "canary-in-the-prompt")]))
    assert "canary-in-the-prompt" not in repr([vars(cache), list(cache._kept)])


def test_what_an_answer_has_cost_is_saved_each_time(today):
    cache = at_work(kind="cache")
    first = request()
    cache.decide(first)
    run = ids.new_id()
    cache.rename(first.event_id, run)
    cache.ended(run, EventRecord(run, "llm_call", 0, cost_nanos=700))
    cache.followed(first.event_id, Followed("Hi."))
    for _ in range(2):
        assert asked(cache, request()) == "Hi."
    assert cache.take_saved() == 1400
    assert cache.take_saved() == 0


# Loop


def rounds(count, said="no scan yet", tool="look_up"):
    prompt = list(PROMPT)
    for _ in range(count):
        prompt += [Segment("ai", "tool_call", [tool, {"n": "A 17"}]), Segment("tool", "tool_result", said)]
    return prompt


def stopped_at(loop, prompts, **said):
    """Return at which of some requests of one run it was stopped."""
    root, scope = ids.new_id(), Scope(agent_id="a")
    for number, prompt in enumerate(prompts):
        verdict = loop.decide(request(prompt, root_id=root, scope=scope, **said))
        if verdict is not None and verdict.decision is not None:
            return number, verdict.decision.refusal
    return None


def test_a_loop_is_stopped_after_so_many_rounds(today):
    number, refusal = stopped_at(at_work(kind="loop", rounds=3), [rounds(count) for count in range(6)])
    assert number == 3
    assert isinstance(refusal, AgentLoopError)
    assert (refusal.policy, refusal.tools, refusal.rounds) == ("p", ("look_up",), 3)


def test_the_same_request_again_is_no_further_round(today):
    assert stopped_at(at_work(kind="loop", rounds=3), [rounds(2)] * 6) is None


def test_what_hears_something_else_is_no_loop(today):
    grown, prompts = list(PROMPT), []
    for number in range(8):
        grown = [*grown, Segment("ai", "tool_call", ["page", {"n": 1}]), Segment("tool", "tool_result", f"{number}")]
        prompts.append(grown)
    assert stopped_at(at_work(kind="loop", rounds=3), prompts) is None


def test_what_asks_something_else_is_no_loop(today):
    grown, prompts = list(PROMPT), []
    for number in range(8):
        grown = [*grown, Segment("ai", "tool_call", ["page", {"n": number}]), Segment("tool", "tool_result", "none")]
        prompts.append(grown)
    assert stopped_at(at_work(kind="loop", rounds=3), prompts) is None


def test_a_tool_that_waits_and_long_pauses_are_polling(today):
    assert stopped_at(at_work(kind="loop"), [rounds(n, tool="wait_for_job") for n in range(8)]) is None

    def slowly():
        for number in range(8):
            yield rounds(number)
            today.advance(seconds=31)

    assert stopped_at(at_work(kind="loop"), slowly()) is None


def test_two_runs_are_not_one_loop(today):
    loop = at_work(kind="loop", rounds=3)
    assert all(stopped_at(loop, [rounds(1), rounds(2)]) is None for _ in range(5))


# Route and trim


def test_a_run_stays_as_it_was_assigned(today):
    route = at_work(kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5)
    roots = [ids.new_id() for _ in range(40)]
    first = [route.decide(request(root_id=root)).arm for root in roots]
    route.share = 1.0
    assert [route.decide(request(root_id=root)).arm for root in roots] == first
    assert {route.decide(request(root_id=ids.new_id())).decision.model for _ in range(5)} == {"gpt-4o-mini"}
    assert 5 < sum(first) < 35
    assert len(route.take_units()) == 45


@pytest.mark.parametrize("given", [{"can_swap": False}, {"model": "gpt-4.1"}])
def test_what_cannot_be_routed_is_not_counted(today, given):
    route = at_work(kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5)
    assert route.decide(request()._replace(**given)) is None
    assert route.take_units() == []


def test_sessions_are_routed_as_one_and_what_is_in_none_is_kept(today):
    route = at_work(kind="route", model="gpt-4o", to="gpt-4o-mini", unit="session", floor=0.5)
    here = Scope(session_id="chat-1")
    assert len({route.decide(request(scope=here, root_id=ids.new_id())).arm for _ in range(20)}) == 1
    assert [unit.unit for unit in route.take_units()] == ["chat-1"]
    assert route.decide(request()) is None


def test_trim_asks_hosts_that_can(today):
    trim = at_work(kind="trim", at=0.5)
    assert trim.decide(request()) is None
    verdict = trim.decide(request(can_shorten=True))
    assert (verdict.arm, verdict.decision.compress_at) == (0, 0.5)
    assert trim.followed(b"", Followed(is_shortened=True))
    assert not trim.followed(b"", Followed())


def test_a_salt_of_its_own_assigns_anew():
    applied = Applied(Policy(name="p", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5), ON, "ab" * 16, 0)
    roots = [ids.new_id() for _ in range(64)]
    arms = [
        [acting_of(each).decide(request(root_id=root)).arm for root in roots]
        for each in (applied, applied, replace(applied, salt="cd" * 16))
    ]
    assert arms[0] == arms[1] != arms[2]


# The guard


@pytest.mark.parametrize(
    ("calls", "is_ended"),
    [
        ([(1, True)] * 5, True),
        ([(1, True)] * 4, False),
        ([(1, True)] * 4 + [(1, False)] + [(1, True)] * 4, False),
        ([(0, False), (1, True)] * 5, True),
        ([(0, True), (1, True)] * 9, False),
        ([(0, True), (1, True)] * 5 + [(0, False), (1, True)], True),
        ([(0, True)] * 9, False),
    ],
    ids=["five", "four", "one is well", "others are well", "others fail too", "others are well again", "kept ones"],
)
def test_calls_that_fail_in_a_row_end_a_policy_unless_others_fail_too(calls, is_ended):
    failures = Failures()
    said = [failures.ended(arm, has_failed=has_failed) for arm, has_failed in calls]
    assert (said[-1] is not None) is is_ended
    assert not any(said[:-1])


def test_errors_that_got_more_are_a_reason():
    few, many = Sums(calls=1000, errors=10), Sums(calls=1000, errors=200)
    assert verdict_of_errors((few, few)) is None
    assert verdict_of_errors((many, few)) is None
    assert verdict_of_errors((few, many)) == (
        "errors got more: 20 % of 1,000 calls that it changed failed, and 1 % of the 1,000 that it kept"
    )
