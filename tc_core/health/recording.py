"""Following recorded conversations: texts are looked at in memory after the commit, and only scores are kept.

A conversation is known by its session, its agent and its beginning. A prompt that goes on from the last one brings only
what is new; one that does not (it was compressed, or another began alike) is looked at from its beginning.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from tc_core.health.injection import risk_of
from tc_core.health.messages import ROLES, Entry, ToolCall
from tc_core.health.monitor import window_of
from tc_core.health.signals.watch import Watch
from tc_core.health.similarity import Lexical
from tc_core.health.sql import Scores, write
from tc_core.health.status import HealthThresholds, Window, status_of
from tc_core.health.tables import STATES
from tc_core.ledger.canonical import canonical_json
from tc_core.meter import tokens
from tc_core.model.event import EventRecord
from tc_core.model.ids import EventId
from tc_core.model.part import Texts
from tc_core.model.segment import Segment
from tc_core.store.sql import SqlStore

MOST_CONVERSATIONS = 256
MOST_MESSAGES = 50_000
"""Conversations beyond these are followed from anew."""
MOST_PASSAGES = 64
MOST_WINDOWS = 256
_UNSEEN = frozenset({"image", "reasoning"})


class _Conversation:
    def __init__(self) -> None:
        self.watch = Watch(Lexical())
        self.seen: list[int] = []
        self.prompt = 0
        """How much of what was seen is the last prompt; behind it comes its answer."""


class Recording:
    """Follows the conversations of a store, on one thread."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._conversations: OrderedDict[tuple[object, ...], _Conversation] = OrderedDict()
        self._windows: dict[str, Window] = {}
        self._suspects: OrderedDict[str, str] = OrderedDict()
        """Sentences of passages that read like instructions, and who brought them: prompts may hold them."""
        self._limits = HealthThresholds()

    def after(self, texts: Sequence[Texts]) -> None:
        """Follow some events, and keep the scores of the model calls among them. Raises StorageError."""
        found: dict[EventId, Scores] = {}
        for each in texts:
            if each.record.event_type == "retrieval":
                self._judge(each)
            elif each.record.event_type == "llm_call" and each.prompt:
                found[each.record.id] = self._scores(each)
        write(self._store, found)

    def _judge(self, texts: Texts) -> None:
        for _, kind, body in texts.output:
            if kind not in _UNSEEN and isinstance(body, str):
                for said in risk_of(body).sentences:
                    self._suspects[said] = texts.record.name or "a document"
        while len(self._suspects) > MOST_PASSAGES:
            self._suspects.popitem(last=False)

    def _scores(self, texts: Texts) -> Scores:
        record = texts.record
        model = record.served_model or record.model or ""
        conversation = self._follow(record, texts.prompt, texts.output)
        watch, usage = conversation.watch, record.usage
        used = watch.tokens
        if usage is not None and usage.input_tokens:
            used = usage.input_tokens + (usage.output_tokens or 0)
        found = status_of(watch, self._window(model), used, 0.0, self._limits)
        return Scores(
            STATES.index(found.status),
            len(conversation.seen),
            used,
            None if found.context_usage is None else round(10 * found.context_usage),
            round(10 * found.rot_percentage),
            *(round(1000 * found.signals[name]) for name in _SHARES),
        )

    def _follow(self, record: EventRecord, prompt: Sequence[Segment], output: Sequence[Segment]) -> _Conversation:
        said = [(segment, _mark(segment)) for segment in prompt if segment.kind not in _UNSEEN]
        marks = [mark for _, mark in said]
        beginning = tuple(mark for segment, mark in said if segment.kind != "tool_schema")[:2]
        key = (record.scope.session_id, record.scope.agent_id, beginning)
        known = self._conversations.get(key)
        if known is not None and marks[: known.prompt] == known.seen[: known.prompt] and len(marks) < MOST_MESSAGES:
            start = (
                len(known.seen) if marks[: len(known.seen)] == known.seen else known.prompt + _answered(marks, known)
            )
        else:
            known, start = _Conversation(), 0
        self._conversations[key] = known
        self._conversations.move_to_end(key)
        if len(self._conversations) > MOST_CONVERSATIONS:
            self._conversations.popitem(last=False)
        self._add(known.watch, (segment for segment, _ in said[start:]))
        known.seen, known.prompt = marks, len(marks)
        answer = [segment for segment in output if segment.kind not in _UNSEEN]
        self._add(known.watch, answer)
        known.seen = marks + [_mark(segment) for segment in answer]
        return known

    def _add(self, watch: Watch, segments: Iterable[Segment]) -> None:
        """Feed what is new. Sizes go by length: they only tell shares, and what was billed is recorded."""
        for segment in segments:
            if segment.kind == "tool_schema":
                size = tokens.from_characters(len(canonical_json(segment.body)))
                watch.overhead_tokens += size
                watch.tokens += size
                continue
            entry = _entry(segment)
            entry.size = tokens.from_characters(len(entry.text) + sum(len(call.arguments) for call in entry.calls))
            watch.add(entry)
            if entry.role in ("user", "system"):
                for sentence, source in self._suspects.items():
                    if sentence in entry.text:
                        watch.judge(sentence, source)

    def _window(self, model: str) -> Window:
        known = self._windows.get(model)
        if known is None:
            if len(self._windows) >= MOST_WINDOWS:
                self._windows.clear()
            known = self._windows[model] = window_of(model)
        return known


_SHARES = ("repetition", "topic_coherence", "injection_risk", "staleness", "overhead_share")


def _answered(marks: Sequence[int], known: _Conversation) -> int:
    """Return how many segments of a prompt stand where the last answer does, though they read differently."""
    return min(len(known.seen) - known.prompt, len(marks) - known.prompt)


def _entry(segment: Segment) -> Entry:
    role, kind, body = segment
    if kind == "tool_call":
        name, arguments = body
        return Entry("assistant", "", (ToolCall(None, str(name), canonical_json(arguments)),))
    text = body if isinstance(body, str) else canonical_json(body)
    return Entry("tool" if kind == "tool_result" else ROLES.get(role, "user"), text)


def _mark(segment: Segment) -> int:
    role, kind, body = segment
    if kind == "tool_schema":
        return hash(kind)  # schemas come first, and are weighed once
    if kind == "tool_call":
        return hash((kind, body[0], canonical_json(body[1])))
    return hash((ROLES.get(role, "user"), kind, body.strip() if isinstance(body, str) else canonical_json(body)))
