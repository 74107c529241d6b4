"""What is reserved for a streamed answer grows with it, on all budgets that it counts on or on none."""

import logging
import threading

import pytest

from tc_core import BudgetExceededError, ConfigurationError, instrument
from tc_core.budgets import refusals
from tc_core.budgets.live import live_of
from tc_core.model import ids
from tc_core.model.part import Request
from tc_core.model.scope import Scope
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for

MODEL = "gpt-4o"
"""$10 for a million tokens of an answer: 500 that are thought of first cost $0.005, and a character a 400,000th."""


def begun(budgets, **given):
    """Let a call through, and return what watches its stream, and its id."""
    live = live_of(budgets.storage)
    live.enforce(True)
    live.cut(True)
    event_id = ids.new_id()
    decision = live.enforcement.admit(Request(**{"model": MODEL, "content": [], "event_id": event_id, **given}))
    assert decision.refusal is None, decision.refusal
    return live.enforcement.meter(event_id), event_id


def recorded(budgets, event_id, usage):
    """Record the call that was let through, with what it was billed."""
    recorder = recorder_for(budgets.storage)
    recorder.start("llm_call", key=event_id, event_id=event_id, model=MODEL)
    recorder.finish(event_id, usage=usage)


def reserved(budgets):
    return {each.name: each.reserved for each in budgets.list()}


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    monkeypatch.setattr(refusals, "WAIT_SECONDS", 0.0)


def test_what_is_reserved_grows_until_there_is_no_room(budgets):
    budgets.set_budget(0.02, "total", hard=True)
    meter, _ = begun(budgets)
    first = reserved(budgets)["default"]
    assert first == pytest.approx(0.005, abs=0.0001)
    assert meter.piece(2000) is None, "as many as were thought of"
    assert reserved(budgets)["default"] == first
    assert meter.piece(4) is None
    assert reserved(budgets)["default"] == pytest.approx(0.01, abs=0.0001)
    cut = None
    while cut is None:
        cut = meter.piece(40)
        assert reserved(budgets)["default"] <= 0.02
    assert isinstance(cut, BudgetExceededError)
    assert 1980 < cut.received_tokens <= 2000, "all but 16 tokens of the budget were used"
    assert cut.budget == "default"
    assert "$0.00 of $0.02 spent" in str(cut)
    assert f"cut after about {cut.received_tokens:,} tokens" in str(cut)


@pytest.mark.parametrize(("unit", "amount"), [("tokens", 1500), ("calls", 1)])
def test_other_units(budgets, unit, amount):
    budgets.set_budget(amount, "total", unit=unit, hard=True)
    meter, _ = begun(budgets)
    cuts = [meter.piece(400) for _ in range(30)]  # 100 tokens each time
    came = next((cut.received_tokens for cut in cuts if cut is not None), None)
    assert came == (None if unit == "calls" else 1500)
    assert reserved(budgets)["default"] <= amount


def test_all_budgets_have_room_or_none_is_asked_of(budgets):
    budgets.set_budget(1, "total", name="company", hard=True)
    budgets.set_budget(0.0075, "total", {"agent_id": "a"}, name="agent", hard=True)
    budgets.set_budget(0.000001, "total", {"agent_id": "b"}, name="other", hard=True)
    meter, _ = begun(budgets, scope=Scope(agent_id="a"))
    assert meter.piece(2400) is None
    before = reserved(budgets)
    assert before["company"] == before["agent"] > 0.006
    cut = meter.piece(2000)
    assert cut.budget == "agent"
    assert reserved(budgets) == before, "nothing more was taken of the company's"


