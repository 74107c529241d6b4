"""All signals of one conversation, fed as messages come: texts are looked at and let go."""

from typing import NamedTuple

from tc_core.health.injection import risk_of
from tc_core.health.messages import Entry
from tc_core.health.signals.repetition import Repetition
from tc_core.health.signals.thread import Thread
from tc_core.health.signals.topic import Topic
from tc_core.health.similarity import Similarity


class Reading(NamedTuple):
    """The signals after one message; what takes a walk over the steps is worked out when it is asked for."""

    tokens: int
    steps: int
    repetition: float
    coherence: float
    injection: float


class Watch:
    """What is known of a conversation without its texts, but for single sentences of evidence."""

    def __init__(self, similarity: Similarity) -> None:
        self.repetition = Repetition()
        self.topic = Topic(similarity)
        self.thread = Thread()
        self.injection = 0.0
        self.suspects: list[tuple[str, str]] = []
        """What reads like an instruction: the tool that brought it, and the sentence."""
        self.tokens = self.overhead_tokens = 0
        self.readings: list[Reading] = []
        self._asked: dict[str, str] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next message; its sentences that read like instructions are noted on it."""
        self.repetition.add(entry)
        self.thread.add(entry)
        self._asked.update((call.id, call.name) for call in entry.calls if call.id is not None)
        if entry.role == "tool":
            self.topic.has_cues = False
            name = next((self._asked.pop(id_) for id_ in entry.answers if id_ in self._asked), entry.name)
            entry.withheld = self.judge(entry.text, name or "a tool")
        elif entry.role != "system":
            self.topic.add(entry.text)
        else:
            self.overhead_tokens += entry.size
        self.tokens += entry.size
        self.readings.append(
            Reading(self.tokens, len(self.thread), self.repetition.level, self.topic.coherence, self.injection)
        )

    def judge(self, text: str, source: str) -> tuple[str, ...]:
        """Look for instructions in what a tool or a document has brought, and return them."""
        found = risk_of(text)
        if found.risk > self.injection:
            self.injection = found.risk
        self.suspects = [*((source, said) for said in found.sentences), *self.suspects][:MOST_SUSPECTS]
        return found.sentences


MOST_SUSPECTS = 10
