"""Making the messages of an agent's request shorter, when they fill too much of the model's window or of a budget.

What was made shorter stays as it is in the requests that follow, so that a provider's cache is broken once and not at
each turn; only what has come since is sent behind it, until that is too much again.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain_core.messages import AnyMessage

from tc_core import Compressed, ConversationMonitor

MOST_REMEMBERED = 64
MOST_TRIES = 8
TO = 0.5
"""A request is made as short as this share of what is told as too much."""
MOST_TOKENS_A_CHARACTER = 3

_Key = tuple[object, ...]


class Compression:
    """Knows from how many tokens on a request is too long, and what became of the ones before.

    `at` is a share of the model's window up to 1, or a number of tokens; None is for those who only ask for `shorter`.
    """

    def __init__(self, at: float | None = None, strategy: str = "hybrid") -> None:
        if at is not None and at <= 0:
            raise ValueError(f"compress_at must be positive, a share of the window up to 1 or tokens, got {at}")
        self.at, self._strategy = at, strategy
        self._made: OrderedDict[_Key, list[AnyMessage]] = OrderedDict()

    def applied(self, request: "ModelRequest[Any]", model: str | None) -> "ModelRequest[Any]":
        """Return the request, with fewer messages where there are too many tokens."""
        keys = tuple(message.id or id(message) for message in request.messages)
        messages = self._with_what_was_made(keys, request.messages)
        monitor = ConversationMonitor(model or "")
        most = self._most(monitor)
        if most is not None and not _is_surely_below(messages, most):
            system = [] if request.system_message is None else [request.system_message]
            monitor.add_messages([*system, *messages])
            if monitor.tokens >= most:
                target, newest = max(1, int(most * TO)), messages[-1:]
                found = monitor.compress_context(self._strategy, target)
                while _lacks(found, newest):  # at last nothing is left out
                    target *= 2
                    found = monitor.compress_context(self._strategy, target)
                messages = list(found[len(system) :])
                self._remember(keys, messages)
        return request if messages is request.messages else request.override(messages=messages)

    def shorter(self, request: "ModelRequest[Any]", model: str | None) -> "Iterator[ModelRequest[Any]]":
        """Yield the request with ever fewer tokens, half as many each time; the last one asked for is kept to."""
        keys = tuple(message.id or id(message) for message in request.messages)
        system = [] if request.system_message is None else [request.system_message]
        messages, monitor = self._with_what_was_made(keys, request.messages), ConversationMonitor(model or "")
        monitor.add_messages([*system, *messages])
        tokens, newest = monitor.tokens, messages[-1:]
        for _ in range(MOST_TRIES):
            before, tokens = messages, int(tokens * TO)
            found = monitor.compress_context(self._strategy, max(1, tokens))
            if _lacks(found, newest):
                return
            messages = list(found[len(system) :])
            if messages != before:
                self._remember(keys, messages)
                yield request.override(messages=messages)

    def _most(self, monitor: ConversationMonitor) -> float | None:
        if self.at is None or self.at > 1:
            return self.at
        window = monitor.window
        return None if window.tokens is None else self.at * (window.tokens - window.reserve)

    def _with_what_was_made(self, keys: _Key, messages: list[AnyMessage]) -> list[AnyMessage]:
        known = [made for made in self._made if keys[: len(made)] == made]
        if not known:
            return messages
        longest = max(known, key=len)
        self._made.move_to_end(longest)
        return [*self._made[longest], *messages[len(longest) :]]

    def _remember(self, keys: _Key, messages: list[AnyMessage]) -> None:
        self._made[keys] = messages
        if len(self._made) > MOST_REMEMBERED:
            self._made.popitem(last=False)


def _lacks(found: Compressed, newest: Sequence[AnyMessage]) -> bool:
    """Tell whether the newest message had to go: for long instructions, or an image or a call that cannot be cut."""
    return any(left is each for left in found.dropped for each in newest)


def _is_surely_below(messages: Sequence[AnyMessage], most: float) -> bool:
    """Tell without counting tokens; what is no text is counted."""
    if not all(isinstance(message.content, str) for message in messages):
        return False
    calls = sum(len(getattr(message, "tool_calls", ())) for message in messages)
    characters = sum(len(message.content) for message in messages)
    return not calls and MOST_TOKENS_A_CHARACTER * characters + 10 * len(messages) < most
