"""Which steps of a run need not have waited for each other: only what the prompts, or other runs, prove."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple

from tc_core.lineage.tree import Node
from tc_core.store.read.marks import ended
from tc_core.store.sql import SqlStore
from tc_core.workflows import history
from tc_core.workflows.sql import Prompts, prompts_of
from tc_core.workflows.timing import Span, name_of, spans_of

MOST_RUNS = 20
"""How many earlier runs are looked at."""

MOST_STEPS = 200
"""Of longer rows nothing is said."""

NAMED = frozenset({"agent", "task", "workflow"})
STEPS = NAMED | {"llm_call", "tool", "retrieval"}


class Proof(NamedTuple):
    """Why one step did not need another one."""

    by: str
    """`content`: all that it was asked was there before, or is the same in other runs; `overlap`: they ran at once."""
    runs: int
    """In how many runs that was seen."""


@dataclass(frozen=True, slots=True)
class Independent:
    """Steps that ran one after the other, none of which needed what the others brought."""

    steps: tuple[Node, ...]
    proofs: tuple[Proof, ...]
    saved_us: int
    """What all took together, less what the longest took."""


class Earlier:
    """What the runs before one have shown."""

    def __init__(self, store: SqlStore, workflow_id: str, root: Node) -> None:
        before = [
            each.event
            for each in history.runs(store, workflow_id, limit=MOST_RUNS + 1)
            if each.event.event_id != root.event.event_id
            and ended(each.event) <= root.event.timestamp + timedelta(milliseconds=1)
        ]
        self.trees = [history.subtree(store, event) for event in before[:MOST_RUNS]]
        self._at_once = [_pairs_at_once(each) for each in self.trees]
        self._prompts = [prompts_of(store, [node.event.event_id for node in each.walk()]) for each in self.trees]
        self._sent = [_segments(prompts, prompts.parts) for prompts in self._prompts]

    def otherwise(self, step: Node, brought: set[int]) -> list[set[int]]:
        """Return what was sent in those of them in which a step of that name has brought something else.

        What was sent all the same then, does not depend on it. Where it brought the same, that would prove nothing.
        """
        found = []
        for root, prompts, sent in zip(self.trees, self._prompts, self._sent, strict=True):
            alike = [node for node in root.walk() if name_of(node) == name_of(step)]
            other = set().union(*(produced(prompts, each) for each in alike))
            if other and not other & brought:
                found.append(sent)
        return found

    def overlaps(self, first: Node, second: Node) -> int:
        """Return in how many of them steps of these names were at work at the same time, under the same step."""
        if first.event.event_type not in NAMED or second.event.event_type not in NAMED:
            return 0  # the name of a model does not say which call is meant
        names = frozenset((name_of(first), name_of(second)))
        return sum(names in pairs for pairs in self._at_once)


def independent_steps(store: SqlStore, workflow_id: str, root: Node) -> list[Independent]:
    """Return groups of neighbouring steps that could have run at once, by the time that would have saved."""
    spans = spans_of(root)
    rows = [row for node in root.walk() for row in [_one_after_another(node, spans)] if len(row) > 1]
    if not rows:
        return []
    earlier = Earlier(store, workflow_id, root)
    prompts = prompts_of(store, [node.event.event_id for node in root.walk()])
    proving = _Proving(root, spans, prompts, earlier)
    found = [group for row in rows for group in _groups(row, spans, proving)]
    return sorted(found, key=lambda group: -group.saved_us)


class _Proving:
    def __init__(self, root: Node, spans: Mapping[str, Span], prompts: Prompts, earlier: Earlier) -> None:
        self._root, self._spans, self._prompts, self._earlier = root, spans, prompts, earlier
        self._known: dict[str, _Facts] = {}

    def of(self, first: Node, second: Node) -> Proof | None:
        """Return why the second step did not need the first, or None where nothing proves that."""
        one, two = self._facts(first), self._facts(second)
        if two.asked & one.brought:
            return None
        at_once = self._earlier.overlaps(first, second)
        if at_once:
            return Proof("overlap", at_once)
        if not two.is_known or not one.brought:
            return None
        new = two.asked - one.before - one.asked - two.brought
        runs = sum(new <= sent for sent in one.otherwise)
        return Proof("content", runs) if runs else None

    def _facts(self, step: Node) -> "_Facts":
        known = self._known.get(step.event.event_id)
        if known is None:
            known = self._known[step.event.event_id] = _Facts(self, step)
        return known

    def is_known(self, step: Node) -> bool:
        """Tell whether all that a step's models were asked, and its tools given, is known."""
        calls = _calls(step)
        is_asked = bool(calls) and all(call in self._prompts.parts for call in calls)
        return is_asked and all(self._was_asked_by_a_model(node, step) for node in step.walk())

    def there_before(self, step: Node) -> set[int]:
        """Return what had been sent or put out before a step began."""
        began = self._spans[step.event.event_id].start_us
        done = [node.event.event_id for node in self._root.walk() if self._spans[node.event.event_id].end_us <= began]
        brought: set[int] = set().union(*(self._prompts.produced.get(event_id, ()) for event_id in done))
        return brought | _segments(self._prompts, done)

    def otherwise(self, step: Node, brought: set[int]) -> list[set[int]]:
        """Return what was sent in each earlier run in which a step brought something else."""
        return self._earlier.otherwise(step, brought)

    def asked(self, step: Node) -> set[int]:
        """Return what the models in a step were sent."""
        return _segments(self._prompts, _calls(step))

    def brought(self, step: Node) -> set[int]:
        """Return what a step has put out."""
        return produced(self._prompts, step)

    def _was_asked_by_a_model(self, node: Node, step: Node) -> bool:
        """Tell whether what a tool, a retriever or an embedding was given is known: a model in the step has asked."""
        if node.event.event_type not in ("tool", "retrieval", "embedding"):
            return True
        began = self._spans[node.event.event_id].start_us
        return any(
            each.event.event_type == "llm_call" and self._spans[each.event.event_id].end_us <= began
            for each in step.walk()
        )


