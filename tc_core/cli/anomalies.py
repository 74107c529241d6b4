"""`token-calc anomalies`: days and hours that cost what nobody expected."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, names_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.anomalies import present
from tc_core.costs.anomalies.anomaly import Anomaly, Bucket, Direction
from tc_core.costs.tracker import CostTracker

MOST_ROWS = 20
_DATE, _HOUR = "%Y-%m-%d", "%Y-%m-%d %H:%M"


def anomalies(
    by: Annotated[
        str, typer.Option("--by", metavar="NAMES", help="Dimensions or labels, with commas between; each value apart.")
    ] = "agent",
    since: common.SinceOption = "last-30-days",
    until: common.UntilOption = None,
    bucket: Annotated[str, typer.Option(metavar="day|hour", help="Judge days, or hours (of UTC).")] = "day",
    direction: Annotated[
        str, typer.Option(metavar="up|down|both", help="What cost more than usual, less, or both.")
    ] = "both",
    threshold: Annotated[
        float, typer.Option(metavar="TIMES", help="Only what cost so many times the expected, or that part of it.")
    ] = 2.0,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show days or hours in which something cost far more or less than was to be expected.

    Example: token-calc anomalies --by agent,model --since last-30-days
    """
    with common.told():
        source = common.open_store(store)
        names, zone, filters = names_of(by), common.zone(tz), filters_of(where or [])
        found = CostTracker(source).detect_anomalies(
            threshold,
            start_date=since,
            end_date=until,
            by=names,
            bucket=_bucket(bucket),
            direction=_direction(direction),
            filters=filters,
            tz=zone,
        )
        if as_json:
            text.print_json([anomaly.to_dict() for anomaly in found])
            return
        text.console().print(present.title(source, found, bucket, present.when(since, until), filters))
        if found:
            _print(found, names, zone, bucket)
            common.print_hint(
                f"token-calc show {present.dearest_call(found)}", "shows the dearest call of the largest", store
            )


def _bucket(value: str) -> Bucket:
    return value  # type: ignore[return-value]  # detect_anomalies names what it may be


def _direction(value: str) -> Direction:
    return value  # type: ignore[return-value]  # the same


def _print(found: Sequence[Anomaly], names: Sequence[str], zone: tzinfo, bucket: str) -> None:
    console = text.console()
    shown = sorted(found, key=lambda each: -abs(each.excess))[:MOST_ROWS]
    console.print()
    sheet = Sheet(
        Column(bucket),
        *(Column(name.removesuffix("_id")) for name in names),
        number("cost"),
        number("expected", goes=3),
        number("usual", goes=2),
        number("times", goes=4),
        number("calls", goes=1),
        Column(least=11),
    )
    for each in sorted(shown, key=lambda anomaly: anomaly.period_start):
        is_up = each.observed >= each.expected
        sheet.add(
            f"{each.period_start.astimezone(zone):{_DATE if bucket == 'day' else _HOUR}}",
            *(Text(each.key[name] or text.EMPTY, style="" if each.key[name] else "dim") for name in names),
            Text(present.usd(each.observed), style="red" if is_up else ""),
            present.usd(each.expected),
            f"{'<' if is_up else '>'} {present.usd(each.usual)}" if each.kind != "new" else text.EMPTY,
            f"{each.observed / each.expected:,.1f}x" if each.expected else text.EMPTY,
            text.count(each.calls),
            Text(present.KINDS[each.kind] or each.kind, style="yellow" if present.KINDS[each.kind] else ""),
        )
    sheet.print(console)
    if len(found) > len(shown):
        console.print(Text(f"and {len(found) - len(shown):,} smaller ones (--json has all)", style="dim"))
    largest = max(found, key=lambda each: abs(each.excess))
    console.print(Text(f"\n{largest.explanation}"))
