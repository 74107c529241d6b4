"""Making the messages of a call shorter before it is made: in place, since CrewAI sends what is then in its list."""

from typing import Any

from tc_core import ConversationMonitor

TO = 0.5
"""A prompt is made as short as this share of what is too much."""


def shorten(messages: list[Any], at: float, model: str | None) -> bool:
    """Make a conversation shorter where it has too many tokens; tell whether that was done.

    `at` is a share of the model's window up to 1, or a number of tokens. What is left out is gone from the agent's
    conversation too, so that the calls that follow begin with the same messages.
    """
    monitor = ConversationMonitor(model or "")
    most: float | None = at
    if at <= 1:
        window = monitor.window
        most = None if window.tokens is None else at * (window.tokens - window.reserve)
    if most is None:
        return False
    monitor.add_messages(messages)
    if monitor.tokens < most:
        return False
    target, newest = max(1, int(most * TO)), messages[-1]
    found = monitor.compress_context("hybrid", target)
    while any(left is newest for left in found.dropped):  # for long instructions, or a call, which is not cut
        target *= 2
        found = monitor.compress_context("hybrid", target)
    is_shorter = bool(found.saved_tokens)
    if is_shorter:
        messages[:] = list(found)
    return is_shorter
