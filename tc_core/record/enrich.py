"""The steps that complete a record on the writer's thread, in the order of `DEFAULT_STEPS`."""

import json
from collections.abc import Sequence

from tc_core.meter import prices, tokens
from tc_core.model.event import CALL_TYPES, UsageSource
from tc_core.model.usage import Usage
from tc_core.record.call import OpenCall, Segment, segments

# What chat formats add around the texts, as OpenAI documents it for its models.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_REPLY = 3

_WEAKNESS: dict[UsageSource, int] = {"exact": 0, "proxy": 1, "estimate": 2}


def count_missing_tokens(call: OpenCall) -> None:
    """Estimate the usage of a call whose provider reported none, and say that it is an estimate.

    A failed call that brought no answer stays without usage: providers do not bill it.
    """
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
        written = _count(call.output or (), model)
    record.usage = Usage(read.tokens, written.tokens if record.event_type == "llm_call" else 0)
    record.usage_source = _weakest([read, written])


def price(call: OpenCall) -> None:
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
    )
    if found is not None:
        record.cost_nanos, record.price_source, record.price_date = found


DEFAULT_STEPS = (count_missing_tokens, price)


def count_prompt(parts: Sequence[Segment], model: str | None) -> tokens.Count:
    """Count what a request weighs: its texts, and what the chat format adds to them."""
    counted = _count(parts, model)
    messages = sum(part.kind != "tool_schema" for part in parts)
    return tokens.Count(counted.tokens + messages * TOKENS_PER_MESSAGE + TOKENS_PER_REPLY, counted.source)


def _count(parts: Sequence[Segment], model: str | None) -> tokens.Count:
    counts = [tokens.count(_text(part.body), model) for part in parts]
    if not counts:
        return tokens.Count(0, tokens.count("", model).source)
    return tokens.Count(sum(count.tokens for count in counts), _weakest(counts))


def _weakest(counts: Sequence[tokens.Count]) -> UsageSource:
    return max((count.source for count in counts), key=_WEAKNESS.__getitem__)


def _text(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
