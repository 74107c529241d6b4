"""Compare: two periods, or two runs of a workflow; the differences sum exactly."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from tc_core.costs import compare as comparing
from tc_core.costs import names, reading, words
from tc_core.costs.compare import Comparison
from tc_core.costs.report import Question, answer
from tc_core.costs.zones import TIME_UNITS
from tc_core.errors import ConfigurationError, LineageError
from tc_core.ledger.waterfall import WaterfallChange
from tc_core.lineage import find
from tc_core.lineage.tree import name_of
from tc_core.model import written
from tc_core.model.period import Period
from tc_core.web.asked import Asked
from tc_core.web.table import Table, said
from tc_core.workflows import changes
from tc_core.workflows.compare import RunComparison
from tc_core.workflows.tracker import WorkflowTracker

BEFORE, AFTER = "last-week", "this-week"
MOST_RUNS = 30


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows: of two runs where the address names them, else of two periods."""
    return _runs(asked) if _is_of_runs(asked) else _periods(asked)


def plain(asked: Asked) -> Mapping[str, Any]:
    """Return what `token-calc compare --json`, or `token-calc workflow --compare --json`, prints."""
    return _compared_runs(asked)[1].to_dict() if _is_of_runs(asked) else _compared(asked).to_dict()


def _is_of_runs(asked: Asked) -> bool:
    other = asked.text("with")
    if other and not asked.text("run"):
        raise ConfigurationError(
            f"The address names a run to compare with, {other}, and not which: add run=RUN, or choose one under Runs."
        )
    return bool(asked.text("run"))


def _words(asked: Asked) -> tuple[str, str]:
    return asked.text("before") or BEFORE, asked.text("after") or AFTER


def _compared(asked: Asked) -> Comparison:
    zone, reader = asked.zone, reading.reader_of(asked.store)
    first, second = (comparing.as_period(changes.span(each), zone) for each in _words(asked))
    if asked.choice("whole", ("1",)) is None:
        first = comparing.same_part(first, second)
    by = asked.names("by", "agent")
    return comparing.compare(reader, asked.store, first, second, by=by, filters=asked.filters, tz=zone)


def _periods(asked: Asked) -> Mapping[str, Any]:
    before, after = _words(asked)
    found, by = _compared(asked), asked.names("by", "agent")
    is_empty = not found.before.total_calls and not found.after.total_calls
    span = Period(found.after.start, found.after.end)
    reader = reading.reader_of(asked.store)
    missing = [] if is_empty else words.unknown(reader, (*by, *asked.filters), span)
    return {
        "kind": "periods",
        "sentence": said(changes.headline(found, before, after, asked.filters, asked.zone)),
        "notes": [words.not_known(name) for name in missing],
        "is_empty": is_empty,
        "steps": None if is_empty else _steps(found, before, after),
        "table": _groups(found, by).to_dict(),
        "origins": None if is_empty else _origins(asked, found),
        "suggestions": _suggestions(asked) if is_empty else [],
        "names": [each for each in names.known() if each not in TIME_UNITS],
        "command": asked.command(
            "compare", before, after, options=("by", "filter", "tz"), more=["--whole"] if asked.text("whole") else []
        ),
    }


def _steps(found: Comparison, before: str, after: str) -> list[Mapping[str, Any]]:
    """Return the way from one cost to the other: where each step starts and ends, in nano-dollars."""
    then, now = found.before.total_cost_nanos or 0, found.after.total_cost_nanos or 0
    decimals = written.column_decimals([then, now, *(abs(each.cost_nanos) for each in found.drivers)])
    steps = [_step(before, 0, then, written.usd(found.before.total_cost_nanos, decimals=decimals), "", kind="whole")]
    at = then
    for driver in found.drivers:
        text = written.signed(driver.cost_nanos, decimals=decimals)
        steps.append(_step(changes.WORDS[driver.kind], at, at + driver.cost_nanos, text, driver.explanation))
        at += driver.cost_nanos
    text = written.usd(found.after.total_cost_nanos, decimals=decimals)
    return [*steps, _step(after, 0, now, text, "", kind="whole")]


def _step(name: str, start: int, end: int, text: str, why: str, *, kind: str = "part") -> Mapping[str, Any]:
    return {"name": name, "from": start, "to": end, "text": text, "why": why, "kind": kind}


def _groups(found: Comparison, by: list[str]) -> Table:
    table = Table(label=f"Changes by {', '.join(map(names.short, by))}")
    groups = found.groups
    for name in by:
        table.names(
            names.short(name),
            [group.key[name] for group in groups],
            tones=["" if group.key[name] else "nothing" for group in groups],
        )
    sides = [[group.before.cost_nanos for group in groups], [group.after.cost_nanos for group in groups]]
    decimals = written.column_decimals(nanos for side in sides for nanos in side)
    table.money("before", sides[0], decimals=decimals)
    table.money("after", sides[1], decimals=decimals)
    is_known = [None not in (group.before.cost_nanos, group.after.cost_nanos) for group in groups]
    differences = [group.difference_nanos for group in groups]
    table.numbers(
        "change",
        differences,
        [
            written.signed(each, decimals=decimals) if known else written.EMPTY
            for each, known in zip(differences, is_known, strict=True)
        ],
        tones=["nothing" if not each else "doubt" if each > 0 else "good" for each in differences],
    )
    table.names("mostly", [changes.mostly(group) for group in groups], is_wide=True, goes=1)
    return table


