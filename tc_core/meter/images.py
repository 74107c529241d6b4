"""What an image weighs in a prompt, by the rules that providers publish: an estimate, never exact.

OpenAI counts tiles or patches, Anthropic pixels, Gemini tiles. An image of which only the address is known is taken for
one of 1,024 x 1,024.
"""

import base64
import binascii
import struct
from collections.abc import Mapping
from io import BytesIO
from math import ceil, floor, sqrt
from typing import Any

from tc_core.meter import catalogue

UNKNOWN = (1024, 1024)
MOST_HEADER = 1 << 18
"""So many characters of an image are looked at for its size."""

_TILES = {  # OpenAI: for the whole, and for each tile of 512
    "gpt-4o-mini": (2833, 5667),
    "gpt-5": (70, 140),
    "o1": (75, 150),
    "o3": (75, 150),
}
_ELSE = (85, 170)
_PATCHES = {  # OpenAI: what a patch of 32 counts
    "gpt-4.1-mini": 1.62,
    "gpt-4.1-nano": 2.46,
    "gpt-5-mini": 1.62,
    "gpt-5-nano": 2.46,
    "o4-mini": 1.72,
}
_MOST_PATCHES = 1536
_GEMINI_TILE = 258
_ANTHROPIC_EDGE, _ANTHROPIC_MOST, _PIXELS_PER_TOKEN = 1568, 1600, 750

Fields = Mapping[str, Any]


def count(part: Fields, model: str | None) -> int:
    """Return about how many tokens an image is to a model; `part` is what a request has of it."""
    name = catalogue.bare_name(model or "")
    width, height = _size(part)
    if "claude" in name:
        return _anthropic(width, height)
    if "gemini" in name:
        return _gemini(width, height)
    return _openai(width, height, name, is_low=_detail(part) == "low")


def _openai(width: float, height: float, name: str, *, is_low: bool) -> int:
    factor, (base, tile) = _of(_PATCHES, name), _of(_TILES, name) or _ELSE
    if factor is not None:
        return _patched(width, height, factor)
    if is_low:
        return base
    width, height = _within(width, height, 2048)
    scale = min(768 / min(width, height), 1)
    return base + tile * ceil(width * scale / 512) * ceil(height * scale / 512)


def _patched(width: float, height: float, factor: float) -> int:
    patches = ceil(width / 32) * ceil(height / 32)
    if patches > _MOST_PATCHES:
        scale = sqrt(32 * 32 * _MOST_PATCHES / (width * height))
        across, down = width * scale / 32, height * scale / 32
        scale *= min(floor(across) / across, floor(down) / down)
        patches = min(ceil(width * scale / 32) * ceil(height * scale / 32), _MOST_PATCHES)
    return ceil(patches * factor)


def _anthropic(width: float, height: float) -> int:
    width, height = _within(width, height, _ANTHROPIC_EDGE)
    return min(ceil(width * height / _PIXELS_PER_TOKEN), _ANTHROPIC_MOST)


def _gemini(width: float, height: float) -> int:
    if max(width, height) <= 384:  # as Gemini's documentation says
        return _GEMINI_TILE
    unit = max(floor(min(width, height) / 1.5), 1)
    return _GEMINI_TILE * ceil(width / unit) * ceil(height / unit)


def _within(width: float, height: float, most: int) -> tuple[float, float]:
    scale = min(most / max(width, height), 1)
    return width * scale, height * scale


def _of(table: Mapping[str, Any], name: str) -> Any:
    matching = [prefix for prefix in table if name.startswith(prefix)]
    return table[max(matching, key=len)] if matching else None


def _detail(part: Fields) -> object:
    inner = part.get("image_url")
    return part.get("detail") or (inner.get("detail") if isinstance(inner, Mapping) else None)


def _size(part: Fields) -> tuple[int, int]:
    import imagesize  # type: ignore[import-untyped,unused-ignore]  # only where there is an image

    data = _data(part)
    try:
        width, height = imagesize.get(BytesIO(data)) if data else (0, 0)
    except (ValueError, IndexError, OverflowError, OSError, struct.error):  # a broken image
        return UNKNOWN
    return (width, height) if width > 0 and height > 0 else UNKNOWN


def _data(part: Fields) -> bytes | None:
    """Return the beginning of an image, where the request has it."""
    for name in ("source", "inlineData", "inline_data", "image_url", "image", "url", "base64", "data", "bytes"):
        value = part.get(name)
        if isinstance(value, Mapping):
            return _data(value)
        if isinstance(value, bytes) and value:
            return _decoded(value[:MOST_HEADER]) or value[:MOST_HEADER]
        if isinstance(value, str) and value and "://" not in value[:16]:
            return _decoded(value.partition("base64,")[2][:MOST_HEADER] or value[:MOST_HEADER])
    return None


def _decoded(data: str | bytes) -> bytes | None:
    try:
        return base64.b64decode(data[: len(data) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return None
