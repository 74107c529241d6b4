"""The classes of LlamaIndex and CrewAI by which `benchmarks.bill_http` asks for recorded answers."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple


def keeps_all(_body: Mapping[str, Any]) -> bool:
    """Tell that a class hands on all of an answer that is needed."""
    return False


class Row(NamedTuple):
    """One class of a framework, asked in one way; `ask` makes one call of the model named, at the server's address."""

    api: str
    way: str
    ask: Callable[[str, str], object]
    drops: Callable[[Mapping[str, Any]], bool] = keeps_all
    """Whether the class keeps to itself what this body needs to be read right."""


Framework = Callable[[], Iterator[Row]]

Body = Mapping[str, Any]
_BEDROCK = "anthropic.claude-sonnet-4-20250514-v1:0"


def llamaindex() -> Iterator[Row]:
    """Yield LlamaIndex's classes."""
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.bedrock_converse import BedrockConverse
    from llama_index.llms.google_genai import GoogleGenAI
    from llama_index.llms.openai import OpenAI, OpenAIResponses
    from llama_index.llms.openai_like import OpenAILike

    hello = [ChatMessage(content="hi")]
    streams_usage = {"stream_options": {"include_usage": True}}

    @cache  # a client takes longer to make than a call
    def openai(url: str, _model: str) -> Any:  # it knows the names that it may ask for; the answer says its own
        return OpenAI("gpt-4o-mini", api_base=f"{url}/v1", max_retries=0, additional_kwargs=streams_usage)

    @cache
    def like(url: str, model: str) -> Any:
        more: dict[str, Any] = {"is_chat_model": True, "additional_kwargs": streams_usage}
        return OpenAILike(model, api_base=f"{url}/v1", api_key="x", max_retries=0, **more)

    @cache
    def responses(url: str, _model: str) -> Any:
        return OpenAIResponses("gpt-4o-mini", api_base=f"{url}/v1", max_retries=0)

    @cache
    def anthropic(url: str, _model: str) -> Any:
        return fitting_anthropic()("claude-sonnet-4-5-20250929", base_url=url, max_retries=0, timeout=20)

    @cache
    def gemini(url: str, model: str) -> Any:
        limits = {"context_window": 100_000, "max_tokens": 1000}
        return GoogleGenAI(model, api_key="x", http_options={"base_url": url}, max_retries=0, **limits)  # type: ignore[arg-type]  # a dict is taken too

    @cache
    def bedrock(url: str, _model: str) -> Any:
        return BedrockConverse(_BEDROCK, endpoint_url=url, region_name="us-east-1", max_retries=1)

    classes: tuple[tuple[str, str, Any], ...] = (
        ("chat", "OpenAI", openai),
        ("chat", "OpenAILike", like),
        ("responses", "OpenAIResponses", responses),
        ("anthropic", "Anthropic", anthropic),
        ("gemini", "GoogleGenAI", gemini),
        ("bedrock", "BedrockConverse", bedrock),
    )
    for api, name, make in classes:
        yield Row(api, f"{name}, plain", partial(_chat, make, hello))
        yield Row(
            api, f"{name}, stream", partial(_stream, make, hello), _has_hours if api == "anthropic" else keeps_all
        )


def _chat(make: Any, messages: list[Any], url: str, model: str) -> object:
    return make(url, model).chat(messages)


def _stream(make: Any, messages: list[Any], url: str, model: str) -> object:
    return list(make(url, model).stream_chat(messages))


@cache
def fitting_anthropic() -> Any:
    """Return LlamaIndex's class for Anthropic as it works with anthropic 2.

    llama-index-llms-anthropic 0.12 fits anthropic 1: it calls types that are unions by now, whose members are dicts,
    and sends a temperature, which is no parameter any more.
    """
    from llama_index.llms.anthropic import Anthropic, utils

    utils.MessageParam = utils.BetaMessageParam = dict  # type: ignore[attr-defined]  # what they are

    class Fitting(Anthropic):
        def _get_all_kwargs(self, **kwargs: Any) -> dict[str, Any]:
            return {name: value for name, value in super()._get_all_kwargs(**kwargs).items() if name != "temperature"}

    return Fitting


def crewai() -> Iterator[Row]:
    """Yield CrewAI's native classes, those that take one also with the interceptor."""
    from crewai import LLM
    from google.genai import types

    import tc_crewai

    interceptor = tc_crewai.TrackingInterceptor()

    @cache
    def made(api: str, url: str, model: str, *, stream: bool, is_watched: bool) -> Any:
        more: dict[str, Any] = {"stream": stream, **({"interceptor": interceptor} if is_watched else {})}
        if api == "gemini":
            options = {"http_options": types.HttpOptions(base_url=url)}
            return LLM("gemini/gemini-2.5-flash", api_key="x", client_params=options, **more)
        if api == "bedrock":
            os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = url
            return LLM(f"bedrock/{_BEDROCK}", region_name="us-east-1", **more)
        if api == "anthropic":
            return LLM("anthropic/claude-sonnet-4-6", base_url=url, max_retries=0, **more)
        more |= {"api": "responses"} if api == "responses" else {}
        name = model if model.startswith("gemini") else "gpt-4o-mini"  # no event of CrewAI's tells which one answered
        return LLM(f"openai/{name}", base_url=f"{url}/v1", max_retries=0, **more)

    def row(api: str, way: str, *, stream: bool = False, is_watched: bool = False) -> Row:
        def ask(url: str, model: str) -> object:
            return made(api, url, model, stream=stream, is_watched=is_watched).call("hi")

        return Row(api, way, ask, keeps_all if is_watched else _LEFT_OUT[api])

    for api in ("chat", "responses", "anthropic", "gemini", "bedrock"):
        yield row(api, "plain")
        yield row(api, "stream", stream=True)
        if api in ("chat", "responses"):  # those of Anthropic's class do not fit anthropic 2, which wants httpx2
            yield row(api, "plain, with the interceptor", is_watched=True)


def _has_hours(body: Body) -> bool:
    """Tell whether something was written to Anthropic's cache for an hour; of a stream only the first event says so."""
    return bool((body["usage"].get("cache_creation") or {}).get("ephemeral_1h_input_tokens"))


def _has_more_kinds(body: Body) -> bool:
    """Tell whether there is audio or a write to OpenAI's cache."""
    usage = body["usage"]
    details = [usage.get(f"{side}_tokens_details") or {} for side in ("prompt", "completion", "input", "output")]
    return any(each.get("audio_tokens") or each.get("cache_write_tokens") for each in details)


def _has_steps(body: Body) -> bool:
    usage = body["usage"]
    is_step = any(step["type"] == "compaction" for step in usage.get("iterations") or ())
    return _has_hours(body) or is_step or bool((usage.get("output_tokens_details") or {}).get("thinking_tokens"))


def _has_audio(body: Body) -> bool:
    usage = body["usageMetadata"]
    details = [*usage.get("promptTokensDetails", ()), *usage.get("candidatesTokensDetails", ())]
    return any(each["modality"] == "AUDIO" for each in details)


_LEFT_OUT: dict[str, Callable[[Body], bool]] = {
    "chat": _has_more_kinds,
    "responses": _has_more_kinds,
    "anthropic": _has_steps,
    "gemini": _has_audio,
    "bedrock": keeps_all,
}
"""What CrewAI's own reading of an answer leaves out, by API."""
