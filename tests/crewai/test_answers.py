"""What real providers answer, replayed through CrewAI's own clients: their figures are what is recorded."""

import pytest
from crewai import LLM
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallStartedEvent, LLMCallType

from tc_core import Usage
from tests.langchain import answers
from tests.replay import ELSEWHERE, Replay, answered, serving


@pytest.fixture(scope="module")
def replay():
    with serving(Replay()) as server:
        yield server


def call(replay, *, model="any", **options):
    url = f"{replay.url}/v1"
    LLM(model=f"openai/{model}", base_url=url, api_key="x", max_retries=0, **options).call("hello")


@pytest.mark.parametrize("name", answers.PLAIN)
def test_answers_in_openais_format(name, replay, store):
    replay.body, expected = answers.PLAIN[name]
    call(replay, model="gemini-2.5-flash" if name.startswith("gemini") else "any")  # CrewAI tells no model that served
    (event,) = store.query_events()
    assert (event.status, event.usage_source) == ("ok", "provider")
    assert event.usage[:2] == expected[:2]
    assert (event.usage.cached_tokens or 0) == (expected.cached_tokens or 0)  # CrewAI tells 0 for what is not said
    assert (event.usage.reasoning_tokens or 0) == (expected.reasoning_tokens or 0)


@pytest.mark.parametrize("name", answers.STREAMS)
def test_streams_in_openais_format(name, replay, store):
    replay.body, expected = answers.STREAMS[name]
    replay.body = list(replay.body)
    call(replay, stream=True)
    (event,) = store.query_events()
    assert (event.status, event.usage[:2]) == ("ok", expected[:2])


@pytest.mark.parametrize("name", answers.ANTHROPIC)
def test_answers_in_anthropics_format(name, replay, store):
    pytest.importorskip("anthropic", reason="Anthropic's client is not installed")
    reported, expected = answers.ANTHROPIC[name]
    replay.body = {**answers.MESSAGE, "usage": reported}
    call_anthropic(replay)
    (event,) = store.query_events()
    assert (event.status, event.provider, event.usage_source) == ("ok", "anthropic", "provider")
    assert event.usage[:2] == expected[:2]
    assert (event.cached_tokens or 0, event.cache_write_tokens or 0) == expected[2:4]  # nothing is told where it is 0


@pytest.mark.parametrize("name", answers.ANTHROPIC_STREAMS)
def test_streams_in_anthropics_format(name, replay, store):
    pytest.importorskip("anthropic", reason="Anthropic's client is not installed")
    replay.body, expected = answers.ANTHROPIC_STREAMS[name]
    call_anthropic(replay, stream=True)
    (event,) = store.query_events()
    assert (event.status, event.usage_source, event.usage[:3]) == ("ok", "provider", expected[:3])


def call_anthropic(replay, **options):
    url = f"http://127.0.0.1:{replay.server_address[1]}"
    LLM(model="anthropic/claude-sonnet-4-5", base_url=url, api_key="x", max_retries=0, **options).call("hello")


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 7},
            },
            Usage(2006, 300, 1920, None, 192, 5, 7),
            id="litellm, with the provider's own details",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "prompt_tokens_details": None},
            Usage(9, 2),
            id="litellm, with empty details",
        ),
        pytest.param(
            {
                "prompt_tokens": 3,
                "completion_tokens": 9,
                "total_tokens": 12,
                "cached_prompt_tokens": 2,
                "reasoning_tokens": 3,
            },
            Usage(3, 9, 2, None, 3),
            id="native, flat",
        ),
        pytest.param(
            {"input_tokens": 30, "output_tokens": 5, "total_tokens": 35, "cache_creation_tokens": 20},
            Usage(30, 5, None, 20),
            id="native, in Anthropic's words",
        ),
        pytest.param({"total_tokens": 0}, None, id="what CrewAI says where it knows nothing"),
        pytest.param(
            {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 620},
            Usage(8, 612, None, None, 600),
            id="gemini, in OpenAI's words: thoughts only in the total",
        ),
        pytest.param(
            {"prompt_tokens": "7", "completion_tokens": True},
            None,
            id="no numbers",
            marks=pytest.mark.swallows,  # counted in `doctor`
        ),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_usage_in_every_shape_that_crewai_hands_on(reported, expected, store):
    completed("gemini/gemini-2.5-flash", reported)
    (event,) = store.query_events()
    assert (event.usage if event.usage_source == "provider" else None) == expected


def test_litellms_name_of_a_model_has_its_price(store):
    """LiteLLM keeps the provider in the name."""
    completed("openai/gpt-4o-mini", {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000})
    (event,) = store.query_events()
    assert event.cost_nanos == 150_000  # 0.15 dollars a million


def completed(model, usage):
    """Have CrewAI's bus tell of a call, as LiteLLM's and the native classes do."""
    said = {"model": model, "call_id": "c-1"}
    crewai_event_bus.emit(None, LLMCallStartedEvent(messages="hello", **said))
    crewai_event_bus.emit(
        None, LLMCallCompletedEvent(response="ok", call_type=LLMCallType.LLM_CALL, usage=usage, **said)
    )


@pytest.mark.parametrize(("model", "address", "provider", "nanos"), ELSEWHERE)
def test_a_server_is_known_by_its_address(model, address, provider, nanos, replay, store, monkeypatch):
    replay.body = answered(model)
    monkeypatch.setenv("HTTP_PROXY", replay.url)
    monkeypatch.setenv("http_proxy", replay.url)
    LLM(model=f"openai/{model}", base_url=address, api_key="x", max_retries=0).call("hello")
    (event,) = store.query_events()
    assert (event.provider, event.cost_nanos) == (provider or "openai", nanos)
