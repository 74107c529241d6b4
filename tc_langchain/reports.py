"""Where LangChain keeps what a provider says of usage: the provider's own words, or else LangChain's counts of them.

Nothing is counted here: `usage_part` takes what is found, and the writer reads it. LangChain's counts are spelled as
the API that they come from spells its own, since the reader knows what each of them counts where.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessageChunk
from langchain_core.outputs import LLMResult

from tc_core.adapter import Report, usage_part

Fields = Mapping[str, Any]

_EMPTY: Fields = {}
_BODIES = ("token_usage", "usage", "usage_metadata", "token_count")
"""What integrations call the provider's own words, in `llm_output` and in `response_metadata`."""
_BODY_NAMES = frozenset(_BODIES)
_GOOGLE = frozenset({"google_genai", "google_vertexai"})
_AS_ASKED = frozenset({"speed", "inference_geo"})
"""What Anthropic does as it is asked to; from a stream LangChain does not hand on that it did."""
_NOT_OF_PROVIDER = frozenset({"tool_call", "function_call", "server_tool_call", "custom_tool_call"})


def report(response: LLMResult | None, last_of_stream: Fields | None = None, asked: Fields = _EMPTY) -> Report | None:
    """Return what an answer says of usage, or None.

    Several candidates (`n`) repeat the same usage. Of a stream LangChain adds up what its chunks say, so that
    `last_of_stream` counts instead where it is given. `asked` is what `as_asked` has found in the request.
    """
    candidates = _candidates(response)
    message = getattr(candidates[0], "message", None) if candidates else None
    output = (None if response is None else response.llm_output) or _EMPTY
    metadata: Fields = getattr(message, "response_metadata", None) or _EMPTY
    counts = last_of_stream or getattr(message, "usage_metadata", None)
    if not counts or not isinstance(message, BaseMessageChunk):  # a chunk's metadata is added up too
        for place in (output, metadata):
            for name in () if _BODY_NAMES.isdisjoint(place) else _BODIES:
                part = usage_part({**_facts(metadata, output), "usage": place[name]}) if place.get(name) else None
                if part is not None:
                    return part
    if not counts:
        return None
    said = {**_facts(metadata, output), "usage": _spelled(counts, metadata)}
    if asked:
        said["usage"] = {**said["usage"], **asked}
    if "grounding_metadata" in metadata:
        said["candidates"] = [each.message.response_metadata for each in candidates]
    if message is not None and (type(message.content) is list or "tool_outputs" in message.additional_kwargs):
        said["output"] = list(_ran(message))
        said["is_cut"] = _is_compacted(message)
    return usage_part(said)


def of_error(error: BaseException, response: LLMResult | None) -> Report | None:
    """Return what a failed call says of usage: the answer to a structured one that was cut off is billed all the same.

    OpenAI's error has the completion; from pydantic's LangChain takes the body of the HTTP answer.
    """
    completion = getattr(error, "completion", None)
    if completion is not None:
        return usage_part(completion)
    message = getattr(_candidates(response)[0], "message", None) if _candidates(response) else None
    body = message.response_metadata.get("body") if message is not None else None
    return usage_part(body) if isinstance(body, dict) else None


def of_chunk(chunk: object) -> Fields | None:
    """Return LangChain's counts of a chunk of a stream; none of Google's, whose chunks tell what each adds."""
    message: Any = getattr(chunk, "message", None)
    counts: Fields | None = getattr(message, "usage_metadata", None)
    return None if counts and message.response_metadata.get("model_provider") in _GOOGLE else counts


def is_sum_so_far(before: Fields, reported: Fields) -> bool:
    """Tell whether a chunk's usage contains that of an earlier one, which LangChain would add up."""
    return bool(
        before
        and reported["input_tokens"] >= before["input_tokens"] > 0
        and reported["output_tokens"] >= before["output_tokens"]
    )


