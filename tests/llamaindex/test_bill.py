"""Each class for each provider, asked in each way over real HTTP: what is stored is what `tests.bill.seen` says."""

import asyncio
import inspect

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from tc_core import async_tracking_client, tracking_client
from tc_llamaindex import kinds
from tests.bill import providers as bill
from tests.bill.providers import RIGHT, Providers, told
from tests.bill.seen import ESTIMATED, EXACT, LLAMAINDEX, NOT_SEEN, NOT_TRIED

HELLO = [ChatMessage(content="hello")]
PROMPT = PromptTemplate("Name the capital of {land}.")
ANTHROPIC = "claude-sonnet-4-5-20250929"
BEDROCK = "anthropic.claude-sonnet-4-20250514-v1:0"


class City(BaseModel):
    name: str


@pytest.fixture
def providers(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    server = Providers()
    yield server
    server.shutdown()
    server.server_close()


def openai(url, **options):
    from llama_index.llms.openai import OpenAI

    more = {"additional_kwargs": {"stream_options": {"include_usage": True}}, **options}
    return OpenAI("gpt-4o-mini", api_base=f"{url}/v1", api_key="x", max_retries=0, **more)


def responses(url, **options):
    from llama_index.llms.openai import OpenAIResponses

    return OpenAIResponses("gpt-4o-mini", api_base=f"{url}/v1", api_key="x", max_retries=0, **options)


def openai_like(url):
    from llama_index.llms.openai_like import OpenAILike

    more = {"additional_kwargs": {"stream_options": {"include_usage": True}}, "is_function_calling_model": True}
    return OpenAILike("any", api_base=f"{url}/v1", api_key="x", max_retries=0, is_chat_model=True, **more)


def anthropic(url, name=ANTHROPIC):
    from llama_index.llms.anthropic import Anthropic, utils

    # llama-index-llms-anthropic 0.12 fits anthropic 1. With anthropic 2 these are unions, which it still calls (the
    # members are dicts), and there is no temperature, which it still sends.
    utils.MessageParam = utils.BetaMessageParam = dict

    class Fitting(Anthropic):
        def _get_all_kwargs(self, **kwargs):
            return {name: value for name, value in super()._get_all_kwargs(**kwargs).items() if name != "temperature"}

    return Fitting(name, base_url=url, api_key="x", max_retries=0)


def gemini(url, **options):
    from llama_index.llms.google_genai import GoogleGenAI

    return GoogleGenAI(
        "gemini-2.5-flash",
        api_key="x",
        http_options={"base_url": url, **options},
        context_window=100_000,
        max_tokens=1000,
        max_retries=0,
    )


def bedrock(url):
    from llama_index.llms.bedrock_converse import BedrockConverse

    return BedrockConverse(BEDROCK, endpoint_url=url, region_name="us-east-1", max_retries=1)


MADE = {
    "OpenAI": openai,
    "OpenAIResponses": responses,
    "OpenAILike": openai_like,
    "Anthropic": anthropic,
    "GoogleGenAI": gemini,
    "BedrockConverse": bedrock,
}


def capital(name: str) -> str:
    """Tell about a capital."""
    return name


TOOLS = [FunctionTool.from_defaults(capital)]


async def pieces(stream):
    return [piece async for piece in await stream]


ASKED = {
    "plain": lambda model: model.chat(HELLO),
    "plain: a completion": lambda model: model.complete("hello"),
    "stream": lambda model: list(model.stream_chat(HELLO)),
    "stream: a completion": lambda model: list(model.stream_complete("hello")),
    "stream: asynchronous": lambda model: asyncio.run(pieces(model.astream_chat(HELLO))),
    "structured": lambda model: model.structured_predict(City, PROMPT, land="Italy"),
    "structured: asynchronous": lambda model: asyncio.run(model.astructured_predict(City, PROMPT, land="Italy")),
    "structured: as a model": lambda model: model.as_structured_llm(City).chat(HELLO),
    "structured_stream": lambda model: list(model.stream_structured_predict(City, PROMPT, land="Italy")),
    "structured_stream: asynchronous": lambda model: asyncio.run(
        pieces(model.astream_structured_predict(City, PROMPT, land="Italy"))
    ),
    "async": lambda model: asyncio.run(model.achat(HELLO)),
    "tools": lambda model: model.chat_with_tools(TOOLS, user_msg="hello"),
    "tools: streamed": lambda model: list(model.stream_chat_with_tools(TOOLS, user_msg="hello")),
    "tools: asynchronous": lambda model: asyncio.run(model.achat_with_tools(TOOLS, user_msg="hello")),
}


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("row", LLAMAINDEX, ids=lambda row: row.name)
def test_what_is_stored_is_what_the_table_says(row, way, providers, store):
    if row.api == "bedrock" and ("async" in way):
        pytest.importorskip("aioboto3", reason="aioboto3, which it asks asynchronously with, is not installed")
    ASKED[way](MADE[row.name](providers.url))
    assert len(providers.paths) == 1
    expect(row.seen(way.partition(":")[0]), row.api, store)


def expect(seen, api, store):
    """Compare the one call that is stored with what is known of it."""
    calls = [event for event in store.query_events() if event.event_type == "llm_call"]
    assert len(calls) == 1
    (event,) = calls
    if seen in (EXACT, NOT_TRIED):
        assert (event.status, event.usage_source, told(event.usage)) == ("ok", "provider", told(RIGHT[api]))
    elif seen == ESTIMATED:
        assert (event.status, event.usage_source in ("exact", "proxy", "estimate")) == ("ok", True)
        assert (event.input_tokens > 5, event.output_tokens >= 3) == (True, True)  # {"name":"Rome"}
    else:
        assert seen == NOT_SEEN
        assert (event.input_tokens, event.cost, event.usage_source) == (None, None, None)


@pytest.mark.parametrize("way", [way for way in ASKED if way.startswith("structured") and "stream" not in way])
@pytest.mark.parametrize("make", [gemini, responses], ids=["GoogleGenAI", "OpenAIResponses"])
def test_structured_predictions_are_exact_through_a_client_of_ours(make, way, providers, store):
    ASKED[way](tracked(make, providers.url))
    expect(EXACT, "gemini" if make is gemini else "responses", store)


@pytest.mark.parametrize("way", ["structured_stream", "structured_stream: asynchronous"])
def test_a_structured_stream_through_a_client_of_ours_is_a_step_around_its_request(way, providers, store):
    ASKED[way](tracked(gemini, providers.url))
    expect(EXACT, "gemini", store)
    step, call = store.query_events()
    assert (step.event_type, step.status, told(step.usage)) == ("task", "ok", {})
    assert call.parent_id == step.event_id


def tracked(make, url):
    clients = (tracking_client(), async_tracking_client())
    names = ("httpx_client", "httpx_async_client") if make is gemini else ("http_client", "async_http_client")
    return make(url, **dict(zip(names, clients, strict=True)))


def test_a_stream_that_nobody_reads_has_sent_nothing_and_costs_nothing(providers, store):
    gemini(providers.url).stream_structured_predict(City, PROMPT, land="Italy")
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.cost, providers.paths) == ("abandoned", None, None, [])


