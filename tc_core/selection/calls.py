"""The calls that another model would have to answer: recorded ones, or those of a conversation that is given."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tc_core.costs.reading import reader_of
from tc_core.costs.replay import pages
from tc_core.health import forms
from tc_core.health.messages import Entry, size_of
from tc_core.meter import messages as weights
from tc_core.meter import prices
from tc_core.model import clock
from tc_core.model.event import from_us, to_us
from tc_core.model.period import Period
from tc_core.model.ports import CallFacts, Filters
from tc_core.model.totals import Totals
from tc_core.model.usage import Usage
from tc_core.selection.facts import place_of
from tc_core.store.base import StorageBackend

MOST_CALLS = 100_000
"""So many of the latest calls are looked at."""

WINDOW = timedelta(days=30)
"""Without a period, the calls of so long before the last one are meant."""

FROM_A_CACHE = "cache"
"""The source of the price of an answer that no model gave."""


EVERYTHING = Period()


@dataclass(frozen=True, slots=True)
class Needs:
    """What calls show that a model must be able to do; tokens of the longest ones."""

    longest_input: int = 0
    longest_output: int = 0
    longest_total: int = 0
    audio: bool = False
    puts_out_audio: bool = False
    tools: bool = False
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one model; `current_model` is None where there are none and none is named.

    `days` is from how many days they are, None where that is not known; `unpriced` have no price as they are and
    are left out. `monthly_calls` is how many of the kind a month has. `others` are the models and agents that there are
    instead, where no call is as was asked.
    """

    current_model: str | None
    calls: Sequence[CallFacts] = ()
    needs: Needs = Needs()
    days: float | None = None
    monthly_calls: float | None = None
    unpriced: int = 0
    agents: int = 0
    period: Period = EVERYTHING
    is_recorded: bool = True
    has_answers: bool = True
    others: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    """What the current model is called in the records."""
    as_of: Callable[[str], Sequence[CallFacts]] | None = field(default=None, compare=False)
    """Counts the calls anew, as a model counts tokens, where their texts are at hand."""

    def for_model(self, model: str) -> Sequence[CallFacts]:
        """Return the calls with the tokens that a model would count, as far as that can be known."""
        return self.calls if self.as_of is None else self.as_of(model)


def recorded(storage: StorageBackend, agent_id: str | None, model: str | None, span: Period | None) -> Calls:
    """Return the recorded calls of an agent's model, by default of the one that costs most."""
    filters: dict[str, str] = {"event_type": "llm_call"}
    if agent_id is not None:
        filters["agent_id"] = agent_id
    period = span or _latest(storage, filters)
    reader = reader_of(storage)
    by_model = {key[0]: totals for key, totals in reader.totals(("model",), filters, period.start, period.end).items()}
    names = _names(model, by_model)
    if not names:
        known = sorted({each for each in by_model if each is not None})
        if not by_model and agent_id is not None:
            known = sorted({k[0] for k in reader.totals(("agent_id",), {}, period.start, period.end) if k[0]})
        return Calls(model, period=period, others=tuple(known))
    wanted: Filters = {**filters, "model": names[0] if len(names) == 1 else names}
    found: deque[CallFacts] = deque(maxlen=MOST_CALLS)
    unpriced, agents = 0, set[str | None]()
    for page in pages(storage, ("agent_id",), wanted, period, None):
        for call in page:
            if call.cost_nanos is None:
                unpriced += 1
            elif call.price_source != FROM_A_CACHE:
                found.append(call)
                agents.add(call.group[0])
    days = _days(found)
    return Calls(
        model or next(iter(names)),
        calls=found,
        needs=replace(_needs(found), tools=_calls_tools(storage, agents, period)),
        days=days,
        monthly_calls=None if days is None else len(found) * 30 / days,
        unpriced=unpriced,
        agents=len(agents - {None}),
        period=period,
        names=frozenset(names),
    )


def of_conversation(history: Iterable[object], own: Calls) -> Calls:
    """Return the calls of which a conversation is made: one for each answer, or one where there is no answer yet.

    `own` are the recorded calls of its model, of which there may be none: they say how many a month has.

    Tokens are counted as each model counts them, so that a model of another maker is priced by its own.
    """
    entries, model = [forms.read(message) for message in history], own.current_model or ""

    def count(name: str) -> Sequence[CallFacts]:
        return _calls_of(entries, name)

    calls = count(model)
    return Calls(
        model,
        calls=calls,
        needs=replace(_needs(calls), tools=any(entry.calls or entry.role == "tool" for entry in entries)),
        monthly_calls=own.monthly_calls,
        period=own.period,
        is_recorded=False,
        has_answers=any(entry.role == "assistant" for entry in entries),
        names=frozenset({model}),
        as_of=count,
    )


def _latest(storage: StorageBackend, filters: Filters) -> Period:
    """Return the time up to the last call, however long ago that was."""
    found = storage.query_events(filters, limit=1, descending=True)
    return Period(max(event.timestamp for event in found) - WINDOW, None) if found else EVERYTHING


def _names(model: str | None, by_model: Mapping[str | None, Totals]) -> list[str]:
    """Return what the model is called in the records; the price table may know several names for it."""
    if model is None:
        dearest = max(
            (name for name in by_model if name is not None),
            key=lambda name: (by_model[name].known_cost_nanos or 0, by_model[name].calls),
            default=None,
        )
        return [] if dearest is None else [dearest]
    if model in by_model:
        return [model]
    place = place_of(model)
    return [] if place is None else sorted(name for name in by_model if name is not None and place_of(name) == place)


def _calls_tools(storage: StorageBackend, agents: Iterable[str | None], period: Period) -> bool:
    """Tell whether any of some agents has used a tool."""
    return any(
        storage.query_events({"event_type": "tool", "agent_id": agent}, period.start, period.end, limit=1)
        for agent in agents
    )


def _days(calls: Sequence[CallFacts]) -> float | None:
    if not calls:
        return None
    times = [call.at_us for call in calls]
    return max(1.0, (from_us(max(times)) - from_us(min(times))) / timedelta(days=1))


def _needs(calls: Iterable[CallFacts]) -> Needs:
    longest_input = longest_output = longest_total = 0
    audio = puts_out_audio = thinks = False
    for call in calls:
        given, made = call.usage.input_tokens or 0, call.usage.output_tokens or 0
        longest_input, longest_output = max(longest_input, given), max(longest_output, made)
        longest_total = max(longest_total, given + made)
        audio = audio or bool(call.usage.audio_input_tokens)
        puts_out_audio = puts_out_audio or bool(call.usage.audio_output_tokens)
        thinks = thinks or bool(call.usage.reasoning_tokens)
    return Needs(longest_input, longest_output, longest_total, audio, puts_out_audio, thinks=thinks)


def _calls_of(entries: Sequence[Entry], model: str) -> list[CallFacts]:
    found, prompt, at_us = [], weights.PER_REPLY, to_us(clock.now())
    sizes = [size_of(entry, model) for entry in entries]
    for entry, size in zip(entries, sizes, strict=True):
        if entry.role == "assistant":
            found.append(_call(model, at_us, Usage(prompt, size - weights.PER_MESSAGE)))
        prompt += size
    return found or [_call(model, at_us, Usage(prompt, 0))]


def _call(model: str, at_us: int, usage: Usage) -> CallFacts:
    price = prices.price_of(usage, model, at_us=at_us)
    cost = None if price is None else price.cost_nanos
    return CallFacts((None,), at_us, usage, None, cost, model, None, None, None, "estimate", None)
