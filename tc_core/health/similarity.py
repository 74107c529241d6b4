"""How near texts are to each other: by their words, by an embedding, or as the user says.

>>> ConversationMonitor("gpt-4o", "writer", similarity="semantic")  # wordllama: pip install '...[semantic]'
"""

import inspect
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from operator import mul
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FADE = 0.5
"""The weight of the message before the last."""

INSTALL = "wordllama is not installed: pip install 'token-calculator-suite[semantic]'"


class Similarity(Protocol):
    """Reads a text once into a profile, and compares that with the ones before."""

    def profile(self, text: str) -> Any:
        """Return what is kept of a text."""

    def nearness(self, profile: Any, before: Sequence[Any]) -> float:
        """Return how near a text is to the (at most two) before it, the last of them last; higher is nearer."""


def similarity_of(wanted: object = None) -> Similarity:
    """Return the similarity that is meant.

    None is lexical, "semantic" is wordllama; else LangChain's `Embeddings`, LlamaIndex's `BaseEmbedding`, a callable
    that makes a vector of a text, or one that makes a number of two texts. Raises ImportError for a missing extra.
    """
    if wanted is None or wanted == "lexical":
        return Lexical()
    if wanted == "semantic":
        return Semantic(_wordllama())
    if isinstance(wanted, str):
        raise ValueError(f"similarity is 'lexical', 'semantic', embeddings or a callable, got {wanted!r}")
    if hasattr(wanted, "profile") and hasattr(wanted, "nearness"):
        return wanted
    for method in ("embed_query", "get_text_embedding"):
        embed = getattr(wanted, method, None)
        if callable(embed):
            return Semantic(embed)
    if callable(wanted):
        return Compared(wanted) if _takes_two(wanted) else Semantic(wanted)
    raise TypeError(f"similarity is 'lexical', 'semantic', embeddings or a callable, got {type(wanted).__name__}")


class Counted(NamedTuple):
    """Pieces of words, how often, and the length of that vector."""

    counts: Counter[str]
    norm: float


class Lexical:
    """Compares pieces of words; no model, some microseconds a message."""

    def profile(self, text: str) -> Counted:
        """Return counts of pieces of four letters, without the commonest words of English."""
        counts: Counter[str] = Counter()
        for word in _WORDS.findall(text[:MOST_CHARACTERS].lower()):
            if word not in _STOP:
                padded = f" {word} "
                counts.update(padded[start : start + 4] for start in range(max(1, len(padded) - 3)))
        return Counted(counts, math.sqrt(sum(n * n for n in counts.values())) or 1.0)

    def nearness(self, profile: Counted, before: Sequence[Counted]) -> float:
        """Return the cosine to the last profile plus half of that to the one before it."""
        near = 0.0
        for back, other in enumerate(reversed(before)):
            shared = sum(n * other.counts.get(piece, 0) for piece, n in profile.counts.items())
            near += FADE**back * shared / profile.norm / other.norm
        return near


class Semantic:
    """Compares vectors of an embedding."""

    def __init__(self, embed: Callable[[str], Any]) -> None:
        self._embed = embed

    def profile(self, text: str) -> list[float]:
        """Return the text's vector, of length 1."""
        vector = [float(each) for each in self._embed(text)]
        length = math.sqrt(sum(each * each for each in vector))
        return [each / length for each in vector] if length else vector

    def nearness(self, profile: list[float], before: Sequence[list[float]]) -> float:
        """Return the cosine to the sum of the last vector and half of the one before it."""
        weights = [FADE**back for back in range(len(before))]
        context = [sum(map(mul, weights, each)) for each in zip(*reversed(before), strict=True)]
        length = math.sqrt(sum(each * each for each in context))
        return sum(map(mul, profile, context)) / length if length else 0.0


class Compared:
    """Asks a callable of the user's for a number about two texts."""

    def __init__(self, compare: Callable[[str, str], float]) -> None:
        self._compare = compare

    def profile(self, text: str) -> str:
        """Return the text as it is."""
        return text

    def nearness(self, profile: str, before: Sequence[str]) -> float:
        """Return the nearness to the last text, a third of it from the one before."""
        weights = [FADE**back for back in range(len(before))]
        found = (
            weight * float(self._compare(profile, other)) for weight, other in zip(weights, before[::-1], strict=True)
        )
        return sum(found) / sum(weights)


def _takes_two(compare: Callable[..., Any]) -> bool:
    try:
        inspect.signature(compare).bind("", "")
    except (TypeError, ValueError):
        return False
    try:
        inspect.signature(compare).bind("")
    except TypeError:
        return True
    return False


def _wordllama() -> Callable[[str], Any]:
    """Return wordllama's embedding, from the weights that lie in its wheel: nothing is downloaded."""
    try:
        import wordllama  # type: ignore[import-not-found,unused-ignore]  # an extra
    except ImportError as error:
        raise ImportError(INSTALL) from error
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    return lambda text: model.embed([text], norm=True)[0]


MOST_CHARACTERS = 20_000
"""More of one message does not change what it is about."""

_WORDS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_STOP = frozenset(
    """
    a about all also am an and any are as at be because been being both but by can cool could d did do does doing
    don each few for from get go going good got great had has have he hello her here hey hi his how i i'm if im in
    is it its just know like ll lol lot love m many may me might mine more most much must my nice no nor not of off
    oh ok okay on one only or other our out over own pretty re really s same shall she should so some something
    sound sounds such sure t than that the their them then there these they thing things think this those to too up
    us ve very want was we well were what when where which who whom why will with would wow yeah yes you your yours
    """.split()  # noqa: SIM905  # a list of words is read at a glance
)
