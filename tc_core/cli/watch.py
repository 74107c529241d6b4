"""`token-calc watch`: one screen that lives while an agent runs."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tc_core import settings
from tc_core.cli import common, text
from tc_core.cli.events import SHORT_ID
from tc_core.cli.tree import headline, sheet_of
from tc_core.costs import reading
from tc_core.costs.report import report
from tc_core.health import present as health
from tc_core.health import sql
from tc_core.lineage import waste
from tc_core.lineage.patterns import present
from tc_core.lineage.tree import name_of, tree
from tc_core.model import clock
from tc_core.model.event import to_us
from tc_core.model.gaps import Gaps
from tc_core.model.money import NANOS_PER_DOLLAR
from tc_core.model.period import Period, midnight
from tc_core.model.run import Run
from tc_core.store.sql import SqlStore

MINUTES = 30
"""So far back the spending is drawn."""

MOST_FINDINGS = 3
MOST_EVENTS = 2_000
"""A run with more is not looked through for findings each time it grows: `token-calc patterns` does."""
FEWEST_LINES = 8
_LEVELS = "▁▂▃▄▅▆▇█"
_US_PER_MINUTE = 60_000_000


def watch(
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, max=3600.0, help="How often it looks.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print the screen once and end; so it is where it is piped.")
    ] = False,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
) -> None:
    """Watch what is spent while agents run: by the minute, the tree of the latest run, what was waste or went wrong.

    Ctrl-C ends it.

    Example: token-calc watch
    """
    with common.told():
        console, zone = text.console(), common.zone(tz)
        if once or not console.is_terminal:
            console.print(frame(common.open_store(store), clock.now(), zone, lines=100))
            return
        _live(console, store, zone, every)


def _live(console: Console, store: str | None, tz: tzinfo, every: float) -> None:
    """Show the screen anew until somebody presses Ctrl-C."""
    source: SqlStore | None = None
    known: dict[object, list[Text]] = {}
    where = store or settings.load().store
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                is_missing = common.is_missing(where)
                if source is not None and is_missing:  # removed meanwhile: to ask it would make an empty one there
                    source.close()
                    source = None
                elif source is None and not is_missing:
                    source = common.open_store(store)
                shown = (
                    Text(f"Nothing is recorded yet in {common.shown(where)}: waiting for a program that does.")
                    if source is None
                    else frame(source, clock.now(), tz, lines=max(FEWEST_LINES, console.height - 12), known=known)
                )
                live.update(shown, refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def frame(
    source: SqlStore,
    now: datetime,
    tz: tzinfo,
    *,
    lines: int,
    width: int | None = None,
    known: dict[object, list[Text]] | None = None,
) -> RenderableType:
    """Return the screen at a moment: spending, the latest run with its last `lines` steps, and findings.

    `known` keeps from one screen to the next what was found, so that it is not sought again where nothing is new.
    """
    width = width or text.console().width
    parts: list[RenderableType] = [*_spending(source, now, tz)]
    runs = source.runs(limit=1) or source.runs(limit=1, single_calls=True)
    if not runs:
        return Group(*parts, Text("\nNo run yet.", style="dim"))
    parts += [Text(), *_run(source, runs[0], width, lines)]
    findings = [
        *_waste(source, runs[0], {} if known is None else known),
        *_at_risk(source, runs[0]),
        *_failed(source, now),
    ]
    if findings:
        parts += [Text("\nLately", style="bold"), *(_cut(each, width) for each in findings)]
    return Group(*(text.printable(each) if isinstance(each, Text) else each for each in parts))


def _spending(source: SqlStore, now: datetime, tz: tzinfo) -> list[Text]:
    """Say what was spent today, and draw the last minutes."""
    today = report(source, Period(midnight(now.astimezone(tz).date(), tz), now + timedelta(seconds=1)))
    start = now - timedelta(minutes=MINUTES)
    minutes = [0] * (MINUTES + 1)
    for _, call in reading.reader_of(source).each([], {}, Period(start, now + timedelta(seconds=1)), gaps=Gaps()):
        minutes[min(MINUTES, max(0, (call.at_us - to_us(start)) // _US_PER_MINUTE))] += call.cost_nanos or 0
    line = Text(text.usd(today.total_cost_nanos), style="bold")
    line.append(f" today in {text.plural(today.total_calls, 'call')}")
    if today.unpriced_calls:
        line.append(f", {today.unpriced_calls:,} unpriced", style="yellow")
    line.append(f"   {text.usd(minutes[-1] + minutes[-2])} in the last two minutes", style="dim")
    drawn = Text(_drawn(minutes[1:]))
    drawn.append(f"  the last {MINUTES} minutes, up to {text.usd(max(minutes))} a minute", style="dim")
    return [line, drawn]


def _drawn(values: Sequence[int]) -> str:
    """Draw values as a row of bars, the largest full."""
    most = max(values) or NANOS_PER_DOLLAR
    return "".join(_LEVELS[round((len(_LEVELS) - 1) * value / most)] if value else " " for value in values)


def _run(source: SqlStore, run: Run, width: int, lines: int) -> list[Text]:
    """Return the tree of a run: its first line, and the last of what is below it."""
    root, attempts = tree(*source.tree(run.event.event_id)), source.attempts_in(run.event.event_id)
    below = list(sheet_of(root, attempts).lines(width))
    hidden = len(below) - lines
    said = [Text(f"  {text.plural(hidden, 'earlier line')}", style="dim")] if hidden > 0 else []
    return [headline(root, attempts), *said, *below[-lines:]]


def _waste(source: SqlStore, run: Run, known: dict[object, list[Text]]) -> list[Text]:
    """Say what the latest run wasted, the money first; `known` is what was said of it as it stands."""
    mark = (run.event.event_id, run.events, run.event.status)
    if mark not in known:
        known.clear()
        known[mark] = _said_of_waste(source, run) if run.events <= MOST_EVENTS else []
    return known[mark]


def _said_of_waste(source: SqlStore, run: Run) -> list[Text]:
    found = waste.waste(source, source.query_events({"root_id": run.event.event_id}))
    lines = []
    for each in found.patterns[:MOST_FINDINGS]:
        cost = f"  {text.usd(each.cost_nanos)}" if each.cost_nanos else ""
        said = f"! {present.NAMES[each.kind][0]}: {present.facts(each)}{cost}"
        lines.append(Text(said, style=present.COLOURS[each.severity] or "yellow"))
    rest = len(found.patterns) - len(lines)
    if rest > 0:
        lines.append(Text(f"  {rest:,} more: token-calc patterns last", style="dim"))
    return lines


def _at_risk(source: SqlStore, run: Run) -> list[Text]:
    """Say which conversations of the latest run fare badly, and why."""
    if run.events > MOST_EVENTS:
        return []
    found = health.conversations(sql.read(source, {"root_id": run.event.event_id}))
    risky = [each for each in found if each.is_at_risk][:MOST_FINDINGS]
    return [
        Text(f"! {each.agent_id or each.short_name}: {each.reason}", style=health.STYLES[each.last.state])
        for each in risky
    ]


def _failed(source: SqlStore, now: datetime) -> list[Text]:
    """Say what has gone wrong lately."""
    start = now - timedelta(minutes=MINUTES)
    failed = source.query_events({"status": ["error", "cancelled", "abandoned"]}, start, limit=100, descending=True)
    kinds = Counter((name_of(event), event.error_type or event.status) for event in failed)
    last = {(name_of(event), event.error_type or event.status): event for event in reversed(failed)}
    found = []
    for kind, count in kinds.most_common(MOST_FINDINGS):
        event = last[kind]
        times = "" if count == 1 else f", {count:,} times"
        at = f"{event.timestamp.astimezone(UTC):%H:%M:%S} UTC"
        found.append(Text(f"✗ {kind[0]}: {kind[1]}{times}, last at {at} ({event.event_id[-SHORT_ID:]})", style="red"))
    return found


def _cut(line: Text, width: int) -> Text:
    line = line.copy()
    line.truncate(width, overflow="ellipsis")
    return line
