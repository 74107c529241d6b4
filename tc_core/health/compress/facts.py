"""Facts and tail: the values of the old part, one line for each group, then the newest messages whole.

No model is asked. Pieces are chosen greedily by the weight of the values in them that are not yet there, for each token
that they take; the tail is as long as it can be without costing values.
"""

import heapq
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tc_core.health.compress.draft import Kept, Scale, alternating, whole
from tc_core.health.compress.groups import Group
from tc_core.health.compress.pieces import OUTPUT, Piece, pieces_of
from tc_core.health.forms import SHORTENED
from tc_core.health.messages import Entry

MARK = "[earlier in this conversation, shortened; tools are quoted]"
"""How the message with the facts begins."""

LAST_USER = 30.0
"""The extra weight of what the last user message says, so that it stays whole."""
SLACK = 0.995
"""The tail grows as long as this share of the best coverage stays."""
BIG = 0.3
"""A group of the tail that takes more of the room is shortened in place; a person's message only beyond BIG_USER."""
BIG_USER = 0.9
REFILLS = 3
"""The tokens of pieces are estimates: what is rendered is measured, and chosen again with what was left or over."""
FULL = 0.02
"""So little of the room may be left."""
USED = 3.0
"""The weight of a value that stood in the arguments of a call."""
OLD = 0.7
"""The weight of a value last seen in the first message, against 1 for the last."""
MOST_TAILS = 12
FEW_TAILS, MANY_PIECES = 4, 5_000
"""So many lengths of the tail are tried, and how many where there is much to choose from."""
LABEL_TOKENS = 5
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+)?")


class _Plan(NamedTuple):
    weight: float
    tail: int
    picked: list[Piece]