class _Facts:
    """What is known of a step, as segments: each found out when it is first needed, since most pairs fail at once."""

    def __init__(self, proving: _Proving, step: Node) -> None:
        self._proving, self._step = proving, step
        self.asked = proving.asked(step)
        self.brought = proving.brought(step)

    @cached_property
    def before(self) -> set[int]:
        """What had been sent or put out before it began."""
        return self._proving.there_before(self._step)

    @cached_property
    def otherwise(self) -> list[set[int]]:
        """What was sent in each earlier run in which it brought something else."""
        return self._proving.otherwise(self._step, self.brought)

    @cached_property
    def is_known(self) -> bool:
        """Whether all that its models were asked, and its tools given, is known."""
        return self._proving.is_known(self._step)


def _groups(row: Sequence[Node], spans: Mapping[str, Span], proving: _Proving) -> Iterable[Independent]:
    """Yield the longest groups of neighbours each of which is proven not to need any before it in the group."""
    group, proofs = [row[0]], list[Proof]()
    for node in [*row[1:], None]:
        proven = [] if node is None else list(takewhile(bool, (proving.of(each, node) for each in group)))
        if node is not None and len(proven) == len(group):
            group.append(node)
            proofs += [proof for proof in proven if proof is not None]
            continue
        if len(group) > 1:
            lengths = [spans[each.event.event_id].length_us for each in group]
            yield Independent(tuple(group), tuple(proofs), sum(lengths) - max(lengths))
        group, proofs = [node] if node is not None else [], []


def _one_after_another(node: Node, spans: Mapping[str, Span]) -> list[Node]:
    """Return the steps right below an event where each began after the one before had ended."""
    steps = [child for child in node.children if child.event.event_type in STEPS and child.event.status == "ok"]
    steps = [step for step in steps if spans[step.event.event_id].length_us > 0]
    steps.sort(key=lambda step: spans[step.event.event_id])
    ends = [spans[step.event.event_id].end_us for step in steps]
    starts = [spans[step.event.event_id].start_us for step in steps[1:]]
    if len(steps) > MOST_STEPS:
        return []
    return steps if all(end <= start for end, start in zip(ends, starts, strict=False)) else []


def _pairs_at_once(root: Node) -> set[frozenset[str]]:
    """Return the names of steps under the same step that were at work at the same time, two by two."""
    spans, found = spans_of(root), set[frozenset[str]]()
    for node in root.walk():
        steps = [child for child in node.children if child.event.event_type in NAMED]
        steps.sort(key=lambda step: spans[step.event.event_id])
        working: list[Node] = []
        for step in steps:
            began = spans[step.event.event_id].start_us
            working = [each for each in working if spans[each.event.event_id].end_us > began]
            found |= {frozenset((name_of(each), name_of(step))) for each in working}
            working.append(step)
    return found


def _calls(step: Node) -> list[str]:
    return [node.event.event_id for node in step.walk() if node.event.event_type == "llm_call"]


def produced(prompts: Prompts, step: Node) -> set[int]:
    """Return the segments that a step, or anything in it, has put out."""
    return set().union(*(prompts.produced.get(node.event.event_id, ()) for node in step.walk()))


def _segments(prompts: Prompts, event_ids: Iterable[str]) -> set[int]:
    return {part.segment for event_id in event_ids for part in prompts.parts.get(event_id, ())}
