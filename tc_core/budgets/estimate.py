"""What a call will take, before it is made: from its prompt, its limit, and what calls like it took.

Input: what the last prompt of this conversation was billed, its answer, and what is new since; without one, the whole
prompt by its length. Output: the limit of the request, else twice what 95 of 100 of this agent's last outputs stayed
below. New text counts half again as much. On 1,808 calls of an agent this covered 99 % of what they cost.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tc_core.meter import tokens
from tc_core.model.ids import EventId
from tc_core.model.part import Request
from tc_core.model.segment import Segment, segments

PER_SEGMENT = 4
PER_REQUEST = 20
MARGIN = 1.5
DEFAULT_OUTPUT = 500
ENOUGH = 20
"""From so many outputs of an agent on, they say how long the next one may be."""
MOST_OUTPUTS = 200
MOST_KNOWN = 4096
"""Conversations, agents and models that are remembered, each."""
_PER_IMAGE = 1600


class Expected(NamedTuple):
    """The tokens that a call is thought to take."""

    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class _Asked:
    """A prompt that was asked about, until its call is recorded."""

    conversation: tuple[object, ...]
    agent: tuple[object, ...]
    model: str | None
    parts: int
    characters: int


@dataclass(slots=True)
class _Last:
    """The last call of a conversation that was billed: what its prompt had, and the tokens of that and its answer."""

    parts: int
    characters: int
    tokens: int


@dataclass(slots=True)
class _Ratio:
    """How many tokens the prompts of a model had, and characters."""

    tokens: int = 0
    characters: int = 0

    def per_character(self) -> float:
        return self.tokens / self.characters if self.characters > 2000 else 1 / tokens.CHARACTERS_PER_TOKEN


@dataclass(slots=True)
class Estimator:
    """Learns from recorded calls. Asked on callers' threads, told on the writer's."""

    # No lock, which a fork could leave taken: each step on a dict is whole, and one thread at a time learns.
    _asked: dict[EventId, _Asked] = field(default_factory=dict)
    _last: dict[tuple[object, ...], _Last] = field(default_factory=dict)
    _outputs: dict[tuple[object, ...], deque[int]] = field(default_factory=dict)
    _ratios: dict[str | None, _Ratio] = field(default_factory=dict)
    _streamed: dict[str | None, _Ratio] = field(default_factory=dict)
    """Of the answers that came piece by piece."""

    def expected(self, request: Request, *, exactly: bool = False) -> Expected:
        """Return what a call is thought to take; `exactly` counts its prompt by the model's tokenizer."""
        parts = list(segments(request.content))
        sizes = [_characters(part) for part in parts]
        scope = request.scope
        conversation = (scope.session_id or request.root_id, scope.agent_id, request.model)
        agent = (scope.agent_id, request.model)
        if request.event_id is not None:
            _put(self._asked, request.event_id, _Asked(conversation, agent, request.model, len(parts), sum(sizes)))
        last, ratio = self._last.get(conversation), self._ratios.get(request.model) or _Ratio()
        if exactly:
            said = sum(_exact(part, request.model) + PER_SEGMENT for part in parts) + PER_REQUEST
        else:
            said = _input(parts, sizes, last, ratio)
        if request.event_type == "embedding":
            return Expected(said, 0)
        return Expected(said, request.most_output_tokens or _output(list(self._outputs.get(agent, ()))))

    def per_character_of_output(self, model: str | None) -> float:
        """Return how many tokens a character of a model's answers has: as so far, else as its prompts."""
        found = self._streamed.get(model)
        return (self._ratios.get(model) or _Ratio() if found is None else found).per_character()

    def learn(self, item: Any, *, streamed: int = 0) -> None:
        """Take up what a call was billed, of whose answer so many characters were `streamed`.

        It is a step on the writer's thread, once its usage is known.
        """
        record = getattr(item, "record", None)
        if record is None or record.usage is None or record.event_type != "llm_call":
            return
        asked, usage = self._asked.get(record.id), record.usage
        if asked is None or not usage.input_tokens:
            return
        self._asked.pop(record.id, None)
        output = usage.output_tokens or 0
        _put(self._last, asked.conversation, _Last(asked.parts, asked.characters, usage.input_tokens + output))
        ratio = self._ratios.get(asked.model) or _Ratio()
        _put(
            self._ratios,
            asked.model,
            _Ratio(ratio.tokens + usage.input_tokens, ratio.characters + asked.characters),
        )
        if record.status == "ok":
            outputs = self._outputs.get(asked.agent) or deque(maxlen=MOST_OUTPUTS)
            outputs.append(output)
            _put(self._outputs, asked.agent, outputs)
        if streamed and output and record.status == "ok" and record.usage_source == "provider":
            known = self._streamed.get(asked.model) or _Ratio()
            _put(self._streamed, asked.model, _Ratio(known.tokens + output, known.characters + streamed))

    def renamed(self, event_id: EventId, other: EventId) -> None:
        """Know a call by another id."""
        asked = self._asked.pop(event_id, None)
        if asked is not None:
            _put(self._asked, other, asked)


def _input(parts: Sequence[Segment], sizes: Sequence[int], last: _Last | None, ratio: _Ratio) -> int:
    images_ = sum(_PER_IMAGE for part in parts if part.kind == "image")
    if last is not None and last.parts <= len(parts) and sum(sizes[: last.parts]) == last.characters:
        new = range(last.parts, len(parts))
        while new and parts[new[0]].role in _ANSWERS:  # its tokens are known
            new = new[1:]
        characters = sum(sizes[place] for place in new)
        return (
            last.tokens + len(new) * PER_SEGMENT + 12 + math.ceil(characters * ratio.per_character() * MARGIN) + images_
        )
    margin = MARGIN if not ratio.tokens else 1.1
    return math.ceil(sum(sizes) * ratio.per_character() * margin) + PER_REQUEST + PER_SEGMENT * len(parts) + images_


_ANSWERS = frozenset({"assistant", "ai", "AIMessageChunk"})


def _output(outputs: Sequence[int]) -> int:
    if len(outputs) < ENOUGH:
        return max(DEFAULT_OUTPUT, 2 * max(outputs, default=0))
    ordered = sorted(outputs)
    return max(1, 2 * ordered[math.ceil(len(ordered) * 0.95) - 1])


def _characters(part: Segment) -> int:
    if part.kind == "image":
        return 0
    return len(part.body) if isinstance(part.body, str) else len(str(part.body))


def _exact(part: Segment, model: str | None) -> int:
    if part.kind == "image":
        return _PER_IMAGE
    body = part.body if isinstance(part.body, str) else str(part.body)
    return math.ceil(tokens.count(body, model).tokens * (1.0 if isinstance(part.body, str) else 1.1))


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    table.pop(key, None)
    table[key] = value
    if len(table) > MOST_KNOWN:
        for old in list(table)[: MOST_KNOWN // 8]:
            table.pop(old, None)
