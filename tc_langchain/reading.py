"""What LangChain's payloads say, in our values. Pure functions; texts are passed on by reference."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from tc_core.adapter import Content, Segment, of_block, provider_at

CREATE_AGENT = "langchain_create_agent"
RETRY_TAG = "retry:attempt:"

_STANDARD = frozenset({"", "default", "auto", "standard", "on_demand"})
_RUN_ID = re.compile(r"lc_run--([0-9a-f-]{36})(?:-\d+)?$")

_EMPTY: Mapping[str, Any] = {}
_ROLES_OF_CHUNKS = {"AIMessageChunk": "ai", "HumanMessageChunk": "human", "SystemMessageChunk": "system"}
"""What a message is that a stream was put together to: its type names a class, unlike that of all others."""


def model_name(metadata: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """Return the model that was asked for."""
    name = metadata.get("ls_model_name") or parameters.get("model_name") or parameters.get("model")
    return name if isinstance(name, str) else None


def provider(metadata: Mapping[str, Any], serialized: Mapping[str, Any] | None) -> str | None:
    """Return who is asked: who answers at the address, where the class is OpenAI's or Anthropic's."""
    name, given = metadata.get("ls_provider"), (serialized or _EMPTY).get("kwargs") or _EMPTY
    address = given.get("openai_api_base") or given.get("anthropic_api_url")
    return provider_at(name if isinstance(name, str) else None, address)


def address(model: object) -> object:
    """Return the address that a model object asks, where it keeps one."""
    return getattr(model, "openai_api_base", None) or getattr(model, "anthropic_api_url", None)


def most_output_tokens(metadata: Mapping[str, Any], parameters: Mapping[str, Any]) -> int | None:
    """Return the limit that a request sets to its answer."""
    found = metadata.get("ls_max_tokens") or parameters.get("max_completion_tokens") or parameters.get("max_tokens")
    return found if type(found) is int else None


def chat(messages: Sequence[Sequence[BaseMessage]], parameters: Mapping[str, Any]) -> Content:
    """Return the prompt of a chat model by reference; the list may be changed once the model is asked."""
    return partial(prompt, list(messages[0]) if messages else [], parameters)


def completion(prompts: Sequence[str], _parameters: Mapping[str, Any]) -> Content:
    """Return the prompt of a completion model by reference."""
    return partial(texts, list(prompts))


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


def piece(token: object, chunk: object) -> list[str]:
    """Return the texts of one piece of a streamed answer: what is said, thought, and asked of tools."""
    message: Any = getattr(chunk, "message", None)
    content = token if message is None else message.content
    blocks = [{"text": content}] if isinstance(content, str) else content if isinstance(content, list) else []
    found = [
        block[name]
        for block in blocks
        if isinstance(block, dict)
        for name in ("text", "thinking", "reasoning")
        if isinstance(block.get(name), str)
    ]
    if message is not None:
        found.append(message.additional_kwargs.get("reasoning_content"))
        found += [call.get("args") for call in getattr(message, "tool_call_chunks", ())]
    return [text for text in found if isinstance(text, str) and text]


def tool_result(output: Any) -> list[Segment]:
    """Return what a tool has said: to the model, or where it hands over (a `Command`) in its messages."""
    if isinstance(output, BaseMessage):
        return _parts(output)
    update = getattr(output, "update", None)
    said = update.get("messages") if isinstance(update, Mapping) else output
    if isinstance(said, list) and said and all(isinstance(each, BaseMessage) for each in said):
        return [part for each in said if each.type == "tool" for part in _parts(each)]
    if output is None or said is not output:
        return []
    return [
        Segment("tool", "tool_result", output if isinstance(output, str | int | float | list | dict) else str(output))
    ]


def passages(documents: Sequence[Any]) -> list[Segment]:
    """Return the passages that a retriever has found."""
    return [Segment("tool", "text", each.page_content) for each in documents]


class Answer(NamedTuple):
    """What an answer says beside its texts and tokens."""

    model: str | None = None
    """The model that answered."""
    service_tier: str | None = None
    """What the provider calls the kind of processing, where it is not the standard one."""
    cached_run: str | None = None
    """The run that a cache of LangChain's has the answer from, "" for an unnamed one; None for no cache."""
    tool_calls: Sequence[str] = ()
    """The ids of the tool calls that it asks for."""


NOTHING_SAID = Answer()


def said(response: LLMResult | None) -> Answer:
    """Return what an answer says beside its texts and tokens; in one go, since every call waits for it."""
    message, output = getattr(_first(response), "message", None), _output(response)
    metadata = getattr(message, "response_metadata", None) or _EMPTY
    model = metadata.get("model_name") or metadata.get("model") or output.get("model_name")
    tier = metadata.get("service_tier") or output.get("service_tier")
    cached = None
    usage = getattr(message, "usage_metadata", None)
    if usage and not output and usage.get("total_cost") == 0:
        origin = _RUN_ID.match(getattr(message, "id", None) or "")
        cached = origin[1] if origin else ""
    calls = getattr(message, "tool_calls", None)
    return Answer(
        model if isinstance(model, str) and model else None,
        tier if isinstance(tier, str) and tier not in _STANDARD else None,
        cached,
        [call["id"] for call in calls if isinstance(call.get("id"), str)] if calls else (),
    )


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
    if integration == CREATE_AGENT:
        return "agent", None
    return "workflow", name if integration == "langgraph" else None


def labels(metadata: Mapping[str, Any], default: Mapping[str, object], *, inherits: bool) -> Mapping[str, object]:
    """Return session, agent and what a call is for, with the defaults laid over them.

    The agent is known by its name, else by the node of a graph that is no agent itself. LangChain names what its own
    middlewares ask a model for (`summarization`, `tool_selection`, ...): that is the type of the task.
    """
    source = metadata.get("lc_source")
    if source is not None:
        default = {"task_type": source, **default}
    if inherits or (
        "thread_id" not in metadata and "langgraph_node" not in metadata and "lc_agent_name" not in metadata
    ):
        return default
    agent = metadata.get("lc_agent_name")
    if agent is None and metadata.get("ls_integration") != CREATE_AGENT:
        agent = metadata.get("langgraph_node")
    return {"session_id": metadata.get("thread_id"), "agent_id": agent, **default}


def is_agent_model(metadata: Mapping[str, Any], name: str | None) -> bool:
    """Tell whether a chain is the node of an agent that asks its model."""
    return name == "model" == metadata.get("langgraph_node") and metadata.get("ls_integration") == CREATE_AGENT


def task(metadata: Mapping[str, Any], tags: Sequence[str] | None, name: str | None) -> str | None:
    """Return what a graph calls a run of one of its nodes, the same in each attempt; None for another chain."""
    place = metadata.get("langgraph_checkpoint_ns") if _is_node(metadata, tags, name) else None
    return place if isinstance(place, str) else None


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
    role, content = _ROLES_OF_CHUNKS.get(message.type, message.type), message.content
    kind = "tool_result" if role == "tool" else "text"
    if type(content) is str:
        parts = [Segment(role, kind, content)]
    else:
        parts = [part for block in content if (part := of_block(role, kind, block)) is not None]
    thoughts = message.additional_kwargs.get("reasoning_content")  # DeepSeek, and who speaks alike
    if isinstance(thoughts, str) and thoughts:
        parts.append(Segment(role, "reasoning", thoughts))
    calls = getattr(message, "tool_calls", None) if role == "ai" else None
    if calls:
        parts += [Segment(role, "tool_call", [call.get("name"), call.get("args")]) for call in calls]
    return parts
