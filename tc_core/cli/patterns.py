"""`token-calc patterns`: what was paid for and not needed."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.lineage import find
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.waste import Waste
from tc_core.model import money

MOST = 20
MOST_OF_A_KIND = 4
"""So many of each kind, where there are several kinds."""
MOST_NAMED = 5

_NAMES = {
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
_COLOURS = {"high": "red", "medium": "yellow", "low": ""}


def patterns(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="`last`, a run or event by id or the end of one, or a name.", show_default=False
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only these, such as duplicate; can be given again."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this agent's calls.", show_default=False)
    ] = None,
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what was waste: retries, duplicates, loops, cache breaks, and what stands out.

    Example: token-calc patterns --since this-week
    """
    with common.told():
        source = common.open_store(store)
        asked: dict[str, Any] = {
            "event_id": None if what is None else find.run_id(source, what),
            "agent_id": agent,
            "start_date": since,
            "end_date": until,
            "filters": filters_of(where or []),
            "tz": common.zone(tz),
        }
        found = ProvenanceAnalyzer(source).waste(kinds or None, **asked)
        if as_json:
            text.print_json(found.to_dict())
            return
        print_waste(found, kinds or ())
        if found.patterns:
            first = found.patterns[0]
            event = next(iter(first.wasted_nanos), first.event_ids[-1])
            common.print_hint(f"token-calc tree {event[-8:]}", "the run of the first of them", store)


def print_waste(found: Waste, kinds: Collection[str] = ()) -> None:
    """Print what was wasted in all, and each finding with its evidence and advice; `kinds` are those asked for."""
    console = text.console()
    console.print(_title(found, kinds))
    shown, hidden = _chosen(found.patterns)
    for each in shown:
        console.print()
        _print_pattern(console, each)
    if hidden:
        said = ", ".join(f"{count:,} more of --kind {kind}" for kind, count in hidden.items())
        console.print(Text(f"\nand {said} (--json has all)", style="dim"))
    for advice in [each for each in found.recommendations if each.monthly_savings][:MOST_NAMED]:
        saved = text.usd(money.to_nanos(advice.monthly_savings or 0))
        console.print(Text(f"\n{advice.title}: {saved} a month at this rate", style="dim"))


def _chosen(patterns: Sequence[Pattern]) -> tuple[list[Pattern], Counter[str]]:
    """Return those to show, some of each kind where there are several, and how many of each are not."""
    kinds = {each.kind for each in patterns}
    shown: list[Pattern] = []
    counts: Counter[str] = Counter()
    for each in patterns:
        counts[each.kind] += 1
        if counts[each.kind] <= (MOST_OF_A_KIND if len(kinds) > 1 else MOST):
            shown.append(each)
    return shown, counts - Counter(each.kind for each in shown)


def _print_pattern(console: Console, pattern: Pattern) -> None:
    line = Text(_NAMES[pattern.kind][0], style=_COLOURS[pattern.severity] or "bold")
    line.append(f"  {_facts(pattern)}", style="")
    if pattern.cost_nanos:
        line.append(f"  {text.usd(pattern.cost_nanos)}", style="bold")
    elif pattern.cost_nanos is None:
        line.append("  unpriced", style="yellow")
    console.print(line)
    console.print(Text(f"  {pattern.advice}", style="dim"))
    ids = "  ".join(event_id[-8:] for event_id in pattern.event_ids[:MOST_NAMED])
    rest = len(pattern.event_ids) - MOST_NAMED
    console.print(Text(f"  events {ids}" + (f"  and {rest:,} more" if rest > 0 else ""), style="dim"))


def _title(found: Waste, asked: Collection[str]) -> Text:
    if not found.events:
        return Text("No event is recorded there.")
    if not found.patterns:
        names = " or ".join(_NAMES[each][0] for each in asked)
        return Text(f"No {names} was found." if names else "No waste was found, and nothing that stands out.")
    kinds: dict[str, list[Pattern]] = {}
    for each in found.patterns:
        kinds.setdefault(each.kind, []).append(each)
    costs = {kind: sum(each.cost_nanos or 0 for each in group) for kind, group in kinds.items()}
    parts = []
    for kind, group in sorted(kinds.items(), key=lambda item: -costs[item[0]]):
        name = _NAMES[kind][len(group) > 1]
        parts.append(f"{len(group):,} {name}" + (f" {text.usd(costs[kind])}" if costs[kind] else ""))
    if found.wasted_nanos:
        line = Text(f"{text.usd(found.wasted_nanos)} of {text.usd(found.spent_nanos)} was waste", style="bold")
    elif any(each.cost_nanos is None for each in found.patterns):
        line = Text("What was waste has no known price", style="bold")
    else:
        line = Text("No money was wasted, but this stands out", style="bold")
    line.append(f": {', '.join(parts)}.")
    return line


def _facts(pattern: Pattern) -> str:
    """Say in a few words what a finding rests on."""
    evidence = pattern.evidence
    say = _SAYINGS.get(pattern.kind)
    return say(evidence) if say is not None else text.plural(len(pattern.event_ids), "event")


def _retries(evidence: Mapping[str, Any]) -> str:
    errors = ", ".join(evidence["errors"])
    end = "then it worked" if evidence["succeeded"] else "and never worked"
    seconds = text.seconds(evidence["seconds"] * 1000)
    return f"{text.plural(evidence['failures'], 'failure')} in {seconds} ({errors}), {end}"


def _loop(evidence: Mapping[str, Any]) -> str:
    if "agents" in evidence:
        return f"{' and '.join(evidence['agents'])} said the same to each other, {evidence['calls']:,} calls"
    tools = ", ".join(evidence["tools"]) or "a tool"
    who = f"{evidence['agent']} asked" if evidence["agent"] else "asked"
    return f"{who} {tools} the same {evidence['rounds']:,} times, and heard the same"


def _break(evidence: Mapping[str, Any]) -> str:
    calls, whose = text.plural(evidence["events"], "call"), evidence["agent"] or evidence["model"]
    said = f"{calls} of {whose}: {evidence['because']}"
    lost = f", {evidence['lost_tokens']:,} tokens at the full price"
    told = ", ".join(evidence["provider_says"])
    return f"{said}{lost}" + (f"; the provider says {told}" if told else "")


def _cycle(evidence: Mapping[str, Any]) -> str:
    if "agents" not in evidence:
        return f"{text.plural(evidence['events'], 'event')} come from each other"
    return f"{' → '.join(evidence['agents'])}, {text.plural(evidence['times'], 'time')}"


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
