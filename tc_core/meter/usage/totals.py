"""What a total says of the counts that it is made of: an absent one follows from it, and what they leave out is named.

More in total than in the parts is never taken for output by itself: that makes output of what a cache or a tool of
Gemini's read, at up to 39 times the cost. It is reasoning where the named reasoning fills it, or where Gemini answers
in OpenAI's spelling, which leaves out its thoughts; it is input where Gemini names its thoughts and not what its tools
read.
"""

from typing import Any

from tc_core.meter.usage.counts import Spelled
from tc_core.model.usage import Usage

_OF_XAI = ("x-ai", "xai", "grok")
"""Whose chats count reasoning beside the completion."""


def complete(usage: Usage, spelled: Spelled, *, has_output: bool, maker: str, faults: list[str]) -> Usage:
    """Return the usage with what follows from the total that the provider states.

    `has_output` is false for embeddings, which have none to tell; `maker` names the provider and the model.
    """
    if spelled.provider == "google":
        return _gemini(usage, spelled.usage, faults)
    total: int | None = spelled.usage.get("total_tokens")
    read, written, reasoning = usage.input_tokens, usage.output_tokens, usage.reasoning_tokens or 0
    if written is None and (not has_output or (read is not None and read == total)):
        return usage._replace(input_tokens=total if read is None else read, output_tokens=0)
    if total is None:
        is_of_xai = spelled.flavor == "chat" and any(name in maker for name in _OF_XAI)
        is_beside = is_of_xai and reasoning and written is not None
        return usage._replace(output_tokens=(written or 0) + reasoning) if is_beside else usage
    if read is None and written is not None and total >= written:
        return usage._replace(input_tokens=total - written)
    if written is None and read is not None and total >= read:
        return usage._replace(output_tokens=total - read)
    if read is None or written is None or not spelled.is_inclusive or spelled.provider == "perplexity":
        return usage
    return _with_gap(usage, total - read - written, maker, faults)


def _with_gap(usage: Usage, gap: int, maker: str, faults: list[str]) -> Usage:
    """Return the usage with what its total has beside input and output, where we know what that is."""
    written, reasoning = usage.output_tokens or 0, usage.reasoning_tokens or 0
    if gap <= 0:
        return usage
    if gap == reasoning:
        return usage._replace(output_tokens=written + reasoning)
    if "gemini" in maker:
        return usage._replace(output_tokens=written + gap, reasoning_tokens=max(reasoning, gap))
    faults.append("the total is more than its parts")
    return usage


def _gemini(usage: Usage, told: dict[str, Any], faults: list[str]) -> Usage:
    total, prompt, answer = told["total_tokens"], told["promptTokenCount"], told["candidatesTokenCount"]
    thoughts, tools = told["thoughtsTokenCount"], told["toolUsePromptTokenCount"]
    written = (answer or 0) + (thoughts or 0)
    if prompt is None:
        known = total is not None and total >= written
        return usage._replace(input_tokens=total - written if known else None, output_tokens=written)
    read = prompt + (tools or 0)
    gap = 0 if total is None else total - read - written
    if answer is None:  # zero is left out of JSON; so is a count that a client does not know
        return usage._replace(input_tokens=read, output_tokens=written + max(gap, 0))
    if gap < 0 and gap == -(thoughts or 0):  # this server counts thoughts among what was answered
        return usage._replace(input_tokens=read, output_tokens=answer)
    if gap > 0 and thoughts is not None and tools is None:
        return usage._replace(input_tokens=read + gap, output_tokens=written)
    if gap > 0 and thoughts is None and tools is not None:
        return usage._replace(input_tokens=read, output_tokens=written + gap, reasoning_tokens=gap)
    if gap > 0:
        faults.append("the total is more than its parts")
    return usage._replace(input_tokens=read, output_tokens=written)
