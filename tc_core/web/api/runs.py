"""Runs: the latest or the largest, how each compares with those before it, and what was found in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from tc_core.costs.runs import doubts, meant
from tc_core.errors import TokenCalculatorError
from tc_core.lineage.tree import name_of
from tc_core.model import written
from tc_core.model.run import Run
from tc_core.store.sql import RUN_SORTS
from tc_core.web import found_in
from tc_core.web.asked import Asked
from tc_core.web.table import Table, said

OPTIONS = ("since", "until", "filter", "session", "sort", "tz")
USUAL, MOST = 200, 10_000
MOST_BEFORE = 12
"""So many earlier runs of the same name are drawn beside a run."""

MOST_ASKED = 40
"""Runs whose findings are asked for at once."""


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows."""
    found, hidden, shows_all = _found(asked)
    limit = asked.number("limit", USUAL, MOST)
    return {
        "sentence": said(_sentence(asked, found, limit)),
        "notes": _notes(hidden, asked),
        "is_empty": not found,
        "table": _table(found, asked).to_dict(),
        "ids": [run.event.event_id for run in found],
        "before": _before(found),
        "has_more": len(found) == limit < MOST,
        "limit": limit,
        "shows_all": shows_all,
        "sorts": list(RUN_SORTS),
        "command": asked.command("runs", options=OPTIONS, more=_more(asked, limit)),
    }


def plain(asked: Asked) -> Any:
    """Return what `token-calc runs --json` prints."""
    return [run.to_dict() for run in _found(asked)[0]]


def findings(asked: Asked) -> Mapping[str, Any]:
    """Return what was found in some runs, by their ids: a few words, and their tone."""
    return {run_id: _words(asked, run_id) for run_id in asked.texts("run")[:MOST_ASKED]}


def _found(asked: Asked) -> tuple[list[Run], int, bool]:
    """Return the runs, how many model calls that stand alone are left out, and whether these are shown."""
    store, span, limit = asked.store, asked.period, asked.number("limit", USUAL, MOST)
    session = asked.text("session")
    wanted = asked.filters | ({"session_id": session} if session is not None else {})
    roots, having = meant(store, wanted, span)

    def ask(*, single: bool) -> list[Run]:
        return store.runs(
            roots,
            limit=limit,
            single_calls=single,
            having=having,
            start_time=span.start,
            end_time=span.end,
            sort=asked.choice("sort", RUN_SORTS),
        )

    shows_all = asked.choice("all", ("1",)) is not None
    found = ask(single=shows_all)
    if not found and not shows_all:
        found, shows_all = ask(single=True), True
    hidden = 0 if shows_all or roots else store.single_calls(having, span.start, span.end)
    return found, hidden, shows_all


def _more(asked: Asked, limit: int) -> list[str]:
    return [*(["--all"] if asked.text("all") else []), "--limit", str(limit)]


def _sentence(asked: Asked, found: Sequence[Run], limit: int) -> Text:
    if not found:
        is_asked = asked.parameters.keys() & {"since", "until", "filter", "session"}
        return Text("No run matches." if is_asked else "No runs recorded.")
    costs = [run.totals.known_cost_nanos for run in found]
    known = [nanos for nanos in costs if nanos is not None]
    sort = asked.text("sort")
    line = Text()
    line.append(written.usd(sum(known) if known else None), style="bold")
    which = {None: "the latest ", "cost": "the dearest ", "time": "the longest "}.get(sort, f"those with most {sort}, ")
    are = written.plural(len(found), "run")
    line.append(f" in {which if len(found) == limit else ''}{are}.")
    failed = sum(run.event.status == "error" for run in found)
    if failed:
        line.append(f"  {failed:,} failed.", style="yellow")
    return line


def _notes(hidden: int, asked: Asked) -> list[str]:
    notes = []
    if hidden:
        stand = "stands alone and is" if hidden == 1 else "stand alone and are"
        notes.append(f"{written.plural(hidden, 'model call')} {stand} not shown.")
    removed = asked.store.removals()
    if removed:
        notes.append("Older runs are gone; the page Costs still has their sums.")
    return notes


def _table(found: Sequence[Run], asked: Asked) -> Table:
    table = Table(label="Runs")
    ids = [run.event.event_id for run in found]
    links = [asked.link("run", run=event_id) for event_id in ids]
    table.names("what", [name_of(run.event) for run in found], links=links)
    started = [written.moment(run.event.timestamp, asked.zone) for run in found]
    table.names("started", started, is_whole=True, goes=6)
    table.names(
        "run", [event_id[-written.SHORT_ID :] for event_id in ids], tones=["nothing"] * len(ids), is_whole=True, goes=4
    )
    totals = [run.totals for run in found]
    table.numbers("calls", [each.calls for each in totals], goes=3)
    table.numbers("tokens", [each.input_tokens + each.output_tokens for each in totals], goes=2)
    table.money("cost", [each.known_cost_nanos for each in totals], [bool(each.estimated) for each in totals])
    times = [run.event.latency_ms for run in found]
    table.numbers("time", times, [written.seconds(each) or written.EMPTY for each in times], goes=1)
    ends = [doubts(run) for run in found]
    if any(ends):
        table.names("ended", ends, tones=["doubt"] * len(ends), goes=5)
    return table


def _before(found: Sequence[Run]) -> list[list[int]]:
    """Return, for each run, what it and those before it of the same name in this list have cost, the oldest first."""
    seen: dict[str, list[int]] = {}
    lines: dict[str, list[int]] = {}
    for run in sorted(found, key=lambda each: each.event.timestamp):
        costs = seen.setdefault(name_of(run.event), [])
        costs.append(run.totals.known_cost_nanos or 0)
        lines[run.event.event_id] = costs[-MOST_BEFORE:]
    return [lines[run.event.event_id] for run in found]


def _words(asked: Asked, run_id: str) -> Mapping[str, str]:
    """Say what was found in a run, in a few words."""
    run = next(iter(asked.store.runs({"event_id": run_id}, limit=1, single_calls=True)), None)
    if run is None:
        return {"text": "", "tone": ""}
    try:
        found = found_in.run(asked.store, run, asked.period)
    except TokenCalculatorError as error:
        return {"text": str(error), "tone": "doubt"}
    if found is None:
        return {"text": f"{run.events:,} events: open it", "tone": "nothing"}
    kinds: dict[str, int] = {}
    for each in found:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    wasted = sum(each.cost_nanos or 0 for each in found)
    names = ", ".join(written.plural(count, kind.replace("_", " ")) for kind, count in kinds.items())
    return {"text": f"{written.usd(wasted)}: {names}" if wasted else names, "tone": "doubt" if wasted else ""}
