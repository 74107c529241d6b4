"""A conversation that was made shorter: messages of the type that came in, and what became of the others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tc_core.health.compress.draft import Kept, Scale
from tc_core.health.compress.strategies import STRATEGIES
from tc_core.health.compress.window import Summarizer, Work
from tc_core.health.forms import DICTS
from tc_core.health.messages import Entry
from tc_core.health.similarity import Similarity
from tc_core.meter import prices


@dataclass(frozen=True, slots=True)
class CacheBreak:
    """What it costs that the prompt is another one from some message on: the next call reads it anew, not from a cache.

    `tokens` come behind what stays the same. `cost` is what they cost more in the next call, `saved_per_turn` what each
    further call costs less, both in US dollars, as if all were read from the cache from then on; None without a price.
    """

    tokens: int
    cost: float | None
    saved_per_turn: float | None

    @property
    def pays_after_turns(self) -> float | None:
        """How many turns it takes until more is saved than the break costs."""
        if self.cost is None or not self.saved_per_turn:
            return None
        return self.cost / self.saved_per_turn

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "pays_after_turns": self.pays_after_turns}


class Compressed(list[Any]):
    """The messages that are kept, in their order and of the type that came in.

    `dropped` are those left out, `shortened` the originals of those that have another text now. `tokens` is the size of
    the whole prompt, `saved_tokens` what each further turn sends less. `is_met` is False only where the system's and
    pinned messages alone exceed the target.
    """

    def __init__(self, messages: Sequence[object], target: int) -> None:
        super().__init__(messages)
        self.target = target
        self.tokens = 0
        self.saved_tokens = 0
        self.dropped: list[Any] = []
        self.shortened: list[Any] = []
        self.withheld: list[str] = []
        self.cache_break: CacheBreak | None = None

    @property
    def is_met(self) -> bool:
        """Whether the target is kept."""
        return self.tokens <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, without texts."""
        return {
            "messages": len(self),
            "tokens": self.tokens,
            "target": self.target,
            "is_met": self.is_met,
            "saved_tokens": self.saved_tokens,
            "dropped": len(self.dropped),
            "shortened": len(self.shortened),
            "withheld": len(self.withheld),
            "cache_break": None if self.cache_break is None else self.cache_break.to_dict(),
        }


def compressed(
    entries: Sequence[Entry],
    strategy: str,
    target: int,
    *,
    model: str,
    similarity: Similarity,
    summarizer: Summarizer | None = None,
) -> tuple[Compressed, list[Kept]]:
    """Make a conversation shorter; one that is within the target stays as it is.

    Raises ValueError for a strategy that does not exist, or a target that is not positive.
    """
    chosen = STRATEGIES.get(strategy)
    if chosen is None:
        raise ValueError(f"there is no strategy {strategy!r}: use one of {', '.join(STRATEGIES)}")
    if target <= 0:
        raise ValueError(f"target_tokens must be positive, got {target}")
    scale = Scale(model)
    before = [Kept(entry, entry.role) for entry in entries]
    total = scale.total(before)
    kept = before if total <= target else chosen(Work(entries, target, scale, similarity, summarizer))
    form = next((entry.form for entry in entries if entry.form is not None), DICTS)
    like = next((entry.original for entry in entries if entry.form is form), None)
    result = Compressed([_message(each, like, form) for each in kept], target)
    result.tokens = scale.total(kept)
    result.saved_tokens = total - result.tokens
    there = {id(each.entry): each for each in kept if each.entry is not None}
    result.dropped = [entry.original for entry in entries if id(entry) not in there]
    result.shortened = [each.entry.original for each in kept if each.entry is not None and each.text is not None]
    if kept is not before:
        said = "\n".join(each.text or "" for each in kept)
        result.withheld = [
            sentence for entry in entries if _is_changed(there.get(id(entry)))
            for sentence in entry.withheld if sentence not in said
        ]  # fmt: skip
        result.cache_break = _cache_break(kept, entries, scale, model, result.saved_tokens)
    return result, kept


def _is_changed(kept: Kept | None) -> bool:
    return kept is None or kept.text is not None


def _message(kept: Kept, like: object, form: Any) -> object:
    entry = kept.entry
    if entry is None:
        return form.made(kept.role, kept.text or "", like)
    if kept.text is None:
        return entry.original
    return (entry.form or DICTS).shortened(entry.original, kept.text)


def _cache_break(kept: Sequence[Kept], entries: Sequence[Entry], scale: Scale, model: str, saved: int) -> CacheBreak:
    same = 0
    for each, entry in zip(kept, entries, strict=False):
        if each.entry is not entry or each.text is not None:
            break
        same += 1
    anew = sum(scale.of(each) for each in kept[same:])
    full, from_cache = (prices.calculate_cost(model, anew, 0, cached_tokens=cached) for cached in (0, anew))
    less = prices.calculate_cost(model, max(0, saved), 0, cached_tokens=max(0, saved))
    cost = None if full is None or from_cache is None else full - from_cache
    return CacheBreak(anew, cost, less)
