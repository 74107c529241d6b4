"""Counting, as the first package did."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from tc_core.meter import messages as scale
from tc_core.meter import tokens


class MessageRole(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FUNCTION = "function"
    TOOL = "tool"


class TokenCounter:
    """Counts for one model."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def count_tokens(self, text: str) -> int:
        """Count the tokens of a text."""
        return tokens.count_tokens(text, self.model_name)

    def count_messages(
        self, messages: Sequence[Mapping[str, Any]], include_function_tokens: bool = True
    ) -> dict[str, int]:
        """Count a request: by who speaks, and in all."""
        return count_messages(messages, self.model_name, include_function_tokens)

    def count_function_definitions(self, functions: Sequence[Mapping[str, Any]]) -> int:
        """Count what the schemas of functions add to a request."""
        return scale.count_tools(functions, self.model_name).tokens


def count_messages(
    messages: Sequence[Mapping[str, Any]], model_name: str, include_function_tokens: bool = True
) -> dict[str, int]:
    """Count a request: by who speaks, and in all. Without `include_function_tokens` calls of tools are left out."""
    if not include_function_tokens:
        messages = [{key: each[key] for key in each if key not in ("tool_calls", "function_call")} for each in messages]
    found = dict.fromkeys(("system", "user", "assistant", "function", "tool"), 0)
    for message in messages:
        role = str(message.get("role", "user"))
        one = scale.count_messages([message], model_name) - scale.PER_REPLY
        found[role] = found.get(role, 0) + one
    return {**found, "total": scale.count_messages(messages, model_name)}
