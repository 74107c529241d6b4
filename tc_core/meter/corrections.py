"""How another model's tokenizer errs, learned from what providers report.

For a model without a public tokenizer a proxy counts, which can be wrong by a factor of two outside English. Prompts
whose provider reported their tokens tell the factor of each model. It is kept for the life of the process.
"""

import threading
from dataclasses import dataclass

LEAST_TOKENS = 200
"""So many tokens must have been compared before a factor is believed."""

MOST_TOKENS = 1_000_000
"""Beyond so many, older comparisons count half, so that a change of the tokenizer is followed."""

BELIEVABLE = (0.4, 3.0)
"""Factors beyond come from images and hidden instructions, not from tokenizers."""

MOST_MODELS = 1000


@dataclass(slots=True)
class _Seen:
    counted: float = 0.0
    reported: float = 0.0


_lock = threading.Lock()
_seen: dict[str, _Seen] = {}


def learn(model: str, counted: int, reported: int) -> None:
    """Learn that a provider reported so many tokens where a proxy counted so many."""
    if counted <= 0 or not BELIEVABLE[0] <= reported / counted <= BELIEVABLE[1]:
        return
    with _lock:
        if model not in _seen and len(_seen) >= MOST_MODELS:
            return
        seen = _seen.setdefault(model, _Seen())
        if seen.counted > MOST_TOKENS:
            seen.counted, seen.reported = seen.counted / 2, seen.reported / 2
        seen.counted += counted
        seen.reported += reported


def factor(model: str) -> float:
    """Return by what a proxy's count is to be multiplied; 1 where nothing is known."""
    seen = _seen.get(model)
    return 1.0 if seen is None or seen.counted < LEAST_TOKENS else seen.reported / seen.counted


def forget() -> None:
    """Forget everything."""
    with _lock:
        _seen.clear()
