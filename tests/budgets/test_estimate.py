"""What a call is thought to take: by its limit, the last call of its conversation, and what its agent's calls took."""

import json
import os
from pathlib import Path

import pytest

from tc_core.budgets.estimate import Estimator
from tc_core.meter import tokens
from tc_core.model import ids
from tc_core.model.event import EventRecord
from tc_core.model.part import Request
from tc_core.model.scope import Scope
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.record.pending import PendingEvent

SCOPE = Scope(agent_id="a", session_id="s")


def request(*texts, most=None, roles=("user", "assistant"), **given):
    parts = [Segment(roles[place % 2], "text", text) for place, text in enumerate(texts)]
    return Request("gpt-4o", scope=SCOPE, content=parts, most_output_tokens=most, event_id=ids.new_id(), **given)


def recorded(asked, input_tokens, output_tokens):
    record = EventRecord(asked.event_id, "llm_call", 0, status="ok", usage=Usage(input_tokens, output_tokens))
    return PendingEvent(record.id, record)


def test_the_first_call_goes_by_its_length_and_a_default():
    # 400 characters / 4 x 1.5, 20 for the request and 4 for its part; 500 tokens of output
    assert Estimator().expected(request("x" * 400)) == (174, 500)
    assert Estimator().expected(request("x" * 400, most=50)) == (174, 50)
    assert Estimator().expected(request("x" * 400, event_type="embedding")) == (174, 0)


def test_the_next_call_goes_by_what_the_last_was_billed():
    estimator = Estimator()
    first = request("x" * 400)
    estimator.expected(first)
    estimator.learn(recorded(first, 1000, 60))
    # 1,060 tokens are known with the answer; 400 new characters / 4 x 1.5, 4 for their part, 12 more
    asked = estimator.expected(request("x" * 400, "y" * 240, "z" * 400))
    assert asked.input_tokens == 1060 + 150 + 4 + 12
    assert asked.output_tokens == 500
    assert estimator.expected(request("another beginning")).input_tokens < 200


def test_outputs_of_an_agent_say_how_long_the_next_may_be():
    estimator = Estimator()
    for output in [*([40] * 19), 200]:
        asked = request("x")
        estimator.expected(asked)
        estimator.learn(recorded(asked, 10, output))
    # of 20 outputs the 19th is the 95th percentile: twice 40
    assert estimator.expected(request("x")).output_tokens == 80
    other = request("x")._replace(scope=Scope(agent_id="b"))
    assert estimator.expected(other).output_tokens == 500


def test_counted_exactly():
    said = estimator_exact = Estimator().expected(request("hello world"), exactly=True)
    assert said.input_tokens == tokens.count_tokens("hello world", "gpt-4o") + 4 + 20
    assert estimator_exact.output_tokens == 500


RUNS = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "agent_trajectories.jsonl"


@pytest.mark.slow
@pytest.mark.skipif(not RUNS.exists(), reason="../shared/data/agent_trajectories.jsonl is not there")
def test_on_recorded_runs_nearly_all_calls_cost_no_more_than_was_reserved():
    estimator, covered, calls = Estimator(), 0, 0
    for number, line in enumerate(RUNS.read_text().splitlines()[:60]):
        parts, scope = [], Scope(agent_id="a", session_id=str(number))
        for message in json.loads(line)["messages"]:
            texts = [message["content"]] if message.get("content") else []
            texts += [
                call["function"]["name"] + call["function"]["arguments"] for call in message.get("tool_calls") or ()
            ]
            counted = sum(tokens.count_tokens(text, "gpt-4o") + 4 for text in texts)
            if message["role"] == "assistant":
                asked = Request("gpt-4o", scope=scope, content=list(parts), event_id=ids.new_id())
                expected = estimator.expected(asked)
                prompt = 3 + sum(part[1] for part in _sizes(parts))
                calls += 1
                covered += 2500 * expected.input_tokens + 10_000 * expected.output_tokens >= (
                    2500 * prompt + 10_000 * counted
                )
                estimator.learn(recorded(asked, prompt, counted))
            parts += [Segment(message["role"], "text", text) for text in texts]
    assert calls > 500
    assert covered / calls >= 0.98


def _sizes(parts, known={}):  # noqa: B006  # counted once
    for part in parts:
        if part.body not in known:
            known[part.body] = tokens.count_tokens(part.body, "gpt-4o") + 4
        yield part, known[part.body]