def test_a_prediction_that_asks_by_a_chat_after_all_is_one_call(providers, store):
    """Anthropic's older models are asked by a chat with a tool, of which an event tells."""
    model = anthropic(providers.url, "claude-3-5-haiku-20241022")
    assert model.structured_predict(City, PROMPT, land="Italy") == City(name="Rome")
    expect(EXACT, "anthropic", store)


def test_a_prediction_that_fails_is_recorded_with_its_error(providers, store):
    class Town(BaseModel):
        mayor: str

    with pytest.raises(ValueError, match="mayor"):
        tracked(gemini, providers.url).structured_predict(Town, PROMPT, land="Italy")
    (event,) = store.query_events()
    # The provider bills an answer that has not the fields that were asked for.
    assert (event.status, event.error_type, event.usage_source) == ("error", "ValidationError", "provider")
    assert told(event.usage) == told(RIGHT["gemini"])


def test_a_stream_of_which_the_last_piece_is_kept_back_is_an_estimate(providers, store, monkeypatch):
    """LlamaIndex drops a piece without parts, which Gemini may end with: the counts so far lack the rest."""
    text = {"content": {"role": "model", "parts": [{"text": "Rome"}]}, "index": 0}
    end = {"content": {"role": "model"}, "finishReason": "STOP", "index": 0}
    so_far = {"promptTokenCount": 500, "candidatesTokenCount": 2, "totalTokenCount": 502}
    pieces = [
        {"candidates": [text], "usageMetadata": so_far},
        {"candidates": [end], "usageMetadata": bill.USAGE["gemini"]},
    ]
    monkeypatch.setattr(bill.answers, "answer", lambda *_: bill.answers.streamed(pieces))
    ASKED["stream"](gemini(providers.url))
    (event,) = store.query_events()
    assert (event.status, event.usage_source, event.usage[:2]) == ("ok", "estimate", (500, 2))


def test_an_error_that_brings_the_cut_off_answer_says_what_was_billed(providers, store):
    """OpenAI's client raises when it parses an answer that was cut off; the provider bills that."""
    from llama_index.llms.openai import OpenAI
    from openai import LengthFinishReasonError
    from openai.types.chat import ChatCompletion

    class Parsing(OpenAI):
        def _chat(self, messages, **kwargs):
            raw = super()._chat(messages, **kwargs).raw
            raise ValueError("cut off") from LengthFinishReasonError(completion=ChatCompletion.model_validate(raw))

    with pytest.raises(ValueError, match="cut off"):
        Parsing("gpt-4o-mini", api_base=f"{providers.url}/v1", api_key="x", max_retries=0).chat(HELLO)
    (event,) = store.query_events()
    assert (event.status, event.error_type, event.usage_source) == ("error", "ValueError", "provider")
    assert told(event.usage) == told(RIGHT["chat"])


@pytest.mark.parametrize("row", LLAMAINDEX, ids=lambda row: row.name)
def test_each_method_that_asks_a_client_by_itself_is_known(row, providers):
    """A version of a class that predicts by a request of its own would go unseen: no event of a chat tells of it."""
    type_ = type(MADE[row.name](providers.url))
    own = {
        name
        for name, method in inspect.getmembers(type_, callable)
        if "structured_predict" in name and _asks_a_client(inspect.unwrap(method).__code__)
    }
    assert own == set(kinds.kind_of(type_).asks_itself)


def _asks_a_client(code):
    return bool({"generate_content", "generate_content_stream", "parse", "create"} & set(code.co_names)) or any(
        _asks_a_client(inner) for inner in code.co_consts if inspect.iscode(inner)
    )
