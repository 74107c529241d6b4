"""Topic shifts: how far a message is from the two before it.

Questions are cues: people open topics with one, and what follows one answers it. That is the style of small talk; in
work with tools the subject changes without a question, so there the cues count for nothing.
"""

import math
from typing import Any

from tc_core.health.similarity import Similarity

ASKS, ASKED = 0.3, 0.2
STEEP = 4.0


class Topic:
    """Add what people and models say; `coherence` is 1 (goes on) to 0 (something else)."""

    def __init__(self, similarity: Similarity) -> None:
        self.coherence = 1.0
        self.evidence = ""
        self.has_cues = True
        self._similarity = similarity
        self._before: list[Any] = []
        self._was_asked = False

    def add(self, text: str) -> None:
        """Take in the next message; one without words says nothing."""
        if not text.strip():
            return
        profile, asks = self._similarity.profile(text), _asks(text)
        if self._before:
            nearness = self._similarity.nearness(profile, self._before)
            shift = -nearness
            if self.has_cues:
                shift += ASKS * asks - ASKED * self._was_asked
            self.coherence = 1 / (1 + math.exp(max(-50.0, min(50.0, STEEP * shift))))
            self.evidence = f"the last message has a nearness of {nearness:.2f} to the two before it"
        self._before = [*self._before[-1:], profile]
        self._was_asked = asks


def _asks(text: str) -> bool:
    return any(mark in text for mark in "??؟;¿")  # full-width, Arabic and Greek question marks
