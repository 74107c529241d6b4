"""How another model's tokenizer errs, learned from what providers report.

For a model without a public tokenizer a proxy counts, which can be wrong by a factor of two outside English. Prompts
whose provider reported their tokens tell the factor of each model. It is kept for the life of the process.
"""

from typing import NamedTuple

LEAST_TOKENS = 200
"""So many tokens must have been compared before a factor is believed."""

MOST_TOKENS = 1_000_000
"""Beyond so many, older comparisons count half, so that a change of the tokenizer is followed."""

BELIEVABLE = (0.4, 3.0)
"""Factors beyond come from images and hidden instructions, not from tokenizers."""

MOST_MODELS = 1000


class _Seen(NamedTuple):
    counted: float = 0.0
    reported: float = 0.0


_seen: dict[str, _Seen] = {}  # without a lock, which a fork could leave locked: of two threads at once, one may count


def learn(model: str, counted: int, reported: int) -> None:
    """Learn that a provider reported so many tokens where a proxy counted so many."""
    if counted <= 0 or not BELIEVABLE[0] <= reported / counted <= BELIEVABLE[1]:
        return
    before = _seen.get(model)
    if before is None and len(_seen) >= MOST_MODELS:
        return
    counted_before, reported_before = before or _Seen()
    weight = 0.5 if counted_before > MOST_TOKENS else 1.0
    _seen[model] = _Seen(counted_before * weight + counted, reported_before * weight + reported)


def factor(model: str) -> float:
    """Return by what a proxy's count is to be multiplied; 1 where nothing is known."""
    seen = _seen.get(model)
    return 1.0 if seen is None or seen.counted < LEAST_TOKENS else seen.reported / seen.counted


def forget() -> None:
    """Forget everything."""
    _seen.clear()
