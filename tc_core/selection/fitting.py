"""What speaks against a model: a requirement, or what the calls show that they need. What is unknown is no fit."""

from collections.abc import Iterator

from tc_core.selection.calls import Needs
from tc_core.selection.candidate import Dropped, Latency
from tc_core.selection.facts import ModelFacts
from tc_core.selection.pricing import in_words
from tc_core.selection.quality import Quality, how_sure_above
from tc_core.selection.requirements import Requirements

SURE_ENOUGH = 0.8
"""So probable must it be that outcomes are as good as is asked for."""


def against(
    facts: ModelFacts,
    needs: Needs,
    asked: Requirements,
    *,
    average_cost: float | None,
    latency: Latency | None,
    quality: Quality | None,
) -> list[Dropped]:
    """Return all that speaks against a model; `average_cost` is US dollars of one call."""
    found = [
        *_context(facts, needs, asked),
        *_modalities(facts, needs, asked),
        *_tools(facts, needs, asked),
        *_region(facts, asked),
        *_quality(quality, asked),
    ]
    if needs.thinks and facts.thinks is not True:
        known = "does not think before it answers" if facts.thinks is False else "is not known to think"
        found.append(Dropped("thinking", f"{known}, as the model of the calls does"))
    if asked.max_cost is not None and average_cost is not None and average_cost > asked.max_cost:
        found.append(Dropped("max_cost", f"an average call would cost {in_words(average_cost)}"))
    if asked.max_latency_ms is not None and latency is not None and latency.p95_ms > asked.max_latency_ms:
        takes = "it is said to take" if latency.calls is None else f"95 % of {latency.calls:,} calls took up to"
        found.append(Dropped("max_latency_ms", f"{takes} {latency.p95_ms:,.0f} ms"))
    return found


def _context(facts: ModelFacts, needs: Needs, asked: Requirements) -> Iterator[Dropped]:
    takes, whole = facts.longest_input, facts.context
    if asked.min_context is not None and (takes or 0) < asked.min_context:
        yield Dropped("min_context", _least("takes", takes, asked.min_context))
    if needs.longest_input and (takes or 0) < needs.longest_input:
        yield Dropped("context", _least("takes", takes, needs.longest_input, "the longest prompt has"))
    elif whole is not None and whole < needs.longest_total:
        yield Dropped("context", _least("holds", whole, needs.longest_total, "the longest call has"))
    puts_out, longest = facts.longest_output, needs.longest_output
    if puts_out is not None and puts_out < longest:
        yield Dropped("output", _least("puts out", puts_out, longest, "the longest answer has"))


def _least(does: str, known: int | None, least: int, what: str = "asked for are") -> str:
    if known is None:
        return "nothing is known of how many tokens it takes"
    return f"{does} {known:,} tokens, {what} {least:,}"


def _modalities(facts: ModelFacts, needs: Needs, asked: Requirements) -> Iterator[Dropped]:
    reads, does_not = facts.modalities or frozenset(), _not(facts.modalities is not None, "read", "reads")
    for name in asked.modalities:
        if name != "text" and name not in reads:
            yield Dropped("modalities", f"{does_not} {name}")
    if needs.audio and "audio" not in (*asked.modalities, *reads):
        yield Dropped("modalities", f"{does_not} audio, which the calls have")
    if needs.puts_out_audio:
        yield Dropped("modalities", "is not known to put out audio, which the calls have")


def _tools(facts: ModelFacts, needs: Needs, asked: Requirements) -> Iterator[Dropped]:
    if asked.tools and not facts.tools:
        yield Dropped("tools", f"{_not(facts.tools is not None, 'call', 'calls')} tools")
    elif needs.tools and asked.tools is None and not facts.tools:
        yield Dropped("tools", f"{_not(facts.tools is not None, 'call', 'calls')} tools, which the agent uses")


def _region(facts: ModelFacts, asked: Requirements) -> Iterator[Dropped]:
    if asked.region is None:
        return
    if facts.regions is None:
        yield Dropped("region", "it is not known where it runs")
    elif asked.region not in facts.regions:
        yield Dropped("region", f"runs in {', '.join(sorted(facts.regions))}, not in {asked.region}")


def _quality(quality: Quality | None, asked: Requirements) -> Iterator[Dropped]:
    least = asked.min_quality
    if least is None:
        return
    if quality is None:
        yield Dropped("min_quality", "its quality is unknown")
    elif quality.outcomes is None and quality.value < least:
        yield Dropped("min_quality", f"its quality is {quality.value:.2f}")
    elif quality.outcomes is not None and how_sure_above(quality.outcomes, least) < SURE_ENOUGH:
        rests = f"{quality.value:.2f} in {quality.outcomes.count:,} outcomes"
        yield Dropped("min_quality", f"its quality of {rests} does not show that it is {least:g}")


def _not(is_known: bool, verb: str, does: str) -> str:  # noqa: FBT001  # said in one breath
    return f"does not {verb}" if is_known else f"it is not known whether it {does}"