class Facts:
    """One compression: the groups that may be shortened, their pieces, and what their values weigh."""

    def __init__(self, entries: Sequence[Entry], groups: Sequence[Group], scale: Scale, target: int) -> None:
        self._entries, self._groups, self._scale, self._target = entries, groups, scale, target
        self._free = [group for group in groups if not group.is_fixed]
        self._sizes = [group.size for group in self._free]
        self._fixed = scale.total(whole(entry for group in groups if group.is_fixed for entry in group.entries))
        self._pieces = [pieces_of(group) for group in self._free]
        self._costs: dict[int, int] = {}
        self._weights = self._value_weights()
        self._calls = [
            sum(20 + scale.tokens(call.arguments) + scale.tokens(call.name) for e in group.entries for call in e.calls)
            + 8 * len(group.entries)
            for group in self._free
        ]

    def compressed(self) -> list[Kept] | None:
        """Return what is kept, within the target; None where not even the newest group fits, shortened."""
        room = self._target - self._fixed
        best, spare = None, 0
        for _ in range(REFILLS):
            plan = self._best_plan(room + spare, room)
            if plan is None:
                return best
            kept = self._rendered(plan, room)
            over = self._scale.total(kept) - self._target
            if over <= 0:
                best = kept
            spare -= over
            if 0 <= -over < FULL * room:
                break
        return best

    # What is chosen

    def _best_plan(self, room: int, base: int) -> _Plan | None:
        plans = [plan for tail in self._tails(room) if (plan := self._chosen(tail, room, base)) is not None]
        if not plans:
            return self._chosen(0, room, base)
        bar = SLACK * max(plan.weight for plan in plans)
        return max((plan for plan in plans if plan.weight >= bar), key=lambda plan: plan.tail)

    def _tails(self, room: int) -> list[int]:
        """Return numbers of newest groups to keep in place, short to long."""
        counts, used = [], 0.0
        for count, need in enumerate(reversed(self._sizes), 1):
            used += min(need, BIG * room)
            if used > room and count > 1:
                break
            counts.append(count)
        most = MOST_TAILS if sum(map(len, self._pieces)) < MANY_PIECES else FEW_TAILS
        return counts[:: max(1, len(counts) // most)]

    def _is_whole(self, place: int, room: int) -> bool:
        return self._sizes[place] <= (BIG_USER if self._free[place].role == "user" else BIG) * room

    def _chosen(self, tail: int, room: int, base: int) -> _Plan | None:
        """Choose pieces for a tail of so many groups; None where its calls alone take too much."""
        first = len(self._free) - tail
        left, weight = float(room), 0.0
        covered: set[str] = set()
        offered: list[Piece] = []
        for place in range(first, len(self._free)):
            if self._is_whole(place, base):
                left -= self._sizes[place]
                for piece in self._pieces[place]:
                    weight += piece.extra
                    covered.update(piece.values, piece.rest.values if piece.rest else ())
            else:
                left -= self._calls[place]
                offered += self._pieces[place]
        for place in range(first):
            offered += self._pieces[place]
        if left < 0:
            return None
        if first:
            left -= self._scale.tokens(MARK) + 5
        weight += sum(self._weights[value] for value in covered)
        return self._greedy(_Plan(weight, tail, []), offered, covered, left)

    def _greedy(self, plan: _Plan, offered: Sequence[Piece], covered: set[str], left: float) -> _Plan:
        queue: list[tuple[float, float, float, int, Piece]] = []
        labelled: set[tuple[int, str]] = set()
        weight, picked = plan.weight, plan.picked

        def offer(piece: Piece, order: int) -> None:
            worth = self._gain(piece, covered)
            if worth > 0:  # of equal ones the newest first
                heapq.heappush(queue, (-worth / self._cost(piece), -piece.group, -piece.place, order, piece))

        for order, piece in enumerate(offered):
            offer(piece, order)
        while queue and left > 4:
            key, _, _, order, piece = heapq.heappop(queue)
            cost = self._cost(piece)
            worth = self._gain(piece, covered)
            if -worth / cost > key + 1e-9:  # some of its values have come in since
                if worth > 0:
                    heapq.heappush(queue, (-worth / cost, -piece.group, -piece.place, order, piece))
                continue
            need = cost + (0 if piece.where in labelled else LABEL_TOKENS)
            if need > left:
                continue
            labelled.add(piece.where)
            left -= need
            weight += worth
            covered.update(piece.values)
            picked.append(piece)
            if piece.rest:
                offer(piece.rest, order)
        return _Plan(weight, plan.tail, picked)

    def _gain(self, piece: Piece, covered: set[str]) -> float:
        return piece.extra + sum(self._weights[value] for value in piece.values if value not in covered)

    def _cost(self, piece: Piece) -> int:
        known = self._costs.get(id(piece))
        if known is None:
            known = self._costs[id(piece)] = self._scale.tokens(piece.text) + 1
        return known

    def _value_weights(self) -> dict[str, float]:
        last: dict[str, int] = {}
        used: Counter[str] = Counter()
        for place, pieces in enumerate(self._pieces):
            for piece in pieces:
                for each in (piece, piece.rest) if piece.rest else (piece,):
                    last.update(dict.fromkeys(each.values, place))
                    if each.is_call:
                        used.update(each.values)
        asked = max((place for place, group in enumerate(self._free) if group.role == "user"), default=None)
        for piece in self._pieces[asked] if asked is not None else ():
            piece.extra = LAST_USER
        count = max(1, len(self._free) - 1)
        return {
            value: _kind_weight(value) * (OLD + (1 - OLD) * place / count) * (USED if used[value] else 1)
            for value, place in last.items()
        }

    # How it is put together

    def _rendered(self, plan: _Plan, room: int) -> list[Kept]:
        first = len(self._free) - plan.tail
        by_group: dict[int, list[Piece]] = {}
        for piece in plan.picked:
            by_group.setdefault(piece.group, []).append(piece)
        for pieces in by_group.values():
            pieces.sort(key=lambda piece: piece.place)
        lines = [_line(by_group[group.number]) for group in self._free[:first] if group.number in by_group]
        facts = [Kept(None, "user", "\n".join([MARK, *lines]))] if lines else []
        start = self._free[0].number if self._free else 0
        places = {id(group): place for place, group in enumerate(self._free)}
        kept: list[Kept] = []
        for group in self._groups:
            if group.number == start:
                kept += facts
            place = places.get(id(group))
            if place is None or (place >= first and self._is_whole(place, room)):
                kept += whole(group.entries)
            elif place >= first:
                kept += _shortened(group, by_group.get(group.number, []))
        return alternating(kept, self._entries)


def _shortened(group: Group, pieces: Sequence[Piece]) -> list[Kept]:
    """Return a group's messages with the pieces that were chosen of each, and its calls as they are."""
    kept = []
    for index, entry in enumerate(group.entries):
        own = [piece for piece in pieces if piece.message == index and not piece.is_call]
        if entry.calls and not entry.text:
            kept.append(Kept(entry, entry.role))
        elif entry.role == "tool":
            kept.append(Kept(entry, entry.role, f"{SHORTENED}\n{_line(own)}" if own else SHORTENED))
        else:
            kept.append(Kept(entry, entry.role, " ".join([SHORTENED, *(piece.text for piece in own)])))
    return kept


def _line(pieces: Sequence[Piece]) -> str:
    """Write `user: ...`, `tool: arguments label: row; row`; lines of plain text keep their breaks."""
    out: list[str] = []
    label, place = None, 0.0
    for piece in pieces:
        if piece.label != label:
            out.append(f"{' ' if out else ''}{piece.label}: {piece.text}")
        elif piece.label == OUTPUT:
            out.append(("\n" if piece.place == place + 1 else "\n...\n") + piece.text)
        else:
            is_prose = piece.label in ("user", "assistant")
            out.append((" " if piece.place % 1 or is_prose else "; ") + piece.text)
        label, place = piece.label, piece.place
    return "".join(out)


def _kind_weight(value: str) -> float:
    """Weigh ids and codes over dates over names and numbers over plain words."""
    if _DATE.fullmatch(value):
        return 2.0
    if len(value) > 60 or value.count(" ") > 6:
        return 1.0
    has_digit, has_letter = any(map(str.isdigit, value)), any(map(str.isalpha, value))
    if (has_digit and has_letter and " " not in value) or any(mark in value for mark in "_/@"):
        return 3.0
    if has_digit:
        return 1.0
    return 1.5 if value[:1].isupper() else 0.5
