"""Why the front of a prompt was not the same as before: two prompts of one conversation, compared."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tc_core.ledger.prompts import Prompt, PromptNode, shared

Cause = Literal[
    "model",
    "tier",
    "tool_order",
    "tools",
    "system",
    "compaction",
    "tool_result",
    "answer",
    "user",
    "expiry",
    "below_minimum",
    "none_on_our_side",
]

SAID: dict[Cause, str] = {
    "model": "another model was asked, and each has a cache of its own",
    "tier": "another service tier was asked for",
    "tool_order": "the tools came in another order",
    "tools": "the tools changed",
    "system": "the instructions changed",
    "compaction": "the history was cut or summarised",
    "tool_result": "an earlier tool result changed",
    "answer": "an earlier answer changed",
    "user": "an earlier message changed",
    "expiry": "the pause was longer than the cache keeps",
    "below_minimum": "the prompt is shorter than what is cached",
    "none_on_our_side": "nothing on this side explains it",
}

ADVICE: dict[Cause, str] = {
    "model": "Stay with one model within a conversation, or start the other one with a short prompt of its own.",
    "tier": "Stay with one service tier within a conversation.",
    "tool_order": "Send the tools in the same order each time: sort them by name.",
    "tools": "Send the same tools with each request, and say in the last message which of them may be used.",
    "system": "Keep what changes (a clock, an id, a name) out of the instructions: put it into the last message.",
    "compaction": "Cut the history rarely and by a lot, not a little each time: every cut is paid at the full price.",
    "tool_result": "Leave earlier tool results as they are; what must be shortened, shorten when it is first sent.",
    "answer": "Send earlier answers back as they came.",
    "user": "Add to the conversation at its end; leave earlier messages as they are.",
    "expiry": "Send something before the cache expires, or ask for a longer lifetime where the provider has one.",
    "below_minimum": "Nothing to do, unless many such calls share a longer front that could come first.",
    "none_on_our_side": "Nothing to do here: the provider keeps no promise that each request finds its cache.",
}

SAME_SIZE = 0.005
"""Tool schemas in another order weigh the same but for a few tokens at their edges."""
LEAST_DROPPED = 0.2
"""So much of what lay behind the common front is gone where a history was cut."""
LEAST_WORDS = 12
"""A segment of fewer tokens, such as "yes", does not show that two prompts are of one conversation."""


class Change(NamedTuple):
    """Where a prompt first differs from the one before it, and how much of it could have been read from a cache."""

    cause: Cause | None
    """None where the whole earlier prompt is the front of the later one."""
    kept: int
    """Tokens of the later prompt that the earlier one had as well, or that stand in the place of one that changed."""


def goes_on(before: Prompt, after: Prompt) -> bool:
    """Tell whether a prompt is a later one of the same conversation: it has the answer, or what was said last."""
    common = shared(before.end, after.end)
    if common is not None and common.id == before.end.id:
        return not common.is_system
    words = {node.segment for node in _behind(after.end, common) if _is_telling(node)}
    if any(node.segment in words for node in before.answer if _is_telling(node)):
        return True
    last = next((node for node in _behind(before.end, common) if _is_telling(node)), None)
    return last is not None and last.segment in words


def compare(before: Prompt, after: Prompt) -> Change:
    """Return what changed first from one prompt to a later one of the same conversation."""
    common = shared(before.end, after.end)
    front = 0 if common is None else common.prefix
    if common is not None and common.id == before.end.id:
        return Change(None, front)
    old, new = list(_behind(before.end, common))[::-1], list(_behind(after.end, common))[::-1]
    had = {node.segment for node in old}
    kept = sum(node.weight for node in new if node.segment in had)
    if not new:
        return Change("compaction", front)
    cause = _cause(old, new, had)
    if old[0].what == new[0].what and new[0].segment not in had and cause != "compaction":
        kept += min(old[0].weight, new[0].weight)  # had it not changed, it would have been there as well
    return Change(cause, front + kept)


def _cause(old: list[PromptNode], new: list[PromptNode], had: set[int]) -> Cause:
    was, now = old[0], new[0]
    if was.is_schema or now.is_schema:
        is_same_size = was.is_schema and now.is_schema and abs(was.weight - now.weight) <= SAME_SIZE * was.weight
        return "tool_order" if is_same_size else "tools"
    if was.is_system or (now.is_system and now.segment not in had):
        return "system"
    if _is_cut(old, new):
        return "compaction"
    return "tool_result" if was.is_tool_result else "answer" if was.is_answer else "user"


def _is_cut(old: list[PromptNode], new: list[PromptNode]) -> bool:
    """Tell whether a part of the history has gone, and not only been replaced where it stood."""
    has = {node.segment for node in new}
    whole = sum(node.weight for node in old)
    dropped = sum(node.weight for node in old if node.segment not in has)
    in_place = sum(was.segment == now.segment for was, now in zip(old, new, strict=False))
    if len(old) < 2 or dropped < LEAST_DROPPED * whole or 2 * in_place >= len(old) - 1:
        return False
    return sum(node.weight for node in new) < whole + dropped


def _behind(end: PromptNode, common: PromptNode | None) -> Iterator[PromptNode]:
    """Yield the nodes of a way behind a common one, the last first."""
    for node in end.way():
        if common is not None and node.id == common.id:
            return
        yield node


def _is_telling(node: PromptNode) -> bool:
    return not node.is_system and node.weight >= LEAST_WORDS
