"""What an agent is about to ask a model for, and how it can be asked of another one."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from tc_core.adapter import Segment, attempt
from tc_langchain import reading

_NAMES = ("model_name", "model", "model_id")
"""The fields in which the classes of providers keep the name of the model."""


def prompt(messages: Sequence[BaseMessage], tools: Sequence[Any]) -> list[Segment]:
    """Return the parts of a request: the schemas of its tools, and its messages."""
    return reading.prompt(messages, {"tools": [convert_to_openai_tool(each) for each in tools]} if tools else {})


def parameters(model: BaseChatModel, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a model says of its calls, as their hooks are told it: its name, its provider, its limits.

    It is the method by which the packages of providers say so, and the only place: the hooks come too late.
    """
    return model._get_ls_params(**settings)


def setup(request: "ModelRequest[Any]") -> str | None:
    """Return a text that is the same for requests made in the same way: what LangChain's own cache goes by.

    It has the model with all its settings, without secrets, and how it is bound; None where a model does not say it.
    """
    said = attempt(request.model._get_llm_string, None, **request.model_settings)
    return None if said is None else f"{said}|{request.tool_choice!r}"


def plain_text(answer: Any) -> str | None:
    """Return the text of an answer that is text and nothing else."""
    messages = getattr(answer, "result", None)
    if not isinstance(messages, list) or len(messages) != 1 or getattr(answer, "structured_response", None) is not None:
        return None
    message = messages[0]
    if not isinstance(message, AIMessage) or message.tool_calls or message.invalid_tool_calls:
        return None
    return message.content if isinstance(message.content, str) and message.content else None


def renamed(model: BaseChatModel, name: str) -> BaseChatModel:
    """Return a copy of a model which asks for another one of the same provider."""
    field = next((each for each in _NAMES if each in type(model).model_fields), None)
    if field is None:
        raise TypeError(f"{type(model).__name__} has no field for the name of its model")
    return model.model_copy(update={field: name})


def swapped(model: BaseChatModel, other: Any) -> BaseChatModel:
    """Return the model to ask instead: one of the host's own objects, or the same with another name."""
    if isinstance(other, str):
        return attempt(renamed, model, other) or model
    found: BaseChatModel = other
    return found
