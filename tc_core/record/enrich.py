"""The steps that complete a record on the writer's thread, in the order of `METERING`."""

import json
from collections.abc import Mapping, Sequence

from tc_core.meter import corrections, images, messages, prices, tokens
from tc_core.model.event import CALL_TYPES
from tc_core.model.part import Part
from tc_core.model.segment import Segment, segments
from tc_core.model.usage import Usage, are_counts, is_count
from tc_core.record.guard import faults
from tc_core.record.pending import PendingEvent
from tc_core.record.reports import read_reports


def drop_impossible_counts(call: PendingEvent) -> None:
    """Take what cannot be a number of tokens for unknown, whoever reported it."""
    usage = call.record.usage
    if usage is None or are_counts(usage):
        return
    faults.note("usage: what is no number of tokens")
    known = Usage(*(count if is_count(count) else None for count in usage))
    call.record.usage = None if known.input_tokens is None and known.output_tokens is None else known
    if call.record.usage is None:
        call.record.usage_source = None


def count_missing_tokens(call: PendingEvent) -> None:
    """Estimate the usage of a call whose provider reported none, and say that it is an estimate.

    A failed call that brought no answer stays without usage: providers do not bill it. Counts that a report has which
    is not whole stay as they are, and the whole is no more than an estimate.
    """
    _estimate(call)
    known, record = call.known, call.record
    if known is None or record.status == "abandoned":
        return
    told = {name: count for name, count in known._asdict().items() if count is not None}
    if told:
        record.usage = (record.usage or Usage())._replace(**told)
        record.usage_source = "estimate"


def _estimate(call: PendingEvent) -> None:
    record = call.record
    if record.usage is not None or record.event_type not in CALL_TYPES or record.status == "abandoned":
        return
    if record.status == "error" and not call.output_characters:
        return
    model = record.served_model or record.model
    if call.content is None:
        if call.input_characters is None:
            return
        read = tokens.Count(tokens.from_characters(call.input_characters), "estimate")
        written = tokens.Count(tokens.from_characters(call.output_characters or 0), "estimate")
    else:
        count_input = count_prompt if record.event_type == "llm_call" else _count
        read = count_input(segments(call.content), model)
        written = _count(segments(call.output), model)
    record.usage = Usage(read.tokens, written.tokens if record.event_type == "llm_call" else 0)
    record.usage_source = tokens.weakest([read, written])


def learn_correction(call: PendingEvent) -> None:
    """Learn from a prompt whose tokens the provider reported how the proxy of its model errs."""
    record = call.record
    if record.usage_source != "provider" or record.usage is None or call.content is None:
        return
    model, reported = record.served_model or record.model, record.usage.input_tokens
    if any(part.kind in _NEVER_EXACT for part in segments(call.content)):
        return  # what is left over is not the tokenizer's
    if model is None or not reported or tokens.has_own(model):
        return
    factor = corrections.factor(model)
    counted = count_prompt(segments(call.content), model)
    if counted.source == "proxy":
        corrections.learn(model, round(counted.tokens / factor), reported)


def price(call: PendingEvent) -> None:
    """Give a call its cost, if its model has a known price on that day."""
    record = call.record
    model = record.model or record.served_model
    if record.cost_nanos is not None or record.usage is None or model is None:
        return
    found = prices.price_of(
        record.usage,
        model,
        served_model=record.served_model,
        provider=record.provider,
        service_tier=record.service_tier,
        at_us=record.at_us,
        charges=record.charges,
    )
    if found is not None:
        record.cost_nanos, record.price_source, record.price_date, record.charges_nanos = found


METERING = Part(
    name="metering", steps=(read_reports, drop_impossible_counts, count_missing_tokens, learn_correction, price)
)


def count_prompt(parts: Sequence[Segment], model: str | None) -> tokens.Count:
    """Count what a request weighs: its texts, and what the chat format adds to them."""
    schemas = [part for part in parts if part.kind == "tool_schema"]
    texts = [part for part in parts if part.kind != "tool_schema"]
    counts = [_count(texts, model), *(_count_tools(part.body, model) for part in schemas)]
    total = (
        sum(count.tokens for count in counts)
        + sum(part.kind != "image" for part in texts) * (messages.PER_MESSAGE + messages.PER_ROLE)
        + messages.PER_REPLY
    )
    return tokens.Count(total, tokens.weakest(counts))


def _count_tools(body: object, model: str | None) -> tokens.Count:
    if isinstance(body, list) and all(isinstance(tool, Mapping) for tool in body):
        return messages.count_tools(body, model)
    return tokens.count(_text(body), model)


def _count(parts: Sequence[Segment], model: str | None) -> tokens.Count:
    counts = [_count_part(part, model) for part in parts]
    if not counts:
        return tokens.Count(0, tokens.count("", model).source)
    return tokens.Count(sum(count.tokens for count in counts), tokens.weakest(counts))


def _count_part(part: Segment, model: str | None) -> tokens.Count:
    """Count one part; an image and a model's thoughts, which are told as a summary, are never counted exactly."""
    if part.kind == "image":
        return tokens.Count(images.count(part.body, model), "estimate")
    count = tokens.count(_text(part.body), model)
    return tokens.Count(count.tokens, "estimate") if part.kind in _NEVER_EXACT else count


_NEVER_EXACT = frozenset({"image", "reasoning"})


def _text(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
