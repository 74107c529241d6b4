"""What the model server answers: scripted steps, and the turn that a step and a request make together."""

import json
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SERVED_MODELS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
}
"""Dated names that answer for the plain ones, as at OpenAI."""

TextCounter = Callable[[str], int]


def four_characters_a_token(text: str) -> int:
    """Count a token for each four characters: not what a real model does, but easy to check."""
    return math.ceil(len(text) / 4)


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The tokens of one answer, as its server counts them: parts are included, as OpenAI reports them."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """How to answer one request.

    `status` from 400 on answers with an error, whose message is the text. `usage` overrides single counts (`prompt`,
    `completion`, `cached`, `reasoning`); `no_usage` leaves them out of the answer. `delay` and `chunk_delay` are
    seconds; `cut_after` drops a stream's connection after so many pieces.
    """

    text: str | None = None
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    status: int | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    no_usage: bool = False
    model: str | None = None
    finish: str | None = None
    delay: float = 0.0
    chunk_delay: float = 0.0
    cut_after: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the answer asks for."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer in full."""

    step: Step
    model: str
    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str
    tokens: TokenCounts

    @property
    def pieces(self) -> list[str]:
        """The text in the pieces that a stream sends."""
        return re.findall(r"\S+\s*|\s+", self.text)


def turn(step: Step, request: Mapping[str, Any], count: TextCounter, cached_tokens: int, reasoning_tokens: int) -> Turn:
    """Work out the answer to a request."""
    messages = messages_of(request)
    calls = tuple(
        ToolCall(f"call_{uuid.uuid4().hex[:12]}", name, json.dumps(arguments)) for name, arguments in step.tool_calls
    )
    text = step.text
    if text is None:
        text = "" if calls else f"You said: {last_user_text(messages)[:60]}"
    model = str(request.get("model") or "model")
    return Turn(
        step=step,
        model=step.model or SERVED_MODELS.get(model, model),
        text=text,
        tool_calls=calls,
        finish=step.finish or ("tool_calls" if calls else "stop"),
        tokens=_tokens(step, request, messages, text, calls, count, cached_tokens, reasoning_tokens),
    )


def messages_of(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the messages of a request to any of the endpoints."""
    messages = request.get("messages")
    if messages is None:
        source = request.get("input", request.get("prompt", ""))
        if isinstance(source, list) and all(isinstance(item, str) for item in source):
            source = " ".join(source)
        messages = [{"role": "user", "content": source}] if isinstance(source, str) else source
        if request.get("instructions"):
            messages = [{"role": "system", "content": request["instructions"]}, *messages]
    return [message for message in messages or [] if isinstance(message, Mapping)]


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what the user said last."""
    return next((text_of(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")


def text_of(content: Any) -> str:
    """Return the text of a message's content, which may come in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(text_of(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def _tokens(
    step: Step,
    request: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
    text: str,
    calls: Sequence[ToolCall],
    count: TextCounter,
    cached_tokens: int,
    reasoning_tokens: int,
) -> TokenCounts:
    asked = sum(count(text_of(message.get("content"))) + count(_calls_text(message)) for message in messages)
    tools = request.get("tools")
    prompt = asked + (count(json.dumps(tools)) if tools else 0)
    completion = count(text) + sum(count(call.name + call.arguments) for call in calls) + reasoning_tokens
    counts = TokenCounts(prompt, completion, min(cached_tokens, prompt), reasoning_tokens)
    return replace(counts, **step.usage)


def _calls_text(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls") or []
    return "".join(str(call.get("function", {}).get("arguments", "")) for call in calls)
