"""The ways to make a conversation shorter; each returns at most as many tokens as the target allows."""

from collections.abc import Callable, Mapping, Sequence

from tc_core.health.compress.draft import Kept, alternating, whole
from tc_core.health.compress.facts import MARK, Facts
from tc_core.health.compress.groups import Group, grouped
from tc_core.health.compress.window import LEAST_ROOM, Work, window
from tc_core.health.forms import SHORTENED
from tc_core.health.messages import Entry

SUMMARY_SHARE = 0.5
"""What a summary may take of the room; the newest messages take what it leaves."""


def sliding_window(work: Work) -> list[Kept]:
    """Keep the newest messages that fit, and of the next one nothing; the newest is cut where it is too large."""
    groups = grouped(work.entries)
    return window(work, groups)


def relevance(work: Work) -> list[Kept]:
    """Keep what is nearest to the present turn: the last user message and the newest group, then by similarity."""
    groups = grouped(work.entries)
    free = [group for group in groups if not group.is_fixed]
    if not free:
        return whole(work.entries)
    asked = next((group for group in reversed(free) if group.role == "user"), free[-1])
    present = {id(group): group for group in (asked, free[-1])}
    now = work.similarity.profile("\n".join(entry.text for group in present.values() for entry in group.entries))
    near = {group.number: work.similarity.nearness(work.similarity.profile(_text(group)), [now]) for group in free}
    ranked = sorted(free, key=lambda group: (id(group) in present, near[group.number], group.number), reverse=True)
    room = work.target - work.scale.total(work.put_together(groups, set()))
    if any(group.size > room for group in present.values()):
        return window(work, groups)  # which cuts inside what is too large alone
    chosen: list[int] = []
    for group in ranked:
        if group.size <= room:
            chosen.append(group.number)
            room -= group.size
    while chosen and not work.fits(kept := work.put_together(groups, set(chosen))):
        room = work.target - work.scale.total(kept)
        while chosen and room < 0:  # what stands between those that were apart takes some, too
            room += groups[chosen.pop()].size
    return work.put_together(groups, set(chosen)) if chosen else window(work, groups)


def dedupe(work: Work) -> list[Kept]:
    """Leave out results that a later call has brought again (the last stays), then what is oldest until it fits."""
    kept = _without_repeats(work.entries, grouped(work.entries))
    if work.fits(kept):
        return kept
    left = {id(each.entry) for each in kept if each.text is None}
    groups = grouped([entry for entry in work.entries if id(entry) in left])
    return window(work, groups)


def summarize(work: Work) -> list[Kept]:
    """Put what is old into the words of the user's model, and keep the newest messages."""
    if work.summarizer is None:
        raise ValueError(
            "summarize needs a summarizer: give ConversationMonitor a callable that shortens a text, or a chat model"
        )
    groups = grouped(work.entries)
    free = [group for group in groups if not group.is_fixed]
    room = work.target - work.scale.total(work.put_together(groups, set()))
    tail: list[Group] = []
    for group in reversed(free):
        most = room * (1 - SUMMARY_SHARE) if tail else room - LEAST_ROOM
        if sum(each.size for each in tail) + group.size > most:
            break
        tail.insert(0, group)
    old = free[: len(free) - len(tail)]
    if not old or not tail or room < LEAST_ROOM:
        return window(work, groups)
    said = work.summarizer("\n".join(filter(None, (_told(entry) for group in old for entry in group.entries))))
    chosen = {group.number for group in tail}
    for spare in range(0, room, max(1, room // 20)):
        text = work.scale.cut(f"{MARK}\n{said}", room - sum(group.size for group in tail) - spare)
        kept = work.put_together(groups, chosen, [Kept(None, "user", text)] if text else [])
        if work.fits(kept):
            return kept
    return window(work, groups)


def hybrid(work: Work) -> list[Kept]:
    """Keep the values of what is old, a line for each group, and the newest messages whole; no model is asked."""
    groups = grouped(work.entries)
    free = [group for group in groups if not group.is_fixed]
    room = work.target - work.scale.total(work.put_together(groups, set()))
    if free and free[-1].role == "user" and free[-1].size > room:
        return window(work, groups)  # which cuts inside what is too large alone
    return Facts(work.entries, groups, work.scale, work.target).compressed() or window(work, groups)


STRATEGIES: Mapping[str, Callable[[Work], list[Kept]]] = {
    "sliding_window": sliding_window,
    "relevance": relevance,
    "dedupe": dedupe,
    "summarize": summarize,
    "hybrid": hybrid,
    "simple": sliding_window,  # what the first version called them
    "semantic": relevance,
    "aggressive": hybrid,
}


def _without_repeats(entries: Sequence[Entry], groups: Sequence[Group]) -> list[Kept]:
    latest: dict[tuple[str, str, str], int] = {}
    asked = {id(group): _results(group) for group in groups}
    for group in groups:
        latest.update(dict.fromkeys(asked[id(group)].values(), group.number))
    kept: list[Kept] = []
    for group in groups:
        results = asked[id(group)]
        again = {entry for entry, key in results.items() if latest[key] != group.number}
        calls = sum(len(entry.calls) for entry in group.entries)
        if (
            again
            and not group.is_fixed
            and len(again) == len(results) == calls
            and not any(entry.text for entry in group.entries if entry.role != "tool")
        ):
            continue
        for entry in group.entries:
            is_again = id(entry) in again and not group.is_fixed and len(entry.answers) == 1
            kept.append(Kept(entry, entry.role, f"{SHORTENED} the same again below" if is_again else None))
    return alternating(kept, entries)


def _results(group: Group) -> dict[int, tuple[str, str, str]]:
    """Return what each result of a group is of: the call, its arguments and what came."""
    calls = {call.id: call for entry in group.entries for call in entry.calls}
    found = {}
    for entry in group.entries:
        call = calls.get(entry.answers[0]) if len(entry.answers) == 1 else None
        if entry.role == "tool" and call is not None:
            found[id(entry)] = (call.name, call.arguments, entry.text)
    return found


def _text(group: Group) -> str:
    return "\n".join(filter(None, (_told(entry) for entry in group.entries)))


def _told(entry: Entry) -> str:
    calls = " ".join(f"{call.name}({call.arguments})" for call in entry.calls)
    said = " ".join(filter(None, (entry.text, calls)))
    return f"{entry.role}: {said}" if said else ""
