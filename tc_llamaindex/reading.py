"""What LlamaIndex's payloads say, in our values. Pure functions; texts are passed on by reference."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from tc_core.adapter import Segment, usage_part

MOST_NODES = 50
MOST_ID = 128
_MOST_NAME = 200
_MOST_CAUSES = 8

STRUCTURED = "structured_llm"
"""The class of a model that only passes on to another one."""

_STANDARD = frozenset({"", "default", "auto", "standard", "on_demand"})
_SESSION = ("session_id", "session")
_EMPTY: Mapping[str, Any] = {}


def model_name(model: Mapping[str, Any]) -> str | None:
    """Return the model that was asked for; LlamaIndex calls one that says no name `unknown`."""
    name = model.get("model_name")
    return name if isinstance(name, str) and name not in ("", "unknown") else None


def own_model(model: Any) -> str | None:
    """Return the model that a model object asks, where no event tells it."""
    found = model.metadata.model_name
    return found if isinstance(found, str) and found else None


def name(value: object) -> str | None:
    """Return a name that the user gave to an agent or a tool."""
    return value[:_MOST_NAME] if isinstance(value, str) and value else None


def session(tags: Mapping[str, object]) -> str | None:
    """Return the session that the user's own tags name; no other tag is read, since some hold texts."""
    return next((name(tags[key]) for key in _SESSION if key in tags), None)


# Prompts and answers


def most_output_tokens(payload: Mapping[str, Any]) -> int | None:
    """Return the limit that a request sets to its answer."""
    asked, model = payload.get("additional_kwargs") or _EMPTY, payload.get("serialized") or _EMPTY
    found = asked.get("max_tokens") or asked.get("max_completion_tokens") or model.get("max_tokens")
    return found if type(found) is int else None


def prompt(messages: Sequence[Any], parameters: Mapping[str, Any]) -> list[Segment]:
    """Return the parts of a request: the schemas of its tools, and its messages."""
    tools = parameters.get("tools")
    segments = [Segment("system", "tool_schema", list(tools))] if isinstance(tools, list) and tools else []
    for message in messages:
        segments.extend(_parts(message))
    return segments


def text(prompt: object) -> list[Segment]:
    """Return the parts of a request to a completion model."""
    return [Segment("user", "text", prompt)] if isinstance(prompt, str) else []


def prediction(arguments: Mapping[str, Any]) -> list[Segment]:
    """Return the parts of a request for an object: its schema, and the messages that a template gives."""
    schema = arguments["output_cls"].model_json_schema()
    messages = arguments["prompt"].format_messages(**arguments.get("prompt_args", _EMPTY))
    return [Segment("system", "tool_schema", [schema]), *(part for message in messages for part in _parts(message))]


def predicted(made: Any) -> list[Segment]:
    """Return the answer from which an object was made, near enough."""
    text = getattr(made, "model_dump_json", None)
    return [] if text is None else [Segment("assistant", "text", text())]


def texts_to_embed(arguments: Mapping[str, Any]) -> list[str] | None:
    """Return what a method of an embedding model was given to embed; None where that is not seen."""
    given = next((arguments[name] for name in ("texts", "text", "query") if name in arguments), None)
    if given is None and arguments.get("args"):
        given = arguments["args"][0]
    return [given] if isinstance(given, str) else list(given) if isinstance(given, list) else None


def chunks(texts: Sequence[object]) -> list[Segment]:
    """Return the parts of a request for embeddings."""
    return [Segment("user", "text", text) for text in texts if isinstance(text, str)]


def answer(response: Any, deltas: Sequence[str] = ()) -> list[Segment]:
    """Return the parts of an answer, however far it came; `deltas` are the pieces of a stream.

    Some clients give the whole text so far with each piece, some only the piece.
    """
    if response is None:
        return []
    message = getattr(response, "message", None)
    if message is None:
        parts = [Segment("assistant", "text", said)] if (said := getattr(response, "text", None)) else []
    else:
        parts = _parts(message)
    streamed = "".join(deltas)
    if len(streamed) > sum(len(part.body) for part in parts if part.kind == "text"):
        others = [part for part in parts if part.kind != "text"]
        return [Segment("assistant", "text", streamed), *others]
    return parts


def tool_result(result: Any) -> list[Segment]:
    """Return what a tool has said."""
    blocks = getattr(result, "blocks", None)
    if blocks is not None:
        texts = [getattr(block, "text", None) for block in blocks]
        return [Segment("tool", "tool_result", text) for text in texts if isinstance(text, str) and text]
    if result is None:
        return []
    return [
        Segment("tool", "tool_result", result if isinstance(result, str | int | float | list | dict) else str(result))
    ]


def passages(found: Sequence[Any]) -> list[Segment]:
    """Return the passages that a retriever has found, or a reranker has kept."""
    texts = [getattr(each, "node", each).get_content() for each in found]
    return [Segment("tool", "text", text) for text in texts if isinstance(text, str)]


