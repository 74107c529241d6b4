"""Token usage of one model call."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

MOST_TOKENS = 1_000_000_000_000
"""More than this in one event is taken for a mistake."""


Report = Mapping[str, Any]
"""What a provider's body says of usage, as `usage_part` has copied it: plain JSON."""


class Usage(NamedTuple):
    """The tokens of one model call; None is unknown, zero is zero.

    Buckets are inclusive, as OpenTelemetry has them: cached, cache-write and audio input tokens are
    part of `input_tokens`; reasoning and audio output tokens are part of `output_tokens`. Of `cache_write_tokens`
    those that are kept for an hour, which costs more, are `cache_write_1h_tokens`.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    cache_write_1h_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input plus output, or None when either is unknown."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value can be a number of tokens."""
    return type(value) is int and 0 <= value <= MOST_TOKENS


def are_counts(usage: Usage) -> bool:
    """Tell whether all that is known can be numbers of tokens."""
    return not [count for count in usage if count is not None and not is_count(count)]


def whole_usage(usage: Usage) -> Usage:
    """Return the usage of a call whose tokens a user gives; raise ValueError, naming the field, if it cannot be."""
    for name in ("input_tokens", "output_tokens"):
        if getattr(usage, name) is None:
            raise ValueError(f"{name} must be a whole number from 0 to {MOST_TOKENS:,}, not None")
    check_usage(usage)
    return usage


def check_usage(usage: Usage) -> None:
    """Raise ValueError, naming the field, for counts that no call can have."""
    for name, value in zip(Usage._fields, usage, strict=True):
        if value is None:
            continue
        if not is_count(value):
            raise ValueError(f"{name} must be a whole number from 0 to {MOST_TOKENS:,}, not {value!r}")
    _check_parts(
        "input_tokens",
        usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    _check_parts("cache_write_tokens", usage.cache_write_tokens, cache_write_1h_tokens=usage.cache_write_1h_tokens)
    _check_parts("output_tokens", usage.output_tokens, reasoning_tokens=usage.reasoning_tokens)


def _check_parts(name: str, whole: int | None, **parts: int | None) -> None:
    total = sum(part or 0 for part in parts.values())
    if whole is not None and total > whole:
        listed = " + ".join(f"{part} {value:,}" for part, value in parts.items() if value)
        raise ValueError(f"{name} {whole:,} must include its parts, but {listed} is more")
