"""What images weigh: the examples of the providers' own documentation, and images whose size nobody can know."""

import base64
import struct
import zlib

import pytest

from tc_core.meter import images
from tc_core.model.segment import Segment, of_block


def png(width, height):
    """Return a real image of this size."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress(b"".join(b"\0" + b"\0" * width for _ in range(height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def openai(width, height, detail="auto"):
    url = "data:image/png;base64," + base64.b64encode(png(width, height)).decode()
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o-mini-2024-07-18", (1024, 1024), "high", 2833 + 4 * 5667),
        ("gpt-4.1-mini", (1024, 1024), "auto", 1659),  # 1,024 patches
        ("gpt-4.1-mini", (1800, 2400), "auto", 2353),  # 1,452 patches
        ("claude-sonnet-4-5", (1000, 1000), "auto", 1334),
        ("claude-sonnet-4-5", (200, 200), "auto", 54),
        ("gemini-2.5-flash", (384, 384), "auto", 258),
        ("gemini-2.5-flash", (960, 540), "auto", 1548),
    ],
)
def test_the_examples_of_the_documentation(model, size, detail, tokens):
    assert images.count(openai(*size, detail), model) == tokens


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%s"}},
        {"type": "image", "source_type": "base64", "data": "%s"},
        {"type": "image", "base64": "%s"},
        {"type": "input_image", "image_url": "data:image/png;base64,%s"},
        {"inlineData": {"mimeType": "image/png", "data": "%s"}},
        {"image": b"%s"},
    ],
)
def test_all_spellings_have_the_same_size(part):
    data = base64.b64encode(png(200, 100)).decode()

    def filled(value):
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        return value.replace(b"%s", data.encode()) if isinstance(value, bytes) else value.replace("%s", data)

    assert images._size(filled(part)) == (200, 100)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image", "source": {"type": "base64", "data": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()}},
        {"type": "image", "source": {"type": "base64", "data": base64.b64encode(b"\xff\xd8\xff").decode()}},
        {"type": "image", "source": 7},
        {},
    ],
)
def test_what_nobody_can_measure_is_taken_for_a_usual_one(part):
    assert images.count(part, "gpt-4o") == 765


def test_blocks_of_a_message():
    picture = openai(10, 10)
    assert of_block("user", "text", "hi") == of_block("user", "text", {"type": "text", "text": "hi"})
    assert of_block("user", "text", picture) == Segment("user", "image", picture)
    assert of_block("ai", "text", {"type": "thinking", "thinking": "hm"}) == Segment("ai", "reasoning", "hm")
    assert of_block("ai", "text", {"type": "redacted_thinking", "data": "x"}) is None
    assert of_block("ai", "text", 7) is None
