"""Fingerprints of texts, by which one finds what another one quotes, without either being kept.

Of a source every block of 48 characters is kept, of letters and digits alone: wrapping, `> `, markdown and JSON escapes
do not change them. A text is asked at each of its positions, by a rolling hash (the method, and what others found
beside it, is measured in `docs/provenance.md`).
"""

import re
from hashlib import blake2b, shake_256
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 48
MOST_CHARACTERS = 1 << 17
"""So much of a text is looked at, in letters and digits."""

Prints = NDArray[np.uint32]

_ESCAPES = re.compile(r'\\(?:[nrt"/\\]|u([0-9a-fA-F]{4}))')
_DROPPED = bytes(code for code in range(128) if not chr(code).isalnum())
_ODD = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def stream(text: str) -> bytes:
    """Return the letters and digits of a text, in lower case, and all that is not ASCII."""
    if "\\" in text:
        text = _ESCAPES.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
    return text.lower().encode("utf-8", "surrogatepass").translate(None, _DROPPED)[:MOST_CHARACTERS]


class Fingerprints:
    """Makes the fingerprints of one installation: they depend on its key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        seed = int.from_bytes(blake2b(key=key, digest_size=16, person=b"tc-blocks").digest(), "little")
        self._values = np.random.default_rng(seed).integers(1, 2**63, 256, dtype=np.uint64)
        self._powers = _powers(_ODD)
        self._inverse = _powers(pow(_ODD, -1, 1 << 64))

    def rolling(self, characters: bytes) -> Prints:
        """Return the fingerprint of each 48 characters, the first at the first place."""
        if len(characters) < BLOCK:
            return np.empty(0, np.uint32)
        codes = self._values[np.frombuffer(characters, dtype=np.uint8)]
        sums = np.zeros(len(codes) + 1, dtype=np.uint64)
        np.cumsum(codes * self._powers[: len(codes)], dtype=np.uint64, out=sums[1:])
        mixed: NDArray[np.uint64] = (sums[BLOCK:] - sums[:-BLOCK]) * self._inverse[: len(codes) - BLOCK + 1]
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
        mixed ^= mixed >> np.uint64(32)
        return mixed.astype(np.uint32)

    def sealed(self, segment: int, prints: Prints, places: NDArray[np.int32]) -> bytes:
        """Return fingerprints as they are stored: a rolling hash is no secret to who knows some texts, so they are
        encrypted by the key, each segment's in its own way."""
        plain = np.concatenate((prints.astype("<u4"), places[-1:].astype("<u4"))).tobytes()
        return self._turned(segment, plain)

    def opened(self, segment: int, sealed: bytes) -> tuple[Prints, NDArray[np.int32]]:
        """Return fingerprints and their places from what is stored."""
        plain = np.frombuffer(self._turned(segment, sealed), dtype="<u4")
        return plain[:-1].astype(np.uint32), _places(len(plain) - 1, int(plain[-1]))

    def _turned(self, segment: int, text: bytes) -> bytes:
        stream_of_key = shake_256(b"tc-blocks" + self._key + segment.to_bytes(8, "little", signed=True))
        mask = np.frombuffer(stream_of_key.digest(len(text)), dtype=np.uint8)
        return (np.frombuffer(text, dtype=np.uint8) ^ mask).tobytes()

    def of_source(self, characters: bytes) -> tuple[Prints, NDArray[np.int32]]:
        """Return the fingerprints that are kept of a source, and their places: its blocks, and its last characters."""
        places = _places(len(range(0, len(characters) - BLOCK, BLOCK)) + 1, len(characters) - BLOCK)
        return self.rolling(characters)[places], places


def _places(count: int, last: int) -> NDArray[np.int32]:
    places = np.arange(count, dtype=np.int32) * BLOCK
    places[-1] = last
    return places


def _powers(base: int) -> NDArray[Any]:
    powers = np.full(MOST_CHARACTERS, base, dtype=np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)
