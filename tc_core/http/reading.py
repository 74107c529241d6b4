"""What the bodies of requests and answers say, in our values. Pure functions; nothing is kept."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tc_core.http.frames import payloads
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage, is_count

_EMPTY: Mapping[str, Any] = {}
_STANDARD = frozenset({"", "default", "auto", "standard", "on_demand"})
_SHORT = re.compile(r"\w{1,64}")
_TEXTS = frozenset({"content", "text", "thinking", "parts", "input", "prompt", "arguments", "partial_json"})
"""Where texts lie in what providers are sent and send."""

_LAST_EVENTS = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says."""

    model: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    error_type: str | None = None
    """What the provider calls the error that a stream ends with."""
    is_whole: bool = False
    """Whether the answer itself says that it is complete."""
    output: tuple[Segment, ...] = ()


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens that the body of an answer reports, in inclusive counts; None where it reports none.

    It may be of OpenAI and who speaks alike, Anthropic, Gemini, or Bedrock. Nothing but zeros is what some servers say
    who do not count.
    """
    said = body.get("usage")
    if isinstance(said, Mapping):
        usage = _openai(said) if "prompt_tokens" in said or "input_tokens_details" in said else _beside(said)
    elif isinstance(said := body.get("usageMetadata"), Mapping):
        usage = _gemini(said)
    else:
        return None
    return usage if usage.input_tokens is not None and (usage.input_tokens or usage.output_tokens) else None


def reported(response: Any) -> Usage | None:
    """Return the tokens that the body of an answer reports; None for a stream, an error or a body not read."""
    if not response.is_success or not response.is_stream_consumed:
        return None
    if "json" not in response.headers.get("content-type", ""):
        return None
    return answer(response.content, response.headers.get("content-type", "")).usage


def answer(content: bytes, kind: str) -> Answer:
    """Return what the body of an answer says, however far it came; `kind` is its content type."""
    usage: dict[str, Any] = {}
    model = tier = error_type = None
    is_whole, pieces = False, []
    for body in _bodies(payloads(content, kind)):
        said = body.get("usage")
        if isinstance(said, Mapping):  # Anthropic tells of the input first, and of the output last
            usage["usage"] = {
                **usage.get("usage", {}),
                **{key: value for key, value in said.items() if value is not None},
            }
        if isinstance(body.get("usageMetadata"), Mapping):
            usage["usageMetadata"] = body["usageMetadata"]
        model = _text(body.get("model")) or _text(body.get("modelVersion")) or model
        tier = (
            _text(body.get("service_tier"))
            or _text((said if isinstance(said, Mapping) else _EMPTY).get("service_tier"))
            or tier
        )
        error_type = _error(body) or error_type
        is_whole = is_whole or _is_last(body)
        pieces.extend(_said(body))
    return Answer(
        model=model,
        usage=usage_of(usage),
        service_tier=None if tier in _STANDARD else tier,
        error_type=error_type,
        is_whole=is_whole,
        output=(Segment("assistant", "text", "".join(pieces)),) if pieces else (),
    )


def prompt(body: Mapping[str, Any]) -> list[Segment]:
    """Return the parts of a request: the schemas of its tools, and its texts."""
    tools = body.get("tools")
    parts = [Segment("system", "tool_schema", tools)] if isinstance(tools, list) and tools else []
    for name in ("system", "instructions", "systemInstruction", "system_instruction"):
        parts += [Segment("system", "text", text) for text in _texts(body.get(name))]
    for name in ("messages", "input", "prompt", "contents", "content", "requests"):
        said = body.get(name)
        for each in said if isinstance(said, list) else (said,):
            role = _text(each.get("role")) if isinstance(each, Mapping) else None
            parts += [Segment(role or "user", "text", text) for text in _texts(each)]
    return parts


def _bodies(found: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects in which a model, usage and texts lie: some events of streams wrap them."""
    for body in found:
        if not isinstance(body, Mapping):
            continue
        yield body
        for name in ("message", "response", "metadata"):
            if isinstance(body.get(name), Mapping):
                yield body[name]


