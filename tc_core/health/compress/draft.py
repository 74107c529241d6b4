"""What a compression keeps, while it is being put together: counted, and valid for the providers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tc_core.health.forms import SHORTENED
from tc_core.health.messages import Entry, Role
from tc_core.meter import messages, tokens


class Kept(NamedTuple):
    """One message of the result: an original, whole or with another text, or one that is made here."""

    entry: Entry | None
    role: Role
    text: str | None = None
    """The text in place of the original's; of a message that is made here always."""


def whole(entries: Iterable[Entry]) -> list[Kept]:
    """Keep messages as they are."""
    return [Kept(entry, entry.role) for entry in entries]


class Scale:
    """Counts tokens as the model does; a text is counted once."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._known: dict[str, int] = {}

    def tokens(self, text: str) -> int:
        """Return the tokens of a text."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = tokens.count(text, self._model).tokens
        return known

    def of(self, kept: Kept) -> int:
        """Return the tokens of one message."""
        if kept.entry is None:
            return messages.PER_MESSAGE + self.tokens(kept.role) + self.tokens(kept.text or "")
        if kept.text is None:
            return kept.entry.size
        others = max(0, len(kept.entry.answers) - 1) * self.tokens(SHORTENED)  # each further result has its mark
        return kept.entry.size - self.tokens(kept.entry.text) + self.tokens(kept.text) + others

    def total(self, kept: Sequence[Kept]) -> int:
        """Return the tokens of a prompt."""
        return messages.PER_REPLY + sum(map(self.of, kept))

    def cut(self, text: str, room: int) -> str:
        """Return the beginning and the end of a text, with a mark between them, in at most `room` tokens."""
        if self.tokens(text) <= room:
            return text
        left = room - self.tokens(f"\n{SHORTENED}\n") - 1
        if left < 2:
            return SHORTENED if room >= self.tokens(SHORTENED) else ""
        characters = int(len(text) * left / max(1, self.tokens(text)))
        while characters > 2:
            head, tail = text[: characters * 2 // 3].rstrip(), text[len(text) - characters // 3 :].lstrip()
            found = f"{head}\n{SHORTENED}\n{tail}"
            if tokens.count(found, self._model).tokens <= room:
                return found
            characters = int(characters * 0.9)
        return SHORTENED if room >= self.tokens(SHORTENED) else ""


def alternating(kept: Sequence[Kept], entries: Sequence[Entry]) -> list[Kept]:
    """Put a mark between messages of one side that were apart before: providers want users and models to take turns."""
    places = {id(entry): place for place, entry in enumerate(entries)}
    first = next((entry.role for entry in entries if entry.role != "system"), None)
    found: list[Kept] = []
    last: Kept | None = None
    for each in kept:
        if each.role != "system":
            found.extend(_between(last, each, places, first))
            last = each
        found.append(each)
    return found


def _between(last: Kept | None, each: Kept, places: dict[int, int], first: str | None) -> Iterator[Kept]:
    if last is None:
        if each.role == "assistant" and first != "assistant":
            yield Kept(None, "user", SHORTENED)
        return
    if last.role != each.role or each.role == "tool":
        return
    if last.entry is not None and each.entry is not None and places[id(each.entry)] == places[id(last.entry)] + 1:
        return  # they stood like that
    yield Kept(None, "assistant" if each.role == "user" else "user", SHORTENED)
