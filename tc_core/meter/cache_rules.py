"""What providers' prompt caches allow, as a dated table: from how many tokens on, for how long, and what is cached.

Read in the providers' documentation in November 2026. They change, so each row has its day; where sources differ the
row has the figure by which less is claimed. What no row knows has no rule, and then nothing is said of its cache.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from tc_core.meter import catalogue

READ_ON = date(2026, 11, 20)
"""The day on which the rows were read last."""

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class CacheRule:
    """What one provider's cache allows for one model.

    A prefix of at least `least_tokens` is cached, in steps of `step_tokens`: by itself, or with `is_marked` only up to
    the places that a request marks. Within `kept_s` seconds of its last use it is there, after `gone_s` it is not; None
    where the provider does not say. With `is_promised` False it need not hit even so.
    """

    provider: str
    least_tokens: int
    step_tokens: int = 1
    kept_s: int | None = None
    gone_s: int | None = None
    is_marked: bool = False
    is_promised: bool = True
    read_on: date = READ_ON


_OPENAI = CacheRule("openai", 1024, step_tokens=128, kept_s=300, gone_s=HOUR_S)
_GEMINI_2_5 = CacheRule("google", 2048, is_promised=False)
_GEMINI_3 = CacheRule("google", 4096, is_promised=False)

_ANTHROPIC = (
    (r"(opus|fable|mythos)-5", 512),
    (r"sonnet-5", 1024),
    (r"opus-4-?[56]|haiku-4-?5", 4096),
    (r"opus-4-?8", 1024),
    (r"sonnet-4-?6", 2048),  # sources say 1,024 and 2,048
    (r"(sonnet-4-?5|sonnet-4|opus-4-?1|opus-4)(?![-.]?[0-9](?![0-9]))", 1024),
    (r"claude-3[-.]?[57]?-?haiku|3-haiku", 2048),  # older documentation; the newer has 1,024 for all of 3
    (r"claude-3|sonnet-3|opus-3", 1024),
)
"""Of which of Anthropic's models, in the order in which they are tried, at least how many tokens are cached."""
_BEDROCK = ((r"opus-4-?7", 4096), *_ANTHROPIC)

_OF_OPENAI = re.compile(r"^(gpt-4o|gpt-4\.[1-9]|gpt-[5-9]|chatgpt-4o|o[1-9])")
_OF_GEMINI = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_AWS = "aws"
"""What price tables call Bedrock."""


@lru_cache(maxsize=4096)
def rule_for(model: str | None, provider: str | None = None) -> CacheRule | None:
    """Return what the cache of a model allows; None where no row knows it. Without a provider its maker is meant."""
    if not model:
        return None
    name = catalogue.bare_name(model)
    place = catalogue.provider_name(provider)
    if place is None:
        place = None if catalogue.is_of_cloud(model) else _maker(name)
    if place == "openai":
        return _OPENAI if _OF_OPENAI.match(name) else None
    if place in ("anthropic", _AWS):
        return _of_claude(name.replace(".", "-"), place)
    return _of_gemini(name) if place == "google" else None


def _of_claude(name: str, place: str) -> CacheRule | None:
    if "claude" not in name:
        return None
    for pattern, least in _BEDROCK if place == _AWS else _ANTHROPIC:
        if re.search(pattern, name):
            return CacheRule(place, least, kept_s=300, gone_s=300, is_marked=True)
    return None


def _of_gemini(name: str) -> CacheRule | None:
    found = _OF_GEMINI.search(name)
    if found is None:
        return None
    version = (int(found[1]), int(found[2] or 0))
    return None if version < (2, 5) else _GEMINI_2_5 if version < (3, 0) else _GEMINI_3


def _maker(name: str) -> str | None:
    if _OF_OPENAI.match(name):
        return "openai"
    return "anthropic" if name.startswith("claude") else "google" if name.startswith("gemini") else None
