"""What CrewAI's events say, in our values. Pure functions; texts are passed on by reference."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tc_core.adapter import Segment, of_block, provider_at, short_id

INTERNAL_FLOWS = frozenset({"AgentExecutor", "EncodingFlow", "RecallFlow"})
"""Flows by which CrewAI itself runs agents and memory."""

DEFAULT_EMBEDDING_MODEL = "text-embedding-3-large"
"""What CrewAI embeds with where nothing else is said."""

_MOST_NAME = 200
_KINDS = {
    "crew_kickoff_started": "workflow",
    "flow_started": "workflow",
    "method_execution_started": "task",
    "task_started": "task",
    "agent_execution_started": "agent",
    "lite_agent_execution_started": "agent",
    "tool_usage_started": "tool",
    "llm_call_started": "llm_call",
    "memory_query_started": "retrieval",
    "knowledge_search_query_started": "retrieval",
}
_NAMED = {
    "crew_kickoff_started": "crew_name",
    "flow_started": "flow_name",
    "method_execution_started": "method_name",
    "tool_usage_started": "tool_name",
}
_RETRIEVALS = {"memory_query_started": "memory", "knowledge_search_query_started": "knowledge"}
_BROUGHT = {
    "tool_usage_finished": "output",
    "memory_query_completed": "results",
    "knowledge_search_query_completed": "retrieved_knowledge",
}
_HTTP_STATUS = re.compile(r"Error code: (\d{3})\b")


def kind(event: Any) -> str | None:
    """Return the type of event to record, or None for what is only a step inside another."""
    if getattr(event, "flow_name", None) in INTERNAL_FLOWS:
        return None
    return _KINDS.get(event.type)


def at_us(event: Any) -> int:
    """Return when an event was emitted, in microseconds since 1970."""
    return int(event.timestamp.timestamp() * 1_000_000)


def name(event: Any, source: Any) -> str | None:
    """Return the name of a run: of a tool, a method, a flow, a crew, a task that has one, or an agent's role."""
    said = event.type
    if said == "task_started":
        found = getattr(event.task, "name", None)
    elif said in _RETRIEVALS:
        found = _RETRIEVALS[said]
    elif said in ("agent_execution_started", "lite_agent_execution_started"):
        found = role(agent(event, source))
    else:
        found = getattr(event, _NAMED.get(said, ""), None)
    return found[:_MOST_NAME] if isinstance(found, str) and found else None


def agent(event: Any, source: Any) -> Any:
    """Return the agent that an event is about, or what is known of it."""
    found = getattr(event, "agent", None) or source
    return found if getattr(found, "role", None) is not None else getattr(event, "agent_info", None)


def role(agent: Any) -> str | None:
    """Return the role of an agent as it was written, without what a crew's inputs have filled in.

    CrewAI keeps that in a private attribute, which is read nowhere else.
    """
    if isinstance(agent, Mapping):
        found = agent.get("role")
    else:
        found = getattr(agent, "_original_role", None) or getattr(agent, "role", None)
    return found[:_MOST_NAME] if isinstance(found, str) and found else None


def agent_key(agent: Any) -> str | None:
    """Return the id of an agent."""
    found = agent.get("id") if isinstance(agent, Mapping) else getattr(agent, "id", None)
    return None if found is None else str(found)


def task_type(task: Any) -> str | None:
    """Return a task's name; one without is known by a short id, since its description is the text of a prompt."""
    named = getattr(task, "name", None)
    if isinstance(named, str) and named:
        return named[:_MOST_NAME]
    described = getattr(task, "_original_description", None) or getattr(task, "description", None)
    return f"task-{short_id(described)}" if isinstance(described, str) else None


def identity(event: Any) -> tuple[str | None, ...]:
    """Return what an event and the one that ends it have in common, for where CrewAI pairs them wrongly."""
    task, agent = getattr(event, "task", None), getattr(event, "agent", None)
    known = getattr(event, "agent_info", None)
    return (
        event.task_id or (None if task is None else str(task.id)),
        event.agent_id or agent_key(known if agent is None else agent),
        getattr(event, "flow_name", None),
        getattr(event, "method_name", None),
        getattr(event, "tool_name", None),
    )


def asked_model(llm: Any) -> tuple[str | None, str | None]:
    """Return model and provider of a model object, or of what stands for one."""
    found, provider = llm if isinstance(llm, str) else getattr(llm, "model", None), getattr(llm, "provider", None)
    address = getattr(llm, "base_url", None) or getattr(llm, "api_base", None)
    return (
        found if isinstance(found, str) else None,
        provider_at(provider if isinstance(provider, str) else None, address),
    )


