"""Answers that come piece by piece: the longer one gets, the more is reserved for it; without room it is cut."""

import math
import time
from collections.abc import Sequence

from tc_core.budgets.books import Books, Wanted
from tc_core.budgets.budget import Budget
from tc_core.budgets.estimate import Expected
from tc_core.budgets.periods import Span
from tc_core.budgets.refusals import LOOK_SECONDS, amount_of, deadline, may_wait, refusal
from tc_core.model.clock import clock
from tc_core.model.ids import EventId
from tc_core.model.part import Request

LEAST_STEP = 16
"""Tokens: where not even so many more have room, a stream is cut."""


class StreamMeter:
    """Watches one answer. Tokens are counted from characters; the books are asked only when the reservation is passed.

    What is reserved grows by as much as was thought of first, or by what there is room for, so that a stream takes no
    more than one piece beyond what is reserved for it.
    """

    def __init__(
        self,
        books: Books,
        event_id: EventId,
        request: Request,
        expected: Expected,
        concerned: Sequence[tuple[Budget, Span]],
        per_character: float,
    ) -> None:
        self._books, self.event_id, self._request = books, event_id, request
        self._expected, self._concerned, self._per_character = expected, concerned, per_character
        self.characters = 0
        self._allowed = expected.output_tokens / per_character

    def piece(self, characters: int) -> Exception | None:
        """Note that so many characters have come; return what the stream is cut with, None where it may go on."""
        self.characters += characters
        return None if self.characters <= self._allowed else self._grown()

    def _grown(self) -> Exception | None:
        came = math.ceil(self.characters * self._per_character)
        step, until = max(LEAST_STEP, self._expected.output_tokens), deadline()
        while True:
            now_us = clock.wall_ns() // 1000
            wanted = self._wanted(came + step, now_us)
            full = self._books.extend(self.event_id, wanted)
            if not full:
                self._allowed = (came + step) / self._per_character
                return None
            if step > LEAST_STEP:
                step = max(LEAST_STEP, step // 4)
            elif time.monotonic() < until and may_wait(full, wanted, now_us):
                time.sleep(LOOK_SECONDS)
            else:
                return refusal(full[0], wanted, now_us, received_tokens=came)

    def _wanted(self, output_tokens: int, now_us: int) -> list[Wanted]:
        expected = Expected(self._expected.input_tokens, output_tokens)
        return [
            Wanted(budget, span, amount_of(budget, self._request, expected, now_us)) for budget, span in self._concerned
        ]
