"""Messages of OpenAI, Anthropic, LangChain, LlamaIndex and CrewAI, in and out in their own type.

No framework is imported: who brings a message of one has it loaded. CrewAI's messages are dicts like OpenAI's.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tc_core.health.messages import Entry, Message, Role, ToolCall, role_of
from tc_core.meter import images

SHORTENED = "[shortened]"
"""Stands where something was left out."""

_IMAGES = frozenset({"image", "image_url", "input_image"})
_THOUGHTS = ("thinking", "reasoning", "reasoning_content")


def read(message: object) -> Entry:
    """Return what a message says; TypeError for what is no message, ValueError for a role that does not exist."""
    if isinstance(message, Message):
        calls = tuple(ToolCall(*call) for call in message.tool_calls)
        answers = () if message.tool_call_id is None else (message.tool_call_id,)
        return Entry(
            role_of(message.role), _text(message.content), calls, answers, message.name, original=message, form=PLAIN,
            is_pinned=message.is_pinned,
        )  # fmt: skip
    if isinstance(message, Mapping):
        return _of_mapping(message, message, DICTS)
    packages = {kind.__module__.partition(".")[0] for kind in type(message).__mro__}
    if "langchain_core" in packages:
        return _of_langchain(message)
    if "llama_index" in packages:
        return _of_llamaindex(message)
    if hasattr(message, "role") and hasattr(message, "model_dump"):  # an answer of the clients of OpenAI or Anthropic
        return _of_mapping(message.model_dump(exclude_none=True), message, DICTS)
    raise TypeError(
        f"a message is a dict with role and content, or one of LangChain, LlamaIndex or CrewAI, "
        f"got {type(message).__name__}"
    )


class _Plain:
    def made(self, role: Role, text: str, like: object) -> object:
        return Message(role, text)

    def shortened(self, original: object, text: str) -> object:
        return replace(original, content=text) if isinstance(original, Message) else Message("user", text)


class _Dicts:
    def made(self, role: Role, text: str, like: object) -> object:
        return {"role": role, "content": text}

    def shortened(self, original: object, text: str) -> object:
        said = original if isinstance(original, Mapping) else dict(_dumped(original))
        return {**said, "content": _with_text(said.get("content"), text)}


class _LangChain:
    def made(self, role: Role, text: str, like: object) -> object:
        kinds = sys.modules["langchain_core.messages"]
        kind = {"system": kinds.SystemMessage, "assistant": kinds.AIMessage}.get(role, kinds.HumanMessage)
        return kind(content=text)

    def shortened(self, original: object, text: str) -> object:
        message: Any = original
        return message.model_copy(update={"content": _with_text(message.content, text)})


class _LlamaIndex:
    def made(self, role: Role, text: str, like: object) -> object:
        message: Any = like
        return type(message)(role=role, content=text)

    def shortened(self, original: object, text: str) -> object:
        message: Any = original
        kind = sys.modules["llama_index.core.llms"].TextBlock
        others = [block for block in message.blocks if not isinstance(getattr(block, "text", None), str)]
        return message.model_copy(update={"blocks": [kind(text=text), *others]})


PLAIN, DICTS, LANGCHAIN, LLAMAINDEX = _Plain(), _Dicts(), _LangChain(), _LlamaIndex()


def _of_mapping(said: Mapping[Any, Any], original: object, form: _Dicts) -> Entry:
    role = said.get("role")
    if not isinstance(role, str):
        raise TypeError(f"a message needs a role, got one with {', '.join(map(str, said)) or 'nothing'}")
    entry = Entry(role_of(role), "", name=_named(said.get("name")), original=original, form=form)
    _read_content(entry, said.get("content"))
    calls = said.get("tool_calls") or ()
    legacy = said.get("function_call")
    if isinstance(legacy, Mapping):
        calls = [{"function": legacy}]
    _add_calls(entry, calls)
    if entry.role == "tool" and isinstance(said.get("tool_call_id"), str):
        entry.answers = (said["tool_call_id"],)
    entry.is_pinned = bool(said.get("is_pinned") or said.get("pinned"))
    return entry


def _of_langchain(original: object) -> Entry:
    message: Any = original
    kind = str(message.type).removesuffix("MessageChunk").lower()
    said = getattr(message, "role", None) if kind == "chat" else kind
    entry = Entry(_role_or_user(said), "", name=_named(message.name), original=message, form=LANGCHAIN)
    _read_content(entry, message.content)
    _add_calls(
        entry, [*(getattr(message, "tool_calls", None) or ()), *(getattr(message, "invalid_tool_calls", None) or ())]
    )
    answered = getattr(message, "tool_call_id", None)
    if isinstance(answered, str):
        entry.answers = (answered,)
    entry.is_pinned = bool(message.additional_kwargs.get("is_pinned"))
    return entry


def _of_llamaindex(original: object) -> Entry:
    message: Any = original
    extra: Mapping[str, Any] = message.additional_kwargs
    said = getattr(message.role, "value", message.role)
    entry = Entry(_role_or_user(said), "", name=_named(extra.get("name")), original=message, form=LLAMAINDEX)
    texts = []
    for block in message.blocks:
        if isinstance(text := getattr(block, "text", None), str):
            texts.append(text)
        elif hasattr(block, "tool_name"):
            _add_calls(entry, [{"id": block.tool_call_id, "name": block.tool_name, "args": block.tool_kwargs}])
        else:
            entry.unseen_tokens += images.count({}, None) if "Image" in type(block).__name__ else 0
    entry.text = "\n".join(texts)
    _add_calls(entry, extra.get("tool_calls") or ())
    if entry.role == "tool" and isinstance(extra.get("tool_call_id"), str):
        entry.answers = (extra["tool_call_id"],)
    entry.is_pinned = bool(extra.get("is_pinned"))
    return entry


def _role_or_user(name: object) -> Role:
    """Return who speaks; a framework may let a program name its own roles, which a model hears as a user."""
    try:
        return role_of(str(name))
    except ValueError:
        return "user"


def _read_content(entry: Entry, content: object) -> None:
    if not isinstance(content, (list, tuple)):
        entry.text = _text(content)
        return
    texts: list[str] = []
    for part in content:
        if not isinstance(part, Mapping):
            texts.append(_text(part))
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("type") == "tool_use":
            _add_calls(entry, [{"id": part.get("id"), "name": part.get("name"), "args": part.get("input")}])
        elif part.get("type") == "tool_result":
            inner = Entry("tool", "")
            _read_content(inner, part.get("content"))
            entry.role, entry.unseen_tokens = "tool", entry.unseen_tokens + inner.unseen_tokens
            entry.answers = (*entry.answers, str(part.get("tool_use_id")))
            texts.append(inner.text)
        elif part.get("type") in _IMAGES:
            entry.unseen_tokens += images.count(part, None)
        else:
            thought = next((part[name] for name in _THOUGHTS if isinstance(part.get(name), str)), "")
            entry.unseen_tokens += len(thought) // 4
    entry.text = "\n".join(texts)


def _add_calls(entry: Entry, calls: Iterable[Any]) -> None:
    known = {call.id for call in entry.calls if call.id is not None}
    for call in calls:
        said = call if isinstance(call, Mapping) else _dumped(call)
        function = said.get("function")
        inner = function if isinstance(function, Mapping) else said
        arguments = next((inner[name] for name in ("arguments", "args", "input", "tool_kwargs") if name in inner), "")
        id_ = said.get("id") or said.get("tool_call_id")
        if id_ is None or id_ not in known:
            name = inner.get("name") or inner.get("tool_name") or ""
            made = ToolCall(None if id_ is None else str(id_), str(name), _written(arguments))
            entry.calls = (*entry.calls, made)


def _dumped(value: object) -> Mapping[str, Any]:
    dump = getattr(value, "model_dump", None)
    found = dump() if callable(dump) else vars(value) if hasattr(value, "__dict__") else {}
    return found if isinstance(found, Mapping) else {}


def _written(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)


def _named(name: object) -> str | None:
    return name if isinstance(name, str) and name else None


def _text(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, (bytes, bytearray, memoryview)):
        return f"[{len(bytes(content)):,} bytes]"  # what is no text is kept as it came, and weighed as its name
    return _written(content)


def _with_text(content: object, text: str) -> object:
    """Return a content with another text; what is no text in it stays."""
    if not isinstance(content, (list, tuple)):
        return text
    parts: list[Any] = []
    is_placed = False
    for part in content:
        if isinstance(part, str) or (isinstance(part, Mapping) and isinstance(part.get("text"), str)):
            if not is_placed:
                parts.append(text if isinstance(part, str) else {**part, "text": text})
            is_placed = True
        elif isinstance(part, Mapping) and part.get("type") == "tool_result":
            parts.append({**part, "content": SHORTENED if is_placed else text})
            is_placed = True
        else:
            parts.append(part)
    return parts if is_placed else [{"type": "text", "text": text}, *parts]
