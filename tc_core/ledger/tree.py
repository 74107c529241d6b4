"""The tree of prompts: from the segments of a prompt to the nodes of its path, hashing nothing twice."""

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from tc_core.ledger.canonical import Item

PER_SEGMENT = 4
"""What a request adds to the tokens of each segment: who says it, and where it ends."""
PER_REQUEST = 3
"""What it adds for the opening of the reply."""

MOST_KNOWN = 65_536
MOST_PROMPTS = 256
MOST_ALIKE = 8
MOST_CHARACTERS = 32 << 20
"""So many characters of texts are held to recognise the next turn of their conversation; by reference, as a rule."""

_PAIR = struct.Struct("<qq")
_PLACE = struct.Struct("<qB")
_LONG = struct.Struct("<q")


class Place(NamedTuple):
    """One node on the path of a prompt."""

    node: int
    segment: int
    what: int
    prefix: int
    """What the way down to it and with it weighs, in tokens."""
    tokens: int
    """The tokens of the segment alone."""


Path = list[Place]


class News:
    """What the paths of a batch have that is not known to be in the store."""

    def __init__(self) -> None:
        self.segments: dict[int, tuple[int, int, int]] = {}
        self.nodes: dict[int, tuple[int, int | None, int, int, int, int]] = {}
        self.leant_on_nodes: set[int] = set()
        """Nodes under which new ones hang, or that prompts end in: they are there, unless something took them away."""
        self.leant_on_segments: set[int] = set()


class Tree:
    """Makes paths. Not for several threads at once; all it remembers only saves work, and can be forgotten."""

    def __init__(self, key: bytes, count: Callable[[str, str | None], int]) -> None:
        self._segment_hash = blake2b(key=key, digest_size=16, person=b"tc-segment")
        self._node_hash = blake2b(key=key, digest_size=8, person=b"tc-node")
        self._count = count
        self.forget()

    def forget(self) -> None:
        """Remember nothing: what was thought to be in the store may not be there."""
        self.news = News()
        self._tokens: OrderedDict[int, int] = OrderedDict()
        self._nodes: OrderedDict[int, None] = OrderedDict()
        self._prompts: OrderedDict[int, list[_Known]] = OrderedDict()
        self._characters = 0

    def take_news(self) -> News:
        """Return what is new since the last time."""
        news, self.news = self.news, News()
        return news

    def path(self, items: list[Item], model: str | None) -> Path:
        """Return the path of a prompt; what an earlier one of the same conversation has is not hashed again."""
        key = hash(tuple(items[:2]))
        alike = self._prompts.pop(key, [])
        shared, nearest = 0, None
        for known in alike:
            same = _shared(known.items, items)
            if same > shared:
                shared, nearest = same, known
        path = [] if nearest is None else nearest.path[:shared]
        if path:
            self.news.leant_on_nodes.add(path[-1].node)
        path += self.extend(path, items[shared:], model)
        if nearest is not None and shared == len(nearest.items):  # its next turn
            alike.remove(nearest)
            self._characters -= nearest.characters
        self._remember(key, alike, _Known(items, path, sum(len(item.body) for item in items)))
        return path

    def extend(self, path: Path, items: Sequence[Item], model: str | None) -> Path:
        """Return the places of further segments behind a path."""
        parent, prefix, depth = (path[-1].node, path[-1].prefix, len(path)) if path else (None, PER_REQUEST, 0)
        places: Path = []
        for what, body in items:
            digest = self._digest(body)
            segment, tail = _PAIR.unpack(digest)
            tokens = self._tokens_of(segment, tail, body, model)
            hashing = self._node_hash.copy()
            hashing.update(_PLACE.pack(parent or 0, what) + digest)
            (node,) = _LONG.unpack(hashing.digest())
            prefix += tokens + PER_SEGMENT
            depth += 1
            if node in self._nodes:
                self.news.leant_on_nodes.add(node)
            else:
                _put(self._nodes, node, None)
                self.news.nodes[node] = (node, parent, segment, what, depth, prefix)
                if segment not in self.news.segments:
                    self.news.leant_on_segments.add(segment)
            places.append(Place(node, segment, what, prefix, tokens))
            parent = node
        return places

    def segment(self, body: str, model: str | None) -> tuple[int, int]:
        """Return the id and the tokens of a content that stands for itself."""
        segment, tail = _PAIR.unpack(self._digest(body))
        tokens = self._tokens_of(segment, tail, body, model)
        if segment not in self.news.segments:
            self.news.leant_on_segments.add(segment)
        return segment, tokens

    def _digest(self, body: str) -> bytes:
        hashing = self._segment_hash.copy()
        hashing.update(body.encode("utf-8", "surrogatepass"))
        return hashing.digest()

    def _tokens_of(self, segment: int, tail: int, body: str, model: str | None) -> int:
        tokens = self._tokens.get(segment)
        if tokens is None:
            tokens = self._count(body, model)
            _put(self._tokens, segment, tokens)
            self.news.segments[segment] = (segment, tail, tokens)
        return tokens

    def _remember(self, key: int, alike: "list[_Known]", known: "_Known") -> None:
        alike.append(known)
        self._characters += known.characters
        if len(alike) > MOST_ALIKE:
            self._characters -= alike.pop(0).characters
        self._prompts[key] = alike
        while self._prompts and (len(self._prompts) > MOST_PROMPTS or self._characters > MOST_CHARACTERS):
            _, gone = self._prompts.popitem(last=False)
            self._characters -= sum(each.characters for each in gone)


class _Known(NamedTuple):
    """A prompt that was seen, to recognise its next turn."""

    items: list[Item]
    path: Path
    characters: int


def _shared(old: list[Item], new: list[Item]) -> int:
    """Return how many segments two prompts begin with alike; nearly always all of the old one, which C compares."""
    least = min(len(old), len(new))
    if old[:least] == new[:least]:
        return least
    low, high = 0, least
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _put(cache: OrderedDict[int, Any], key: int, value: Any) -> None:
    cache[key] = value
    if len(cache) > MOST_KNOWN:
        cache.popitem(last=False)