def most_output_tokens(llm: Any) -> int | None:
    """Return the limit that a model object sets to its answers."""
    found = getattr(llm, "max_completion_tokens", None) or getattr(llm, "max_tokens", None)
    return found if type(found) is int else None


def prompt(messages: object, tools: object) -> list[Segment]:
    """Return the parts of a request: the schemas of its tools, and its messages."""
    segments = [Segment("system", "tool_schema", list(tools))] if isinstance(tools, list) and tools else []
    if isinstance(messages, str):
        return [*segments, Segment("user", "text", messages)]
    for message in messages if isinstance(messages, Sequence) else ():
        segments.extend(_parts(message))
    return segments


def answer(response: Any) -> list[Segment]:
    """Return the parts of an answer."""
    if isinstance(response, str):
        return [Segment("assistant", "text", response)] if response else []
    if isinstance(response, list):
        return _tool_calls("assistant", response)
    return [Segment("assistant", "text", response)] if isinstance(response, Mapping) else []


def brought(event: Any) -> Any:
    """Return what a tool has said, or what memory or knowledge has found, as CrewAI has it; None of other ends."""
    return getattr(event, _BROUGHT.get(event.type, ""), None)


def tool_result(said: Any) -> list[Segment]:
    """Return what a tool has said."""
    if said is None:
        return []
    return [Segment("tool", "tool_result", said if isinstance(said, str | int | float | list | dict) else str(said))]


def passages(found: Any) -> list[Segment]:
    """Return the passages that memory or knowledge has found."""
    texts = [found] if isinstance(found, str) else [_remembered(each) for each in found or ()]
    return [Segment("tool", "text", text) for text in texts if text]


def has_failed(event: Any) -> bool:
    """Tell whether an event is the end of something that has failed."""
    return str(event.type).endswith(("_failed", "_error"))


def has_run_a_tool(event: Any) -> bool:
    """Tell whether the response of a model call is what a tool returned, and not what the model said."""
    kind = getattr(event, "call_type", None)
    return getattr(kind, "value", kind) == "tool_call" and not isinstance(getattr(event, "response", None), list)


def error_type(event: Any) -> str | None:
    """Return the name of an error's type, or its status in HTTP, never its text."""
    said = getattr(event, "error_type", None)
    if isinstance(said, type):
        return said.__name__
    error = getattr(event, "error", None)
    if isinstance(error, BaseException):
        return type(error).__name__
    status = _HTTP_STATUS.search(error) if isinstance(error, str) else None
    return f"HTTP {status[1]}" if status else None


def texts_to_embed(event: Any) -> list[str]:
    """Return the texts that CrewAI embeds where it emits an event: to save memories, or to look something up."""
    if event.type == "flow_started":
        items = (event.inputs or {}).get("items", ())
        texts = [item["content"] for item in items]
    else:
        texts = [event.query]
    return [text for text in texts if isinstance(text, str) and text.strip()]


def embedding_model(embedder: Any) -> tuple[str | None, str | None]:
    """Return model and provider of an embedder, or of what CrewAI makes one from."""
    if embedder is None:
        return DEFAULT_EMBEDDING_MODEL, "openai"
    if isinstance(embedder, Mapping):
        config = embedder.get("config") or {}
        model, provider = config.get("model_name") or config.get("model"), embedder.get("provider")
        if model is None and provider == "openai":
            model = DEFAULT_EMBEDDING_MODEL
    else:
        model, provider = getattr(embedder, "model_name", None), None
    return (model if isinstance(model, str) else None, provider if isinstance(provider, str) else None)


def _remembered(match: Any) -> str | None:
    """Return the text of one memory, in whichever way a version of CrewAI tells it."""
    if isinstance(match, Mapping):
        text = match.get("content") or match.get("context") or match.get("memory")
    else:
        text = getattr(getattr(match, "record", match), "content", None)
    return text if isinstance(text, str) else None


def _parts(message: Any) -> list[Segment]:
    if not isinstance(message, Mapping):
        return []
    role, content = str(message.get("role") or message.get("type")), message.get("content")
    kind = "tool_result" if role in ("tool", "function_call_output") else "text"
    if isinstance(content, str):
        parts = [Segment(role, kind, content)]
    else:
        listed = content if isinstance(content, list) else ()
        parts = [part for block in listed if (part := of_block(role, kind, block)) is not None]
    calls = message.get("tool_calls")
    return parts + (_tool_calls(role, calls) if isinstance(calls, list) else [])


def _tool_calls(role: str, calls: Sequence[Any]) -> list[Segment]:
    asked = [call.get("function", call) if isinstance(call, Mapping) else call for call in calls]
    return [Segment(role, "tool_call", [each.get("name"), each.get("arguments")]) for each in asked if _is_call(each)]


def _is_call(asked: Any) -> bool:
    return isinstance(asked, Mapping) and "name" in asked
