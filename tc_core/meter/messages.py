"""What a whole request weighs: its messages, and what a chat format adds around them.

The additions are those that OpenAI documents for its models; for others they are an estimate.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tc_core.meter import tokens

PER_MESSAGE = 3
PER_ROLE = 1
PER_NAME = 1
PER_REPLY = 3

_PER_TOOL = {"cl100k_base": 10}
_PER_TOOL_ELSE = 7
_PER_PROPERTIES = 3
_PER_PROPERTY = 3
_PER_ENUM = -3
_PER_ENUM_ITEM = 3
_AFTER_TOOLS = 12

Message = Mapping[str, Any]


def count_messages(messages: Iterable[Message], model: str, *, tools: Sequence[Mapping[str, Any]] = ()) -> int:
    """Count the input tokens of a chat request.

    `messages` are those of OpenAI's chat API: `role`, `content` (text, or parts of which the texts are counted),
    `name`, `tool_calls`. `tools` are function definitions as the API takes them. Exact for plain texts where the
    model's tokenizer is public; images and audio are not counted.
    """
    total = PER_REPLY + count_tools(tools, model).tokens
    for message in messages:
        if not isinstance(message, Mapping):
            raise TypeError(f"messages must be dicts with role and content, got {type(message).__name__}")
        texts = [str(message.get("role", "")), *_texts(message.get("content"))]
        if message.get("name"):
            texts.append(str(message["name"]))
            total += PER_NAME
        for call in message.get("tool_calls") or ():
            function = call.get("function") or call
            texts += [str(function.get("name", "")), _text(function.get("arguments", function.get("args", "")))]
        total += PER_MESSAGE + sum(tokens.count(text, model).tokens for text in texts)
    return total


def count_tools(tools: Sequence[Mapping[str, Any]], model: str | None) -> tokens.Count:
    """Count what function definitions add to a prompt."""
    if not tools:
        return tokens.Count(0, tokens.count("", model).source)
    per_tool = _PER_TOOL.get(tokens.encoding_name(model or "") or "", _PER_TOOL_ELSE)
    total, counts = _AFTER_TOOLS, [tokens.count("", model)]
    for tool in tools:
        function = tool.get("function") or tool
        counts.append(tokens.count(f"{function.get('name', '')}:{_sentence(function)}", model))
        total += per_tool
        schema = function.get("parameters") or function.get("input_schema") or {}
        properties = schema.get("properties") or {}
        total += _PER_PROPERTIES if properties else 0
        described = {name: each for name, each in properties.items() if isinstance(each, Mapping)}
        for name, each in described.items():
            total += _PER_PROPERTY
            items = each.get("enum") or ()
            total += _PER_ENUM + _PER_ENUM_ITEM * len(items) if items else 0
            counts += [tokens.count(str(item), model) for item in items]
            counts.append(tokens.count(f"{name}:{each.get('type', '')}:{_sentence(each)}", model))
            deeper = {key: value for key, value in each.items() if key in ("properties", "items", "anyOf", "$defs")}
            if deeper:
                counts.append(tokens.count(_text(deeper), model))
    return tokens.Count(total + sum(count.tokens for count in counts), tokens.weakest(counts))


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, Sequence):
        return []
    parts = (
        part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, (str, Mapping))
    )
    return [part for part in parts if isinstance(part, str)]


def _sentence(described: Mapping[str, Any]) -> str:
    return str(described.get("description") or "").removesuffix(".")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
