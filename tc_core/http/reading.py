"""What the bodies of requests and answers say, in our values. Pure functions; nothing is kept."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tc_core.http.frames import payloads
from tc_core.meter.usage import join_parts, usage_part
from tc_core.model.segment import Segment, of_block
from tc_core.model.usage import Report

_SHORT = re.compile(r"\w{1,64}")
_TEXTS = frozenset({"content", "text", "thinking", "parts", "input", "prompt", "arguments", "partial_json"})
"""Where texts lie in what providers are sent and send."""

_LAST_EVENTS = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says."""

    model: str | None = None
    report: Report | None = None
    error_type: str | None = None
    """What the provider calls the error that a stream ends with."""
    is_whole: bool = False
    """Whether the answer itself says that it is complete."""
    output: tuple[Segment, ...] = ()


def reported(response: Any) -> Report | None:
    """Return what the body of an answer says of usage; None for a stream, an error or a body not read."""
    if not response.is_success or not response.is_stream_consumed:
        return None
    if "json" not in response.headers.get("content-type", ""):
        return None
    return answer(response.content, response.headers.get("content-type", "")).report


def answer(content: bytes, kind: str) -> Answer:
    """Return what the body of an answer says, however far it came; `kind` is its content type."""
    report: dict[str, Any] | None = None
    model = error_type = None
    is_whole, pieces = False, []
    for body in payloads(content, kind):
        part = usage_part(body)
        if part is not None:
            report = part if report is None else join_parts(report, part)
        for each in _bodies(body):
            model = _text(each.get("model")) or _text(each.get("modelVersion")) or model
            error_type = _error(each) or error_type
            is_whole = is_whole or _is_last(each)
            pieces.extend(_said(each))
    return Answer(
        model=model,
        report=report,
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
            parts += [Segment(role or "user", "image", block) for block in _images(each)]
    return parts


def _images(message: object) -> Iterator[Mapping[str, Any]]:
    """Yield the images of a message, as OpenAI, Anthropic and Gemini are sent them."""
    for name in ("content", "parts"):
        for block in _listed(_get(message, name)):
            part = of_block("user", "text", block)
            is_of_gemini = isinstance(block, Mapping) and ("inlineData" in block or "inline_data" in block)
            if (part is not None and part.kind == "image") or is_of_gemini:
                yield block


def _bodies(body: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the objects in which a model and texts lie: some events of streams wrap them."""
    if not isinstance(body, Mapping):
        return
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


def _get(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
