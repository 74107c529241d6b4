"""`tc_core.testing`: what users' tests are given."""

from datetime import UTC, datetime

import pytest

import tc_core
from tc_core import CostTracker, InMemoryStorage
from tc_core.model import clock
from tc_core.testing import FakeClock, ModelServer, Step, recorded

pytest.importorskip("langchain_openai", reason="LangChain is not installed")


def ask(server, words="Hi."):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="x", max_retries=0).invoke(words)


def test_recorded_gives_the_events_of_its_block_and_leaves_the_rest_as_it_was(server):
    outside = InMemoryStorage()
    tc_core.instrument(outside, frameworks=["langchain"])
    ask(server)
    server.push(Step(text="Hello.", usage={"prompt": 1000, "completion": 100}))
    with recorded(frameworks=["langchain"], feature="greeting") as events:
        ask(server)
        CostTracker().track_call("gpt-4o", 1, 1)
    ask(server)
    assert [(event.model, event.input_tokens, event.labels) for event in events] == [
        ("gpt-4o", 1000, {"feature": "greeting"}),
        ("gpt-4o", 1, {"feature": "greeting"}),
    ]
    # 1,000 x $2.50 and 100 x $10 a million
    assert events[0].cost == 0.0035
    assert len(outside.query_events()) == 2


def test_what_a_block_raises_comes_out_and_the_recording_ends(server):
    def broken():
        with recorded(frameworks=["langchain"]) as events:
            found.append(events)
            ask(server)
            raise KeyError("x")

    found = []
    with pytest.raises(KeyError):
        broken()
    (events,) = found
    assert len(events) == 1
    assert tc_core.runtime.instrument.wanted() == {}


def test_a_fake_clock_dates_what_hooks_and_trackers_record(server):
    with FakeClock(datetime(2026, 1, 31, 23, tzinfo=UTC)) as now, recorded(frameworks=["langchain"]) as events:
        ask(server)
        now.advance(hours=2)
        CostTracker().track_call("gpt-4o", 1, 1)
        assert CostTracker().get_costs("today").total_calls == 1
        assert CostTracker().get_costs("yesterday").total_calls == 1
        assert now.now.day == 1
    assert [event.timestamp.strftime("%d %H") for event in events] == ["31 23", "01 01"]
    assert 0 <= events[0].latency_ms < 1
    assert abs(clock.now() - datetime.now(UTC)).total_seconds() < 5


def test_a_naive_time_is_local_time():
    local = datetime(2026, 1, 31, 9)
    with FakeClock(local) as now:
        assert now.now == local.astimezone(UTC)


def test_the_server_answers_from_a_script():
    with ModelServer() as server:
        server.push(Step(text="first"), Step(status=500, text="no"))
        assert ask(server).content == "first"
        with pytest.raises(Exception, match="no"):
            ask(server)
        assert [exchange.status for exchange in server.exchanges] == [200, 500]