def delta(response: object) -> str | None:
    """Return the text that a piece of a stream adds."""
    added = getattr(response, "delta", None)
    return added if isinstance(added, str) and added else None


def characters(response: Any) -> int:
    """Return how many characters a piece of a stream adds, with what it asks of tools, as OpenAI's streams tell it."""
    thought = response.additional_kwargs.get("thinking_delta")
    asked = (
        _get(_get(call, "function"), "arguments")
        for choice in _get(response.raw, "choices") or ()
        for call in _get(_get(choice, "delta"), "tool_calls") or ()
    )
    return sum(len(each) for each in (delta(response), thought, *asked) if isinstance(each, str))


_OF_IMAGE = ("image", "detail")


def _parts(message: Any) -> list[Segment]:
    role = getattr(message.role, "value", message.role)
    kind = "tool_result" if role in ("tool", "function") else "text"
    parts, has_calls = [], False
    for block in message.blocks:
        sort = getattr(block, "block_type", None)
        if sort == "tool_call":
            parts.append(Segment(role, "tool_call", [block.tool_name, block.tool_kwargs]))
            has_calls = True
        elif sort == "image":
            parts.append(Segment(role, "image", {name: getattr(block, name, None) for name in _OF_IMAGE}))
        else:
            thoughts = getattr(block, "content", None) if sort == "thinking" else None
            said = thoughts or getattr(block, "text", None)
            if isinstance(said, str) and said:
                parts.append(Segment(role, "reasoning" if thoughts else kind, said))
    if not has_calls:  # clients that have no blocks for them
        calls = message.additional_kwargs.get("tool_calls")
        parts += [Segment(role, "tool_call", _call(call)) for call in calls] if isinstance(calls, list) else []
    return parts


def _call(call: object) -> list[object]:
    function = _get(call, "function") or call
    return [_get(function, "name"), _get(function, "arguments")]


# Usage


class Answer(NamedTuple):
    """What an answer says beside its texts."""

    report: dict[str, Any] | None = None
    """What the provider's own body says of usage."""
    model: str | None = None
    """The model that answered."""
    service_tier: str | None = None
    """What the provider calls the kind of processing, where it is not the standard one."""


NOTHING_SAID = Answer()

_BODIES = ("usage", "usage_metadata", "response", "metadata", "message", "prompt_eval_count")
"""Where a piece of a stream has what it says of usage, if it says anything."""


def said(response: Any) -> Answer:
    """Return what an answer says beside its texts: the client puts the provider's own answer into `raw`.

    Where that says nothing of usage, what the client itself made of it counts.
    """
    if response is None:
        return NOTHING_SAID
    raw = response.raw
    report = usage_part(raw)
    if report is None:
        report = usage_part(response.additional_kwargs)
    elif isinstance(raw, dict) and "usage_metadata" in raw and raw.get("finish_reason", "") is None:
        report["is_partial"] = True  # the counts so far: Gemini's client keeps back a last piece that has no text
    inner = _get(raw, "response")  # the last piece of a stream of the Responses API
    model, tier = (_get(raw, name) or _get(inner, name) for name in ("model", "service_tier"))
    return Answer(
        report,
        model if isinstance(model, str) and model else None,
        tier if isinstance(tier, str) and tier not in _STANDARD else None,
    )


def in_piece(response: Any) -> dict[str, Any] | None:
    """Return what a piece of a stream says of usage; most say nothing, and each is waited for."""
    raw = response.raw
    return usage_part(raw) if any(_get(raw, name) for name in _BODIES) else None


def of_error(error: BaseException | None) -> dict[str, Any] | None:
    """Return what an error says of usage: one about an answer that was cut off brings the answer with it."""
    report: dict[str, Any] | None = None
    left = _MOST_CAUSES
    while error is not None and report is None and left > 0:
        report = usage_part(getattr(error, "completion", None))
        error, left = error.__cause__ or error.__context__, left - 1
    return report


def _get(value: object, name: str) -> Any:
    if value is None:
        return None
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


# Passages


def nodes(found: object) -> Mapping[str, Any]:
    """Return which passages were found, by id and score; the ids are the user's own, and bounded."""
    if not isinstance(found, list):
        return _EMPTY
    kept = [{"id": id_, "score": _score(each)} for each in found[:MOST_NODES] if (id_ := _node_id(each)) is not None]
    return {"nodes": kept, "found": len(found)}


def _node_id(found: Any) -> str | None:
    id_ = getattr(getattr(found, "node", found), "node_id", None)
    return id_[:MOST_ID] if isinstance(id_, str) else None


def _score(found: object) -> float | None:
    score = getattr(found, "score", None)
    return round(float(score), 6) if isinstance(score, (int, float)) and isfinite(score) else None
