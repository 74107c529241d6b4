"""What is charged beside tokens, or at a price of its own: kind -> how many, in the names of genai-prices.

A kind that ends in `_tokens` is a part of the input or output that is counted already (images, video, cached audio,
citations), for which a table may have another price. All others (`web_searches`, `storage_searches`, `audio_seconds`,
...) come beside the tokens. By hand, since no table reads them: the calls of OpenAI's own tools in what a response put
out, one search for each request to a model of OpenAI's that always searches, Gemini's searches, those of xAI,
OpenRouter and LiteLLM, the tools of Bedrock, Cohere's search units, pages, seconds of audio, and images in details.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tc_core.model.usage import is_count

Fields = Mapping[str, Any]

_IN_USAGE = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_reasoning_tokens",
        "input_audio_tokens",
        "output_audio_tokens",
    }
)
"""What `Usage` has a place for."""

_OF_TOOLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}
_OF_XAI = {
    "web_search_calls": "web_searches",
    "x_search_calls": "social_searches",
    "file_search_calls": "storage_searches",
    "document_search_calls": "storage_searches",
}
_FREE = frozenset(
    {"computer_call", "local_shell_call", "shell_call", "apply_patch_call", "mcp_call", "custom_tool_call"}
)
"""Calls of tools that cost nothing beside their tokens."""

MOST_SECONDS = 10**9
"""More audio than this in one call is taken for a mistake."""

_ALWAYS_SEARCH = ("-search-preview", "-search-api")
_GROUNDED_BY_REQUEST = ("gemini-1", "gemini-2", "models/gemini-1", "models/gemini-2")
"""Models of which a request that searched is charged, however often it did; later ones are charged by the search."""

_NAMES = {"num_sources_used": "search_sources", "pages_processed": "input_document_pages"}
_PLACES = (
    ("server_tool_use", "web_search_requests", "web_searches"),
    ("prompt_tokens_details", "web_search_requests", "web_searches"),
    ("billed_units", "search_units", "rerank_searches"),
    ("billed_units", "image_tokens", "input_image_tokens"),
    *(
        (f"{side}_{details}", f"{kind}_tokens", f"{direction}_{kind}_tokens")
        for side, direction in (("prompt", "input"), ("input", "input"), ("completion", "output"), ("output", "output"))
        for details in ("tokens_details", "token_details")
        for kind in ("image", "video")
    ),
)
"""Which details of a usage tell how much of what."""

_BY_PLACE = {
    place: tuple((name, kind) for each, name, kind in _PLACES if each == place)
    for place in dict.fromkeys(place for place, _, _ in _PLACES)
}
_BESIDE = frozenset({*_NAMES, "server_side_tool_usage_details", "serverToolUsage", "seconds", "prompt_audio_seconds"})
"""What else of a usage tells a charge."""


def charges(part: Fields, reported: Fields, model: str | None) -> dict[str, int | float]:
    """Return what is charged beside plain tokens, of a part and of what genai-prices reads in its usage."""
    found = {kind: count for kind, count in reported.items() if count and kind not in _IN_USAGE and _is_charged(kind)}
    for kind, count in (*_of_body(part, model), *_of_usage(part["usage"])):
        if count:
            found.setdefault(kind, count)
    return found


def _is_charged(kind: str) -> bool:
    """Tell whether a kind may have a price of its own; text is what has the plain one."""
    return "_text_" not in kind and "_tool_" not in kind


def _of_body(part: Fields, model: str | None) -> Iterator[tuple[str, int | float]]:
    for kind, count in _fields(part.get("tools")).items():
        if is_count(count) and kind not in _FREE:
            yield _OF_TOOLS.get(kind, kind.removesuffix("_call") + "s"), count
    if "searches" in part:
        is_by_request = (model or "").startswith(_GROUNDED_BY_REQUEST)
        yield "web_searches", 1 if is_by_request else _count(part, "searches")
    if model is not None and any(word in model for word in _ALWAYS_SEARCH) and "prompt_tokens" in part["usage"]:
        yield "web_searches", 1


def _of_usage(usage: Fields) -> Iterator[tuple[str, int | float]]:
    for place, kinds in _BY_PLACE.items():
        if place in usage:
            inner = _fields(usage[place])
            for name, kind in kinds:
                if name in inner:
                    yield kind, _count(inner, name)
    if _BESIDE.isdisjoint(usage):
        return
    for name, kind in _NAMES.items():
        if name in usage:
            yield kind, _count(usage, name)
    if "server_side_tool_usage_details" in usage:
        for name, count in _fields(usage["server_side_tool_usage_details"]).items():
            if is_count(count) and not name.startswith("mcp"):
                yield _OF_XAI.get(name, name.removesuffix("_calls") + "s"), count
    if "serverToolUsage" in usage:
        for name, count in _fields(usage["serverToolUsage"]).items():
            if is_count(count):
                yield f"server_tool_{name}", count
    yield "audio_seconds", _seconds(usage)


def _fields(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


def _count(place: Fields, name: str) -> int:
    value = place.get(name)
    return value if is_count(value) else 0


def _seconds(usage: Fields) -> int | float:
    """Return the length of audio that is transcribed by the second; OpenAI tells it as a usage of type duration."""
    seconds = usage.get("seconds", usage.get("prompt_audio_seconds"))
    is_number = isinstance(seconds, (int, float)) and type(seconds) is not bool
    return seconds if is_number and 0 < seconds < MOST_SECONDS else 0