def is_so_far(response: LLMResult | None, received_tokens: int) -> bool:
    """Tell whether the pieces of a stream that was cut count what had come: most providers count it at the end alone.

    Anthropic's first piece has the tokens of the prompt, and hardly any of the answer.
    """
    candidates = _candidates(response)
    counts: Fields | None = None
    if candidates:
        counts = getattr(getattr(candidates[0], "message", None), "usage_metadata", None)
    return counts is not None and 2 * counts["output_tokens"] >= received_tokens


def as_asked(parameters: Fields, serialized: Fields | None) -> Fields:
    """Return what a request asks for that changes its price, and that its stream will not tell of."""
    found = _EMPTY
    for place in (parameters, parameters.get("model_kwargs"), (serialized or _EMPTY).get("kwargs")):
        if place and (type(place) is dict or isinstance(place, Mapping)) and not _AS_ASKED.isdisjoint(place):
            found = {**found, **{name: place[name] for name in _AS_ASKED if isinstance(place.get(name), str)}}
    return found


def _candidates(response: LLMResult | None) -> Sequence[Any]:
    return response.generations[0] if response is not None and response.generations else ()


def _facts(metadata: Fields, output: Fields) -> dict[str, Any]:
    """Return what stands beside the usage and decides what it costs."""
    found = {
        "model": metadata.get("model_name") or metadata.get("model") or output.get("model_name"),
        "service_tier": metadata.get("service_tier") or output.get("service_tier"),
    }
    if "serviceTier" in metadata:  # Bedrock
        found["serviceTier"] = metadata["serviceTier"]
    return found


def _spelled(counts: Fields, metadata: Fields) -> Fields:
    """Return LangChain's counts as their API spells them, without the zeros that stand for what was not told."""
    read, written = counts.get("input_tokens"), counts.get("output_tokens")
    if type(read) is not int or type(written) is not int:
        return counts
    total = counts.get("total_tokens")
    if not read and total == written:
        total = None
    details, details_out = counts.get("input_token_details") or _EMPTY, counts.get("output_token_details") or _EMPTY
    maker = metadata.get("model_provider")
    if maker in _GOOGLE:
        thoughts = details_out.get("reasoning")
        return {
            "promptTokenCount": read or None,
            "candidatesTokenCount": written - (thoughts or 0) or None,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": details.get("cache_read"),
            "totalTokenCount": total or None,
        }
    if maker == "openai" and "object" not in metadata:  # which the Responses API names
        # langchain-openai puts such a tier before the names of details
        tier = "flex_" if "flex" in details else "priority_" if "priority" in details else ""
        return {
            "prompt_tokens": read or None,
            "completion_tokens": written or None,
            "total_tokens": total,
            "prompt_tokens_details": {
                "cached_tokens": details.get(f"{tier}cache_read"),
                "cache_write_tokens": details.get(f"{tier}cache_creation"),
                "audio_tokens": details.get("audio"),
            },
            "completion_tokens_details": {
                "reasoning_tokens": details_out.get(f"{tier}reasoning"),
                "audio_tokens": details_out.get("audio"),
            },
        }
    return {**counts, "input_tokens": read or None, "total_tokens": total}


def _ran(message: Any) -> Iterator[Fields]:
    """Yield the calls of the provider's own tools, as OpenAI's Responses API puts them out."""
    content = message.content if type(message.content) is list else ()
    is_of_openai = message.response_metadata.get("model_provider") == "openai"
    for block in (*content, *message.additional_kwargs.get("tool_outputs", ())):
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(kind, str):
            continue
        if kind.endswith("_call") and kind not in _NOT_OF_PROVIDER:
            yield block
        elif kind == "server_tool_call" and (is_of_openai or block.get("name") == "web_search"):  # LangChain's own form
            yield {"type": f"{block.get('name')}_call", "action": block.get("args")}
        elif kind == "web_search_tool_result" and isinstance(block.get("content"), list):  # Anthropic; an error is none
            yield {"type": "web_search_call"}


def _is_compacted(message: Any) -> bool:
    """Tell whether Anthropic has shortened the conversation: LangChain drops what that took from a stream's usage."""
    is_of_anthropic = message.response_metadata.get("model_provider") == "anthropic"
    return is_of_anthropic and any(
        isinstance(block, dict) and block.get("type") == "compaction" for block in message.content
    )
