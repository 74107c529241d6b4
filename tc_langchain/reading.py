"""What LangChain's payloads say, in our values. Pure functions; texts are passed on by reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from tc_core.adapter import Segment, Usage

RETRY_TAG = "retry:attempt:"

_EMPTY: Mapping[str, Any] = {}


def model_name(metadata: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """Return the model that was asked for."""
    name = metadata.get("ls_model_name") or parameters.get("model_name") or parameters.get("model")
    return name if isinstance(name, str) else None


def prompt(messages: Sequence[BaseMessage], parameters: Mapping[str, Any]) -> list[Segment]:
    """Return the parts of a request: the schemas of its tools, and its messages."""
    tools = parameters.get("tools") or parameters.get("functions")
    segments = [Segment("system", "tool_schema", list(tools))] if isinstance(tools, list) else []
    for message in messages:
        segments.extend(_parts(message))
    return segments


def texts(prompts: Sequence[str]) -> list[Segment]:
    """Return the parts of a request to a completion model."""
    return [Segment("human", "text", prompt) for prompt in prompts]


def answer(response: LLMResult | None) -> list[Segment]:
    """Return the parts of an answer, however far it came."""
    generation = _first(response)
    message = getattr(generation, "message", None)
    if isinstance(message, BaseMessage):
        return _parts(message)
    text = getattr(generation, "text", "")
    return [Segment("ai", "text", text)] if text else []


def usage(response: LLMResult | None) -> Usage | None:
    """Return what the provider reports, or None.

    Several candidates (`n`) repeat the same figures, so that only the first is read. LangChain's counts are
    inclusive, like ours.
    """
    metadata = getattr(getattr(_first(response), "message", None), "usage_metadata", None)
    if metadata:
        read, written = metadata.get("input_token_details"), metadata.get("output_token_details")
        return _usage(
            metadata.get("input_tokens"),
            metadata.get("output_tokens"),
            read and read.get("cache_read"),
            read and read.get("cache_creation"),
            written and written.get("reasoning"),
            read and read.get("audio"),
            written and written.get("audio"),
        )
    reported = _output(response).get("token_usage")
    return _from_token_usage(reported) if reported else None


def served_model(response: LLMResult | None) -> str | None:
    """Return the model that answered."""
    metadata = getattr(getattr(_first(response), "message", None), "response_metadata", None) or _EMPTY
    name = metadata.get("model_name") or metadata.get("model") or _output(response).get("model_name")
    return name if isinstance(name, str) and name else None


def is_later_attempt(tags: Sequence[str] | None) -> bool:
    """Tell whether `with_retry` has tried before."""
    return bool(tags) and any(tag.startswith(RETRY_TAG) and tag != f"{RETRY_TAG}1" for tag in tags or ())


def chain_kind(
    metadata: Mapping[str, Any], tags: Sequence[str] | None, name: str | None, *, is_root: bool
) -> tuple[str, str | None] | None:
    """Return a chain's event type and name, or None for one that is only a step inside another.

    Names are those of nodes, agents and graphs; a name that a caller gave to a run may be any text, and is not kept.
    """
    if _is_node(metadata, tags, name):
        return "task", name
    if name is not None and name == metadata.get("lc_agent_name"):
        return "agent", name
    if not is_root:
        return None
    integration = metadata.get("ls_integration")
    if integration == "langchain_create_agent":
        return "agent", None
    return "workflow", name if integration == "langgraph" else None


def labels(metadata: Mapping[str, Any], default: Mapping[str, object]) -> Mapping[str, object]:
    """Return session and agent, with the defaults laid over them.

    The agent is known by its name, else by the node of a graph that is no agent itself.
    """
    if "thread_id" not in metadata and "langgraph_node" not in metadata and "lc_agent_name" not in metadata:
        return default
    agent = metadata.get("lc_agent_name")
    if agent is None and metadata.get("ls_integration") != "langchain_create_agent":
        agent = metadata.get("langgraph_node")
    return {"session_id": metadata.get("thread_id"), "agent_id": agent, **default}


def _is_node(metadata: Mapping[str, Any], tags: Sequence[str] | None, name: str | None) -> bool:
    return metadata.get("langgraph_node") == name and any(tag.startswith("graph:step:") for tag in tags or ())


def _first(response: LLMResult | None) -> object:
    """Return the first candidate of the answer, or None."""
    if response is None or not response.generations or not response.generations[0]:
        return None
    return response.generations[0][0]


def _output(response: LLMResult | None) -> Mapping[str, Any]:
    return (None if response is None else response.llm_output) or _EMPTY


def _parts(message: BaseMessage) -> list[Segment]:
    role, content = message.type, message.content
    kind = "tool_result" if role == "tool" else "text"
    if type(content) is str:
        parts = [Segment(role, kind, content)]
    else:
        texts = [part if isinstance(part, str) else part.get("text") for part in content]
        parts = [Segment(role, kind, text) for text in texts if isinstance(text, str)]
    calls = getattr(message, "tool_calls", None) if role == "ai" else None
    if calls:
        parts += [Segment(role, "tool_call", [call.get("name"), call.get("args")]) for call in calls]
    return parts


def _from_token_usage(reported: Mapping[str, Any]) -> Usage | None:
    read = reported.get("prompt_tokens_details") or _EMPTY
    written = reported.get("completion_tokens_details") or _EMPTY
    return _usage(
        reported.get("prompt_tokens"),
        reported.get("completion_tokens"),
        read.get("cached_tokens"),
        None,
        written.get("reasoning_tokens"),
        read.get("audio_tokens"),
        written.get("audio_tokens"),
    )


def _usage(*counts: object) -> Usage | None:
    """Return the counts as usage; what is no count is unknown, and nothing known is no usage."""
    for count in counts:
        if count is not None and (type(count) is not int or count < 0):
            return _usage(*(each if type(each) is int and each >= 0 else None for each in counts))
    return None if counts[0] is None and counts[1] is None else Usage(*counts)  # type: ignore[arg-type]  # all are checked
