"""`token-calc patterns`: what was paid for and not needed."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.lineage import find
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.patterns import present
from tc_core.lineage.patterns.pattern import Pattern
from tc_core.lineage.waste import Waste
from tc_core.model import money

MOST = 20
MOST_OF_A_KIND = 4
"""So many of each kind, where there are several kinds."""
MOST_NAMED = 5


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
    console.print(present.title(found, kinds))
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
    line = Text(present.NAMES[pattern.kind][0], style=present.COLOURS[pattern.severity] or "bold")
    line.append(f"  {present.facts(pattern)}", style="")
    if pattern.cost_nanos:
        line.append(f"  {text.usd(pattern.cost_nanos)}", style="bold")
    elif pattern.cost_nanos is None:
        line.append("  unpriced", style="yellow")
    console.print(line)
    console.print(Text(f"  {pattern.advice}", style="dim"))
    ids = "  ".join(event_id[-8:] for event_id in pattern.event_ids[:MOST_NAMED])
    rest = len(pattern.event_ids) - MOST_NAMED
    console.print(Text(f"  events {ids}" + (f"  and {rest:,} more" if rest > 0 else ""), style="dim"))
