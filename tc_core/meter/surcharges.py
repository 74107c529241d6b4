"""What providers charge by rules that no table of prices can say, by hand."""

import re
from collections.abc import Container
from fractions import Fraction

GEO = "inference_geo_"
"""Begins the kind of charge that says where the provider was bound to run the model."""

_US_ONLY = Fraction(11, 10)
_US_ONLY_SINCE = (4, 6)
_CLAUDE = re.compile(r"claude-[a-z]+-(\d+)(?:[-.](\d{1,2}))?(?!\d)")

_LEAST_SECONDS = 10
_OF_GROQ = ("whisper-large-v3", "whisper-large-v3-turbo")


def of_region(model: str, geo: str) -> Fraction | None:
    """Return by what the prices of all tokens are multiplied where a model is bound to a region; None is unknown.

    Anthropic asks 1.1 times as much within the US, of Claude Opus 4.6, Sonnet 4.6 and all later models; what older ones
    cost does not change (platform.claude.com: pricing, data residency). Prices that the user gives hold anywhere.
    """
    if not model:
        return Fraction(1)
    version = _CLAUDE.search(model)
    if geo != f"{GEO}us" or "claude" not in model:
        return None
    is_newer = version is not None and (int(version[1]), int(version[2] or 0)) >= _US_ONLY_SINCE
    return _US_ONLY if is_newer else Fraction(1)


def billed(model: str, kind: str, count: float) -> int | float:
    """Return how much of a kind is billed: Groq bills at least ten seconds of audio."""
    return max(count, _LEAST_SECONDS) if kind == "audio_seconds" and model in _OF_GROQ else count


def is_in_request(model: str, kind: str, priced: Container[str]) -> bool:
    """Tell whether the price of a request covers a kind: Perplexity's does its searches, which it counts too."""
    return kind == "web_searches" and "requests" in priced and model.startswith("sonar")


def is_made_for(model: str, medium: str) -> bool:
    """Tell whether the plain price of output is the one for a medium: a model may put out nothing else.

    Prices that the user gives hold for all output, unless they say more.
    """
    return not model or (medium == "audio" and "tts" in model) or (medium == "image" and model.startswith("gpt-image-"))