def _is_last(body: Mapping[str, Any]) -> bool:
    if body.get("type") in _LAST_EVENTS or "stopReason" in body or body.get("object") == "[DONE]":
        return True
    candidates = body.get("candidates")
    return isinstance(candidates, list) and any(_get(each, "finishReason") for each in candidates)


def _error(body: Mapping[str, Any]) -> str | None:
    said = body.get("error")
    if not said:
        return None
    name = _text(_get(said, "type")) or _text(_get(said, "status")) or _text(_get(said, "code")) or ""
    return name if _SHORT.fullmatch(name) else "error"  # never what might be a text


def _said(body: Mapping[str, Any]) -> list[str]:
    """Return the texts of an answer, or of a piece of one."""
    if _text(body.get("delta")):  # of the Responses API
        return [body["delta"]]
    found: list[str] = []
    for choice in _listed(body.get("choices")):
        said = _get(choice, "delta") or _get(choice, "message") or choice
        found += [
            text for name in ("content", "reasoning_content", "refusal", "text") for text in _texts(_get(said, name))
        ]
        for call in _listed(_get(said, "tool_calls")):
            found += _texts(_get(_get(call, "function"), "arguments"))
    for candidate in _listed(body.get("candidates")):
        found += _texts(_get(candidate, "content"))
    found += _texts(body.get("delta")) + _texts(_get(_get(body.get("output"), "message"), "content"))
    if body.get("type") == "message" or body.get("object") == "response":
        found += _texts(body.get("content"))
    return found


def _texts(value: object) -> list[str]:
    """Return the texts in a value, at any depth: what is no text, such as an image, has none."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, Mapping):
        return [text for name, each in value.items() if name in _TEXTS for text in _texts(each)]
    return []


# Usage


def _openai(said: Mapping[str, Any]) -> Usage:
    read, written = _first(said, "prompt_tokens", "input_tokens"), _first(said, "completion_tokens", "output_tokens")
    total = _count(said, "total_tokens")
    if read is not None and written is not None and total is not None and total > read + written:
        written = total - read  # some count reasoning in nothing but the total
    of_read = said.get("prompt_tokens_details") or said.get("input_tokens_details")
    of_written = said.get("completion_tokens_details") or said.get("output_tokens_details")
    return Usage(
        read,
        written or 0,
        cached_tokens=_count(of_read, "cached_tokens"),
        cache_write_tokens=_count(of_read, "cache_write_tokens"),
        reasoning_tokens=_count(of_written, "reasoning_tokens"),
        audio_input_tokens=_count(of_read, "audio_tokens"),
        audio_output_tokens=_count(of_written, "audio_tokens"),
    )


def _beside(said: Mapping[str, Any]) -> Usage:
    """Return what Anthropic and Bedrock report, who count cached tokens beside the input."""
    read, written = _first(said, "input_tokens", "inputTokens"), _first(said, "output_tokens", "outputTokens")
    cached = _first(said, "cache_read_input_tokens", "cacheReadInputTokens")
    cache_write = _first(said, "cache_creation_input_tokens", "cacheWriteInputTokens")
    return Usage(
        None if read is None else read + (cached or 0) + (cache_write or 0),
        written or 0,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        cache_write_1h_tokens=_count(said.get("cache_creation"), "ephemeral_1h_input_tokens"),
    )


def _gemini(said: Mapping[str, Any]) -> Usage:
    """Return what Gemini reports, who counts thoughts and the results of its tools beside the rest."""
    read, thoughts = _count(said, "promptTokenCount"), _count(said, "thoughtsTokenCount")
    return Usage(
        None if read is None else read + (_count(said, "toolUsePromptTokenCount") or 0),
        (_count(said, "candidatesTokenCount") or 0) + (thoughts or 0),
        cached_tokens=_count(said, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _first(said: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(said, name)) is not None), None)


def _count(said: object, name: str) -> int | None:
    count = _get(said, name)
    return count if is_count(count) else None


def _get(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
