"""A test of a program of yours: it says how many calls an agent may make, and what they may cost."""

from datetime import UTC, datetime

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tc_core.testing import FakeClock, ModelServer, Step, recorded


def answer(question: str, base_url: str) -> str:
    """The program that is tested."""
    model = ChatOpenAI(model="gpt-4o-mini", base_url=base_url, api_key=SecretStr("none"))
    return str(model.invoke(question).content)


def test_an_answer_takes_one_cheap_call() -> None:
    with (
        ModelServer() as server,
        FakeClock(datetime(2026, 1, 31, tzinfo=UTC)),
        recorded(frameworks=["langchain"]) as events,
    ):
        server.push(Step(text="Blue.", usage={"prompt": 40, "completion": 3}))
        assert answer("What colour is the sky?", server.base_url) == "Blue."
    (call,) = events
    assert call.input_tokens == 40
    assert call.cost is not None
    assert call.cost < 0.0001
    assert call.timestamp.date().isoformat() == "2026-01-31"
    print(f"{call.model}: {call.input_tokens} in, {call.output_tokens} out, ${call.cost}")


if __name__ == "__main__":
    test_an_answer_takes_one_cheap_call()
