"""What lies in the body of an answer: one JSON value, or the events of a stream, however far it came."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import orjson

DONE = {"object": "[DONE]"}
"""Stands for the last line of OpenAI's streams."""


def payloads(content: bytes, kind: str) -> Iterator[Any]:
    """Yield the JSON values of a body of this content type; a broken end is left out."""
    if "event-stream" in kind:
        yield from _server_sent(content)
    elif "amazon.eventstream" in kind:
        yield from _amazon(content)
    elif "json" in kind:
        whole = _json(content)
        yield from whole if isinstance(whole, list) else (whole,)  # Gemini streams one list of answers


def _server_sent(content: bytes) -> Iterator[Any]:
    for event in content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        said = b"\n".join(lines)
        if said == b"[DONE]":
            yield DONE
        elif said:
            yield _json(said)


def _amazon(content: bytes) -> Iterator[Any]:
    """Yield the payloads of AWS's frames: two lengths and a checksum, headers, the payload, a checksum of all."""
    at = 0
    while at + 16 <= len(content):
        length, of_headers = (int.from_bytes(content[at + start : at + start + 4], "big") for start in (0, 4))
        if length < 16 + of_headers or at + length > len(content):
            return
        said = _json(content[at + 12 + of_headers : at + length - 4])
        inner = said.get("bytes") if isinstance(said, dict) else None
        yield said if not isinstance(inner, str) else _json(b64decode(inner))
        at += length


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
