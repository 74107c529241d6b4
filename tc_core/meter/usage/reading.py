"""From what a provider reports to our values."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tc_core.meter.usage import stated
from tc_core.meter.usage.charges import charges
from tc_core.meter.usage.counts import Counts
from tc_core.meter.usage.extraction import extract
from tc_core.meter.usage.iterations import Steps, add_steps
from tc_core.meter.usage.possible import possible
from tc_core.meter.usage.spelling import spell
from tc_core.meter.usage.totals import complete
from tc_core.model.usage import Usage

_EMBEDDINGS = ("list", "embedding", "embeddings")
"""What bodies of embeddings call themselves."""


class Reading(NamedTuple):
    """What one answer reports of its own cost.

    `charges` are those of `tc_core.meter.usage.charges`. `billed_nanos` is the cost that the provider itself states.
    `by_other_models` is what other models did for this answer, which `usage` leaves out (an advisor of Anthropic's).
    `faults` say in words, never with a value, what could not be read; with `is_possible` the rest is what the provider
    reports, without it no more than an estimate.
    """

    usage: Usage
    charges: Mapping[str, int | float] = MappingProxyType({})
    service_tier: str | None = None
    inference_geo: str | None = None
    billed_nanos: int | None = None
    provider: str | None = None
    model: str | None = None
    by_other_models: tuple[tuple[str, Usage], ...] = ()
    is_possible: bool = True
    faults: tuple[str, ...] = ()
    cache_reason: str | None = None
    """Why the provider says that its prompt cache was missed."""

    @property
    def is_whole(self) -> bool:
        """Whether input and output are both told, and can be true: no other reading is the provider's."""
        return self.is_possible and self.usage.total_tokens is not None


def read(
    part: object, *, provider: str | None = None, model: str | None = None, is_embedding: bool = False
) -> Reading | None:
    """Return what a part of a body reports; None where it reports nothing.

    `part` is what `usage_part` returned, also through a spool's JSON. `provider`, `model` and `is_embedding` are what
    the caller knows; they decide only where a body does not say which of two ways of counting it follows.
    """
    if type(part) is not dict or type(part.get("usage")) is not dict:
        return None
    found: dict[str, Any] = part
    counts = Counts(found["usage"])
    told_model = _word(found.get("model")) or model
    provider = provider or _word(found.get("provider"))
    spelled = spell(counts)
    faults = counts.faults
    if found.get("is_cut"):
        faults.append("the report is too big")
    reported = {} if spelled is None else extract(spelled)
    usage, is_possible = Usage(), True
    steps = Steps(usage)
    if spelled is not None:
        maker = f"{provider} {told_model}".lower()
        has_output = not is_embedding and found.get("object") not in _EMBEDDINGS
        usage = complete(_usage(reported), spelled, has_output=has_output, maker=maker, faults=faults)
        before = len(faults)
        steps = add_steps(usage, found["usage"].get("iterations"), told_model, faults)
        usage = possible(steps.usage, spelled.usage.get("total_tokens"), faults)
        is_possible = len(faults) == before and not (found.get("is_cut") or found.get("is_partial"))
    reading = Reading(
        usage,
        charges(found, reported, told_model),
        stated.service_tier(found),
        stated.inference_geo(found),
        stated.billed_nanos(found, faults),
        provider,
        told_model,
        tuple(steps.by_other_models),
        is_possible,
        tuple(dict.fromkeys(faults)),
        _word(found.get("cache_reason")),
    )
    says_nothing = usage.input_tokens is None and usage.output_tokens is None
    return None if says_nothing and not (reading.charges or reading.billed_nanos or faults) else reading


def _usage(reported: Mapping[str, Any]) -> Usage:
    return Usage(
        reported.get("input_tokens"),
        reported.get("output_tokens"),
        reported.get("cache_read_tokens"),
        reported.get("cache_write_tokens"),
        reported.get("output_reasoning_tokens"),
        reported.get("input_audio_tokens"),
        reported.get("output_audio_tokens"),
        reported.get("cache_write_1h_tokens"),
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
