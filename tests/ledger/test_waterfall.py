"""Where input tokens come from: rows that sum to what was billed, first sends, re-sends, and who made what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tc_core import InMemoryStorage, LineageError, StorageError
from tc_core.adapter import Usage, usage_part
from tc_core.costs.tracker import CostTracker
from tc_core.ledger.prices import Zones
from tc_core.ledger.scaling import largest_remainders, largest_remainders_of_each
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.store.base import StorageBackend
from tests.ledger.conftest import LONG, SCHEMAS, SYSTEM, Ledger, asked, brought, of, said, user
from tests.ledger.plain_waterfall import split_cost


def conversation(ledger, turns=3, **options):
    """Record an agent that asks a tool, time and again; return its root."""
    root = ledger.recorder.start("workflow", key="run", name="run")
    history = [SCHEMAS, SYSTEM, user("a flight to Rome please")]
    for turn in range(turns):
        answer = [asked("search", to="Rome", day=turn)]
        ledger.call(history, answer, parent="run", agent_id="planner", **options)
        ledger.tool("search", f"{turn}: {LONG}", parent="run")
        history = [*history, *answer, brought(f"{turn}: {LONG}")]
    ledger.recorder.finish("run")
    return root


def test_a_tools_result_is_first_sent_once_and_then_again(ledger):
    root = conversation(ledger, turns=4, tokens=2000)
    found = ledger.waterfall(event_id=root)
    assert (found.calls, found.total_tokens) == (4, 8000)
    rows = of(found)
    counted = {"tool schemas", "system prompt", "user", "agent planner's answers", "tool search", "message format"}
    assert set(rows) - {"images, audio, unseen"} == counted
    assert rows["tool search"].sends == 1 + 2 + 3
    assert rows["system prompt"].sends == rows["user"].sends == 4
    single = [row for row in ledger.waterfall(event_id=root, is_single=True).rows if row.origin_kind == "tool"]
    assert sorted(row.sends for row in single) == [1, 2, 3]
    assert all(row.first_tokens + row.resent_tokens == row.tokens for row in single)
    events = {ledger.store.get_event(row.origin_id).name for row in single}
    assert events == {"search"}


def test_what_is_billed_beyond_the_counting_is_unexplained(ledger):
    ledger.call([SYSTEM, user("what is in this picture?")], [said("a cat")], tokens=5000)
    found = ledger.waterfall()
    rows = of(found)
    assert sum(row.tokens for row in found.rows) == 5000
    assert rows["images, audio, unseen"].tokens > 4700
    assert found.scale == 1


def test_a_little_more_or_less_than_was_counted_is_scaled(ledger):
    ledger.call([SYSTEM, user("hello")], [said("hello")], tokens=None)
    counted = ledger.waterfall().total_tokens
    other = Ledger(InMemoryStorage())
    other.call([SYSTEM, user("hello")], [said("hello")], tokens=round(counted * 1.1))
    found = other.waterfall()
    assert set(of(found)) == {"system prompt", "user", "message format"}
    assert found.total_tokens == round(counted * 1.1)
    assert found.scale == pytest.approx(1.1, abs=0.02)


def test_calls_without_details_are_one_row(ledger):
    ledger.call([SYSTEM, user("hello")], [said("hi")], tokens=150)
    CostTracker(ledger.store).track_call("gpt-4o", 1000, 10)
    found = ledger.waterfall()
    assert of(found)["calls without details"].tokens == 1000
    assert found.total_tokens == 1150


def test_the_cost_follows_the_cache_from_the_front(ledger):
    prompt = [SYSTEM, user("hello")]
    ledger.call(prompt, [said("hi")], tokens=200, cached=150)
    rows = of(ledger.waterfall())
    total = 150 * 1_250 + 50 * 2_500  # gpt-4o: $1.25 and $2.50 a million, in nano-dollars a token
    assert sum(row.cost_nanos for row in rows.values()) == total == ledger.waterfall().total_cost_nanos
    system = rows["system prompt"]
    in_cache = min(system.tokens, 150)
    assert system.cost_nanos == in_cache * 1_250 + (system.tokens - in_cache) * 2_500


def test_an_unpriced_call_has_tokens_and_no_cost(ledger):
    ledger.call([SYSTEM], [said("hi")], tokens=150, model="nobody-knows-1")
    found = ledger.waterfall()
    assert (found.total_cost, found.unpriced_calls, found.total_tokens) == (None, 1, 150)
    assert {row.cost for row in found.rows} == {None}


def test_first_sends_are_of_the_session_whatever_the_question_chooses(ledger):
    for agent in ("a", "b"):
        ledger.call([SYSTEM, user("hello")], [said("hi")], tokens=160, agent_id=agent, session_id="s")
    assert of(ledger.waterfall(agent_id="a"))["system prompt"].resent_tokens == 0
    assert of(ledger.waterfall(agent_id="b"))["system prompt"].first_tokens == 0
    ledger.call([SYSTEM, user("hello")], [said("hi")], tokens=160, agent_id="c", session_id="t")
    assert of(ledger.waterfall(agent_id="c"))["system prompt"].resent_tokens == 0


def test_a_passage_that_a_retriever_found_is_its_own_row(ledger):
    ledger.tool("docs", LONG, kind="retrieval")
    ledger.call([SYSTEM, user("Answer from this:"), user(LONG)], [said("at 10:40")], tokens=None)
    rows = of(ledger.waterfall())
    assert rows["passages of docs"].origin_kind == "passage"
    assert rows["passages of docs"].tokens > rows["system prompt"].tokens


def test_one_call_and_what_hangs_below_an_agent(ledger):
    root = conversation(ledger, turns=2, tokens=1200)
    calls = [event for event in ledger.store.query_events() if event.is_call]
    assert ledger.waterfall(event_id=calls[0].event_id).calls == 1
    assert ledger.waterfall(event_id=root).calls == 2
    with pytest.raises(LineageError, match="No event nothing"):
        ledger.waterfall(event_id="nothing")


def test_the_difference_of_two_runs_sums_exactly(ledger):
    first = conversation(ledger, turns=2, tokens=1200)
    second = conversation(ledger, turns=4, tokens=1500)
    grown = ledger.analyzer.compare(first, second)
    before, after = ledger.waterfall(event_id=first), ledger.waterfall(event_id=second)
    assert sum(each.tokens for each in grown) == after.total_tokens - before.total_tokens
    assert sum(each.cost_nanos for each in grown) == after.total_cost_nanos - before.total_cost_nanos


def test_a_storage_of_ones_own_has_no_ledger():
    class Own(StorageBackend):
        def save_event(self, event): ...
        def query_events(self, *_arguments, **_options): ...
        def aggregate(self, *_arguments, **_options): ...

    with pytest.raises(StorageError, match="not in a Own"):
        ProvenanceAnalyzer(Own())


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_LEDGER", "off")
    ledger = Ledger(InMemoryStorage())
    ledger.call([SYSTEM], [said("hi")], tokens=150)
    assert set(of(ledger.waterfall())) == {"calls without details"}


COUNTS = st.lists(st.integers(0, 5000), min_size=1, max_size=40)


@given(COUNTS, st.integers(0, 200_000))
def test_shares_are_whole_and_sum_to_the_total(weights, total):
    shares = largest_remainders(weights, total)
    assert sum(shares) == total
    assert all(share >= 0 for share in shares)
    if sum(weights):
        for weight, share in zip(weights, shares, strict=True):
            assert abs(share - weight * total / sum(weights)) < 1


@given(st.lists(st.tuples(COUNTS.filter(any), st.integers(0, 200_000)), min_size=1, max_size=20))
def test_shares_of_many_groups_are_those_of_each(groups):
    weights, totals = zip(*groups, strict=True)
    starts = np.cumsum([0, *map(len, weights)])[:-1]
    shares = largest_remainders_of_each(np.concatenate(weights), starts, np.array(totals))
    assert shares.tolist() == [each for some, total in groups for each in largest_remainders(some, total)]


ZONE = st.tuples(st.integers(0, 10_000), st.integers(0, 10**9) | st.integers(10**14, 10**17))


@given(COUNTS, st.tuples(ZONE, ZONE))
def test_costs_of_parts_sum_to_those_of_the_zones(tokens, front):
    left, zones = sum(tokens), []
    for size, nanos in front:
        zones.append((min(size, left), nanos if min(size, left) else 0))
        left -= min(size, left)
    zones.append((left, 7 * left))
    costs = split_cost(tokens, zones)
    assert sum(costs) == sum(nanos for _, nanos in zones)
    assert all(cost >= 0 for cost in costs)
    sizes, nanos = np.array(zones).T
    same = Zones(np.ones(1, bool), sizes[:, None], nanos[:, None])
    paid = same.up_to(np.cumsum(tokens), np.zeros(len(tokens), int))
    assert np.diff(paid, prepend=0).tolist() == costs


def test_what_is_kept_of_a_trimmed_history_is_sent_again(ledger):
    turns = [user("the first question"), said("the first answer"), user("the second question")]
    ledger.call([SYSTEM, *turns], [said("the second answer")], tokens=180, session_id="s")
    ledger.call([SYSTEM, *turns[1:], said("the second answer")], [said("more")], tokens=180, session_id="s")
    rows = of(ledger.waterfall())
    second = [row for row in ledger.waterfall(is_single=True).rows if row.sends == 2 and row.origin_kind == "user"]
    assert [row.resent_tokens > 0 for row in second] == [True]
    assert rows["user"].first_tokens < rows["user"].tokens


def test_a_bill_of_the_providers_own_is_split_as_the_table_would(ledger):
    key = "billed"
    ledger.recorder.start("llm_call", key=key, model="gpt-4o", content=[SYSTEM, user("hello")])
    usage = {"prompt_tokens": 200, "completion_tokens": 50, "total_tokens": 250, "cost": 0.002}
    ledger.recorder.finish(key, report=usage_part({"usage": usage}), output=[said("hi")])
    (event,) = ledger.store.query_events()
    assert (event.price_source, event.cost_nanos) == ("billed", 2_000_000)
    found = ledger.waterfall()  # of the table's 500,000 and 500,000 the input is half
    assert found.total_cost_nanos == 1_000_000


SEARCHED = {"cache_read_input_tokens": 400, "server_tool_use": {"web_search_requests": 2}}
ADVISED = {
    "iterations": [
        {"type": "message", "input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 10},
        {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 9000, "output_tokens": 20},
    ],
    "cache_read_input_tokens": 400,
}
DREW = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 1290,
    "totalTokenCount": 2290,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
}


@pytest.mark.parametrize(
    ("model", "usage", "input_nanos"),
    [
        ("claude-sonnet-4-5", SEARCHED, 1_920_000),  # 600 at 3 dollars a million, 400 at 0.30
        ("claude-sonnet-4-5", ADVISED, 1_920_000),
        ("claude-sonnet-4-6", {"cache_read_input_tokens": 400, "inference_geo": "us"}, 2_112_000),  # 1.1 times
        ("gemini-2.5-flash-image", DREW, 300_000),  # 0.30 a million; what was drawn costs 30
    ],
    ids=["searches", "another model", "a region", "images"],
)
def test_what_is_charged_beside_the_tokens_is_no_cost_of_the_input(model, usage, input_nanos, ledger):
    told = usage if "totalTokenCount" in usage else {"input_tokens": 600, "output_tokens": 10, **usage}
    ledger.recorder.start("llm_call", key="call", model=model, content=[SYSTEM, user("hello")])
    ledger.recorder.finish("call", report=usage_part({"model": model, "usage": told}), output=[said("hi")])
    (event,) = ledger.store.query_events()
    assert event.charges
    assert event.cost_nanos > input_nanos
    assert ledger.waterfall().total_cost_nanos == input_nanos


def test_reasoning_at_a_price_of_its_own_is_no_cost_of_the_input(ledger):
    key, usage = "researched", Usage(1000, 5000, reasoning_tokens=4000)
    model = {"model": "sonar-deep-research", "provider": "perplexity"}
    ledger.recorder.start("llm_call", key=key, **model, content=[SYSTEM, user("hello")])
    ledger.recorder.finish(key, usage=usage, output=[said("hi")])
    assert ledger.waterfall().total_cost_nanos == 2_000_000  # at 2 dollars a million


def test_of_a_bill_for_more_than_the_table_prices_the_input_has_its_price(ledger):
    key, model = "searched", "grok-4-fast-reasoning"
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "num_sources_used": 3}
    ledger.recorder.start("llm_call", key=key, model=model, content=[SYSTEM, user("hello")])
    report = usage_part({"usage": {**usage, "cost_in_usd_ticks": 500_000_000}})  # 5 cents
    ledger.recorder.finish(key, report=report, output=[said("hi")])
    (event,) = ledger.store.query_events()
    assert (event.price_source, event.cost_nanos) == ("billed", 50_000_000)
    found = ledger.waterfall()
    assert (found.total_cost_nanos, found.unpriced_calls) == (200_000, 0)  # 0.20 a million