def _origins(asked: Asked, found: Comparison) -> Mapping[str, Any] | None:
    agent, grown = changes.origins(asked.store, found)
    return {"agent": agent, "table": _changed(f"What the prompts of {agent} have more of", grown)} if grown else None


def _changed(label: str, rows: list[WaterfallChange]) -> Mapping[str, Any]:
    table = Table(label=label)
    table.names("origin", [each.name for each in rows])
    table.numbers("tokens", [each.tokens for each in rows], [f"{each.tokens:+,}" for each in rows])
    decimals = written.column_decimals(abs(each.cost_nanos) for each in rows)
    costs = [each.cost_nanos for each in rows]
    table.numbers("cost", costs, [written.signed(each, decimals=decimals) for each in costs])
    return table.to_dict()


def _suggestions(asked: Asked) -> list[Mapping[str, str]]:
    """Return the latest two weeks and months that have calls, for where those asked about have none."""
    zone, reader = asked.zone, reading.reader_of(asked.store)
    days = answer(reader, Period(), Question(["day"], asked.filters, zone)).groups
    if not days:
        return []
    last = datetime.fromisoformat(str(days[-1].key["day"])).date()
    monday = last - timedelta(days=last.weekday())
    first = last.replace(day=1)
    spans = {
        "the last two weeks with calls": (monday - timedelta(days=7), monday - timedelta(days=1), monday, last),
        "the last two months with calls": (
            (first - timedelta(days=1)).replace(day=1),
            first - timedelta(days=1),
            first,
            last,
        ),
    }
    return [
        {"name": name, "before": f"{start}..{end}", "after": f"{start_}..{end_}"}
        for name, (start, end, start_, end_) in spans.items()
    ]


def _compared_runs(asked: Asked) -> tuple[str, RunComparison]:
    run, other = asked.text("run") or "", asked.text("with")
    event = find.event(asked.store, find.run_id(asked.store, run))
    workflow = event.workflow_id or event.name
    if workflow is None:
        raise LineageError(f"The run {run} is of no workflow: only runs of one can be compared.")
    tracker = WorkflowTracker(workflow, asked.store)
    if other is None:
        earlier = [
            each.event.event_id
            for each in tracker.runs(limit=MOST_RUNS)
            if each.event.event_id != event.event_id and each.event.timestamp <= event.timestamp
        ]
        if not earlier:
            raise LineageError(f"There is no run of {workflow} before this one: choose another one to compare it with.")
        other = earlier[0]
    return workflow, tracker.compare(other, event.event_id)


def _runs(asked: Asked) -> Mapping[str, Any]:
    workflow, found = _compared_runs(asked)
    runs = WorkflowTracker(workflow, asked.store).runs(limit=MOST_RUNS)
    agents = Table(label="Changes by agent")
    agents.names("agent", [each.agent_id for each in found.agents])
    agents.numbers("calls", [each.calls for each in found.agents], [f"{each.calls:+,}" for each in found.agents])
    agents.numbers("tokens", [each.tokens for each in found.agents], [f"{each.tokens:+,}" for each in found.agents])
    costs = [each.cost_nanos for each in found.agents]
    decimals = written.column_decimals(map(abs, costs))
    agents.numbers("cost", costs, [written.signed(each, decimals=decimals) for each in costs])
    return {
        "kind": "runs",
        "sentence": said(_sentence(workflow, found)),
        "notes": [],
        "is_empty": False,
        "table": agents.to_dict(),
        "origins": {"agent": "", "table": _changed("Changes by origin of input tokens", list(found.origins))}
        if found.origins
        else None,
        "runs": [
            {
                "id": run.event.event_id,
                "text": f"{written.moment(run.event.timestamp, asked.zone)}  {name_of(run.event)}  "
                f"{written.usd(run.totals.known_cost_nanos)}",
            }
            for run in runs
        ],
        "run_a": found.run_a,
        "run_b": found.run_b,
        "command": asked.command("workflow", workflow, "--run", found.run_b, "--compare", found.run_a),
    }


def _sentence(workflow: str, found: RunComparison) -> Text:
    short = written.SHORT_ID
    line = Text(f"{workflow}: ")
    line.append(f"from run {found.run_a[-short:]} to run {found.run_b[-short:]} ")
    line.append(written.signed(found.cost_nanos), style="bold")
    line.append(f", {found.tokens:+,} tokens, {found.calls:+,} calls, ")
    line.append(f"{'-' if found.duration_ms < 0 else '+'}{written.seconds(abs(found.duration_ms))}.")
    if found.unpriced_calls:
        line.append(f"  {found.unpriced_calls:,} unpriced.", style="yellow")
    return line
