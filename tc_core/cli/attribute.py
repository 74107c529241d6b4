"""`token-calc attribute`: what each agent, task or tool has cost, with and without what hung under it."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.lineage import find
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.attribution import Attribution

MOST_ROWS = 40
BAR = 12

_SHORT = {"agent": "agent_id", "workflow": "workflow_id", "session": "session_id", "task": "task_type"}


def attribute(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="`last`, a run or event by id or the end of one, or a name.", show_default=False
        ),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="NAMES", help="Dimensions, labels or fields, with commas: agent,model.")
    ] = "agent",
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what each group of calls has cost by itself, and with all that hung under its events.

    What the groups cost by themselves sums to the whole. What they cost with all below overlaps where they lie inside
    each other.

    Example: token-calc attribute --by agent,model
    """
    with common.told():
        source = common.open_store(store)
        groups = [_SHORT.get(name.strip(), name.strip()) for name in by.split(",") if name.strip()]
        if not groups:
            common.fail("--by needs at least one name, such as agent.", common.WRONG_USE)
        found = ProvenanceAnalyzer(source).attribute_costs(
            groups,
            event_id=None if what is None else find.run_id(source, what),
            start_date=since,
            end_date=until,
            filters=filters_of(where or []),
            tz=common.zone(tz),
        )
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        _print(found, groups)


def _print(found: Sequence[Attribution], groups: Sequence[str]) -> None:
    console = text.console()
    if not found:
        console.print("No model call is recorded there.")
        return
    known = [each.self_nanos for each in found if each.calls and each.self_nanos is not None]
    whole = sum(known)
    unpriced = sum(each.unpriced_calls for each in found)
    line = Text(text.usd(whole if known else None), style="bold")
    line.append(f" in {text.plural(sum(each.calls for each in found), 'call')}.")
    if unpriced:
        line.append(f"  {text.plural(unpriced, 'call')} unpriced.", style="yellow")
    console.print(line)
    console.print()
    sheet = Sheet(
        *(Column(name.removesuffix("_id")) for name in groups),
        number("calls"),
        number("input", goes=3),
        number("output", goes=2),
        number("itself"),
        number("with all below"),
        Column(goes=1, least=BAR),
    )
    decimals = text.column_decimals(each.self_nanos for each in found)
    for each in found[:MOST_ROWS]:
        sheet.add(
            *(Text(each.key[name] or text.EMPTY) for name in groups),
            text.count(each.calls),
            text.count(each.input_tokens),
            text.count(each.output_tokens),
            text.cost_text(each.self_nanos, decimals),
            text.cost_text(each.subtree_nanos, decimals),
            text.bar(each.self_nanos or 0, whole, BAR),
        )
    sheet.print(console)
    if len(found) > MOST_ROWS:
        console.print(Text(f"and {len(found) - MOST_ROWS:,} more (--json has all)", style="dim"))
