"""What patterns say to people, in the terminal and in the browser alike."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rich.text import Text

from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.waste import Waste
from tc_core.model import written

NAMES: Mapping[str, tuple[str, str]] = {
    "retry_storm": ("retry storm", "retry storms"),
    "duplicate": ("duplicate", "duplicates"),
    "agent_loop": ("agent loop", "agent loops"),
    "near_duplicate": ("near duplicate", "near duplicates"),
    "cache_break": ("cache break", "cache breaks"),
    "cycle": ("cycle", "cycles"),
    "deep_chain": ("deep chain", "deep chains"),
    "expensive": ("expensive one", "expensive ones"),
    "fan_out": ("wide fan-out", "wide fan-outs"),
}
"""What kinds are called, one and several."""

COLOURS: Mapping[str, str] = {"high": "red", "medium": "yellow", "low": ""}

"""By severity, in the words of `rich`."""


def title(found: Waste, asked: Collection[str]) -> Text:
    """Return the sentence that says what was wasted in all; `asked` are the kinds asked for."""
    if not found.events:
        return Text("No event is recorded there.")
    if not found.patterns:
        names = " or ".join(NAMES[each][0] for each in asked)
        return Text(f"No {names} was found." if names else "No waste was found, and nothing that stands out.")
    kinds: dict[str, list[Pattern]] = {}
    for each in found.patterns:
        kinds.setdefault(each.kind, []).append(each)
    costs = {kind: sum(each.cost_nanos or 0 for each in group) for kind, group in kinds.items()}
    parts = []
    for kind, group in sorted(kinds.items(), key=lambda item: -costs[item[0]]):
        name = NAMES[kind][len(group) > 1]
        parts.append(f"{len(group):,} {name}" + (f" {written.usd(costs[kind])}" if costs[kind] else ""))
    if found.wasted_nanos:
        line = Text(f"{written.usd(found.wasted_nanos)} of {written.usd(found.spent_nanos)} was waste", style="bold")
    elif any(each.cost_nanos is None for each in found.patterns):
        line = Text("What was waste has no known price", style="bold")
    else:
        line = Text("No money was wasted, but this stands out", style="bold")
    line.append(f": {', '.join(parts)}.")
    return line


def facts(pattern: Pattern) -> str:
    """Say in a few words what a finding rests on."""
    evidence = pattern.evidence
    say = _SAYINGS.get(pattern.kind)
    return say(evidence) if say is not None else written.plural(len(pattern.event_ids), "event")


def _retries(evidence: Mapping[str, Any]) -> str:
    errors = ", ".join(evidence["errors"])
    end = "then it worked" if evidence["succeeded"] else "and never worked"
    seconds = written.seconds(evidence["seconds"] * 1000)
    return f"{written.plural(evidence['failures'], 'failure')} in {seconds} ({errors}), {end}"


def _loop(evidence: Mapping[str, Any]) -> str:
    if "agents" in evidence:
        return f"{' and '.join(evidence['agents'])} said the same to each other, {evidence['calls']:,} calls"
    tools = ", ".join(evidence["tools"]) or "a tool"
    who = f"{evidence['agent']} asked" if evidence["agent"] else "asked"
    return f"{who} {tools} the same {evidence['rounds']:,} times, and heard the same"


def _break(evidence: Mapping[str, Any]) -> str:
    calls, whose = written.plural(evidence["events"], "call"), evidence["agent"] or evidence["model"]
    said = f"{calls} of {whose}: {evidence['because']}"
    lost = f", {evidence['lost_tokens']:,} tokens at the full price"
    told = ", ".join(evidence["provider_says"])
    return f"{said}{lost}" + (f"; the provider says {told}" if told else "")


def _cycle(evidence: Mapping[str, Any]) -> str:
    if "agents" not in evidence:
        return f"{written.plural(evidence['events'], 'event')} come from each other"
    return f"{' → '.join(evidence['agents'])}, {written.plural(evidence['times'], 'time')}"


_SAYINGS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "retry_storm": _retries,
    "duplicate": lambda evidence: f"the same prompt to {evidence['model']}, {evidence['times']:,} times",
    "near_duplicate": lambda evidence: f"nearly the same prompt to {evidence['model']}, {evidence['times']:,} times",
    "agent_loop": _loop,
    "cache_break": _break,
    "cycle": _cycle,
    "deep_chain": lambda evidence: (
        f"{evidence['measure']}: {evidence['length']:,}, usually {evidence['usual']:g}, in {evidence['workflow']}"
    ),
    "expensive": lambda evidence: f"a {evidence['what']} of ${evidence['cost']:.4g}, usually ${evidence['usual']:.4g}",
    "fan_out": lambda evidence: (
        f"{evidence['branches']:,} at the same time, usually {evidence['usual']:g}, in {evidence['workflow']}"
    ),
}
