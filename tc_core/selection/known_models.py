"""What models can do beside answering with text: the price table has their prices, and of many their context.

As the provider packages of LangChain state it in November 2026, from models.dev (MIT licence). Only models that put
out text alone are here; what is not said of a model here or by the user is unknown, which is not the same as no.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

MODALITIES = ("text", "image", "audio", "video", "pdf")
"""What a prompt can have in it."""


class Known(NamedTuple):
    """What one model takes and does; `is_leaving` are those that their maker gives up."""

    longest_input: int
    longest_output: int
    modalities: frozenset[str]
    calls_tools: bool
    thinks: bool
    is_leaving: bool


def known(provider: str, model: str) -> Known | None:
    """Return what is known of a model by the price table's names, or None."""
    return _all().get((provider, model))


@cache
def _all() -> Mapping[tuple[str, str], Known]:
    found = {}
    for provider, lines in _LINES.items():
        for line in lines.strip().splitlines():
            model, longest_input, longest_output, *words = line.split()
            found[provider, model] = Known(
                int(longest_input),
                int(longest_output),
                frozenset({"text", *words} & set(MODALITIES)),
                "tools" in words,
                "thinks" in words,
                "leaves" in words,
            )
    return found


_LINES = {
    "openai": """
        gpt-3.5-turbo 16385 4096 leaves
        gpt-4 8192 8192 tools leaves
        gpt-4-turbo 128000 4096 image pdf tools leaves
        gpt-4.1 1047576 32768 image pdf tools
        gpt-4.1-mini 1047576 32768 image pdf tools
        gpt-4.1-nano 1047576 32768 image pdf tools leaves
        gpt-4o 128000 16384 image pdf tools
        gpt-4o-2024-05-13 128000 4096 image pdf tools leaves
        gpt-4o-mini 128000 16384 image pdf tools
        gpt-5 272000 128000 image pdf tools thinks
        gpt-5-mini 272000 128000 image pdf tools thinks
        gpt-5-nano 272000 128000 image pdf tools thinks
        gpt-5-pro 272000 272000 image pdf tools thinks
        gpt-5.1 272000 128000 image pdf tools thinks
        gpt-5.2 272000 128000 image pdf tools thinks
        gpt-5.2-pro 272000 128000 image pdf tools thinks
        gpt-5.3-codex 400000 128000 image pdf tools thinks
        gpt-5.4 1050000 128000 image pdf tools thinks
        gpt-5.4-mini 400000 128000 image pdf tools thinks
        gpt-5.4-nano 400000 128000 image pdf tools thinks
        gpt-5.4-pro 1050000 128000 image pdf tools thinks
        gpt-5.5 1050000 128000 image pdf tools thinks
        gpt-5.5-pro 1050000 128000 image pdf tools thinks
        gpt-5.6-luna 1050000 128000 image pdf tools thinks
        gpt-5.6-sol 1050000 128000 image pdf tools thinks
        gpt-5.6-terra 1050000 128000 image pdf tools thinks
        gpt-6-astra 1050000 128000 image pdf tools thinks
        gpt-6-luna 1050000 128000 image pdf tools thinks
        gpt-6-sol 1050000 128000 image pdf tools thinks
        gpt-6.1-sol 1050000 128000 image pdf tools thinks
        gpt-6.1-terra 1050000 128000 image pdf tools thinks
        o1 200000 100000 image pdf tools thinks leaves
        o1-pro 200000 100000 image pdf tools thinks leaves
        o3 200000 100000 image pdf tools thinks
        o3-mini 200000 100000 tools thinks leaves
        o3-pro 200000 100000 image pdf tools thinks
        o4-mini 200000 100000 image pdf tools thinks leaves
    """,
    "anthropic": """
        claude-fable-5 1000000 128000 image pdf tools thinks
        claude-fable-5-1 1000000 128000 image pdf tools thinks
        claude-haiku-4-5 200000 64000 image pdf tools thinks
        claude-haiku-5-5 1000000 128000 image pdf tools thinks
        claude-opus-4-5 200000 64000 image pdf tools thinks
        claude-opus-4-6 1000000 128000 image pdf tools thinks
        claude-opus-4-7 1000000 128000 image pdf tools thinks
        claude-opus-4-8 1000000 128000 image pdf tools thinks
        claude-opus-5 1000000 128000 image pdf tools thinks
        claude-opus-5-5 1000000 128000 image pdf tools thinks
        claude-sonnet-4-5 200000 64000 image pdf tools thinks
        claude-sonnet-4-6 1000000 128000 image pdf tools thinks
        claude-sonnet-5 1000000 128000 image pdf tools thinks
        claude-sonnet-5-5 1000000 128000 image pdf tools thinks
    """,
    "google": """
        gemini-2.5-flash 1048576 65536 image audio video pdf tools thinks
        gemini-2.5-flash-lite 1048576 65536 image audio video pdf tools thinks
        gemini-2.5-pro 1048576 65536 image audio video pdf tools thinks
        gemini-3-flash-preview 1048576 65536 image audio video pdf tools thinks
        gemini-3.1-flash-lite 1048576 65536 image audio video pdf tools thinks
        gemini-3.1-pro-preview 1048576 65536 image audio video pdf tools thinks
        gemini-3.5-flash 1048576 65536 image audio video pdf tools thinks
        gemini-3.5-flash-lite 1048576 65536 image audio video pdf tools thinks
        gemini-3.6-flash 1048576 65536 image audio video pdf tools thinks
        gemini-3.7-flash 1048576 65536 image audio video pdf tools thinks
        gemini-3.8-flash 1048576 65536 image audio video pdf tools thinks
        gemini-4-argon 1048576 32768 image audio video pdf tools thinks
        gemma-4-26b-a4b-it 262144 32768 image pdf tools thinks
        gemma-4-31b-it 262144 32768 image pdf tools thinks
    """,
}
"""By provider, one model a line: most tokens of its input and of its output, what it reads beside text, and whether it
calls tools, thinks before it answers, and leaves."""

KNOWN_PROVIDERS = frozenset(_LINES)
"""Providers all of whose models that are sold and converse are here."""