def test_many_streams_together_take_no_more_than_there_is(budgets):
    budgets.set_budget(0.05, "total", hard=True)
    meters = [begun(budgets)[0] for _ in range(5)]
    came = []

    def read(meter):
        while meter.piece(40) is None:
            pass
        came.append(meter.characters / 4)

    threads = [threading.Thread(target=read, args=(meter,)) for meter in meters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reserved(budgets)["default"] <= 0.05
    assert sum(came) <= 5000 + 5 * 10, "a piece of ten tokens each came before it was cut"
    assert sum(came) > 4800


def test_more_that_is_granted_meanwhile_lets_it_go_on(budgets):
    from datetime import timedelta

    budgets.set_budget(0.006, "total", hard=True)
    meter, _ = begun(budgets)
    assert meter.piece(2300) is None
    budgets.override("default", 0.006, until=timedelta(hours=1), by="me", why="it is good")
    assert meter.piece(1500) is None
    assert meter.piece(2000) is not None


def test_it_waits_for_calls_under_way_before_it_is_cut(budgets, monkeypatch):
    monkeypatch.setattr(refusals, "WAIT_SECONDS", 30.0)
    budgets.set_budget(0.02, "total", hard=True)
    other = budgets.reserve(0.0149)
    threading.Thread(target=other.__enter__).start()
    while not other._is_open:
        pass
    meter, _ = begun(budgets)
    timer = threading.Timer(0.2, other.release)
    timer.start()
    assert meter.piece(2200) is None
    timer.join()
    assert reserved(budgets)["default"] < 0.012


def test_a_budget_that_is_removed_meanwhile_cuts_nothing(budgets):
    budgets.set_budget(0.006, "total", name="small", hard=True)
    budgets.set_budget(1, "total", name="large", hard=True)
    meter, _ = begun(budgets)
    budgets.remove("small")
    assert meter.piece(40_000) is None


def test_what_a_block_has_reserved_is_what_its_stream_may_take(budgets):
    budgets.set_budget(0.05, "total", hard=True)
    with budgets.reserve(0.02) as block:
        meter, event_id = begun(budgets)
        assert meter.piece(5900) is None  # 1,475 tokens: $0.01475 and what is asked, and 500 tokens more
        assert reserved(budgets)["default"] == 0.02
        assert meter.piece(6000) is None
        assert reserved(budgets)["default"] == 0.0348
        live_of(budgets.storage).enforcement.withdraw(event_id)
        block.release()


def test_the_event_settles_all_that_was_reserved(budgets):
    budgets.set_budget(0.05, "total", hard=True)
    meter, event_id = begun(budgets)
    assert meter.piece(6000) is None
    recorded(budgets, event_id, Usage(0, 1500))
    found = budgets.get_remaining()
    assert (found.reserved, found.spent) == (0, 0.015)
    assert live_of(budgets.storage).enforcement.meter(event_id) is None
    assert [each.state for each in budgets.check()] == ["ok"]


def test_tokens_of_answers_are_counted_as_the_model_was_billed_for_them(budgets):
    live = live_of(budgets.storage)
    estimator = live.enforcement.estimator
    assert estimator.per_character_of_output(MODEL) == 0.25
    budgets.set_budget(1, "total", hard=True)
    meter, event_id = begun(budgets)
    meter.piece(6000)
    recorded(budgets, event_id, Usage(10, 3000))
    budgets.get_remaining()
    assert estimator.per_character_of_output(MODEL) == 0.5
    assert estimator.per_character_of_output("another") == 0.25


def test_without_enforcement_there_is_nothing_to_cut(store):
    with pytest.raises(ConfigurationError, match=r"cut_streams=True has hard budgets cut streams.* give enforce=True"):
        instrument(store, cut_streams=True)


def test_the_settings_switch_it_on(store, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_CUT_STREAMS", "true")
    monkeypatch.setenv("TOKEN_CALC_ENFORCE", "true")
    instrument(store, frameworks=[])
    assert live_of(store).part.meter is not None
    instrument(store, frameworks=[], cut_streams=False)
    assert live_of(store).part.meter is None
    instrument(store, frameworks=[], enforce=False)
    assert live_of(store).part.admit is None


def test_what_a_framework_has_no_way_for_is_said_when_it_is_set(store, caplog):
    pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
    with caplog.at_level(logging.WARNING, "tc_core"):
        instrument(store, frameworks=["llamaindex"], enforce=True)
        assert caplog.messages == []
        instrument(store, frameworks=["llamaindex"], enforce=True, cut_streams=True)
    assert [each for each in caplog.messages if "http_client=tc_core.tracking_client()" in each]
