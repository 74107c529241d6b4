"""Costs: the answer as a sentence, bars over time, the groups, and how far prices cover the calls."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tc_core.costs import names, present, reading, words
from tc_core.costs.headline import gone, headline, same_part_before
from tc_core.costs.reading import CostReader
from tc_core.costs.report import SORTS, CostReport, Question, answer
from tc_core.costs.zones import TIME_UNITS
from tc_core.model import clock, written
from tc_core.model.period import Period
from tc_core.web.asked import Asked
from tc_core.web.bars import bars, unit_for
from tc_core.web.table import Table, said

OPTIONS = ("by", "since", "until", "filter", "top", "sort", "tz")
MOST_GROUPS = 10_000


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows."""
    reader = reading.reader_of(asked.store)
    question, span = _question(asked), asked.period
    found = answer(reader, span, question)
    before = same_part_before(reader, asked.text("since"), asked.text("until"), span, question.filters, question.tz)
    notes = [words.not_known(name) for name in words.unknown(reader, (*question.group_by, *question.filters), span)]
    if found.removed_events:
        notes.append(gone(found).plain)
    return {
        "sentence": said(
            headline(found, asked.text("since"), asked.text("until"), before, asked.texts("filter"))
            if found.total_calls or asked.parameters.keys() & {"since", "until", "filter"}
            else Text("No calls recorded.")
        ),
        "notes": notes,
        "is_empty": not found.total_calls,
        "bars": _bars(reader, asked, question, found),
        "table": _table(found, question).to_dict(),
        "coverage": _coverage(reader, asked, found),
        "command": asked.command("costs", options=OPTIONS),
        "names": [each for each in names.known() if each not in TIME_UNITS],
    }


def plain(asked: Asked) -> Mapping[str, Any]:
    """Return what `token-calc costs --json` prints."""
    return answer(reading.reader_of(asked.store), asked.period, _question(asked)).to_dict()


def csv(asked: Asked) -> str:
    """Return what `token-calc costs --csv` prints."""
    question = _question(asked)
    return present.to_csv(answer(reading.reader_of(asked.store), asked.period, question), question.group_by)


def _question(asked: Asked) -> Question:
    return Question(
        group_by=asked.names("by", "model"),
        filters=asked.filters,
        tz=asked.zone,
        top=asked.number("top", MOST_GROUPS, MOST_GROUPS),
        sort=asked.choice("sort", tuple(SORTS)),
    )


def _bars(reader: CostReader, asked: Asked, question: Question, found: CostReport) -> Mapping[str, Any] | None:
    by = next((name for name in question.group_by if name not in TIME_UNITS), None)
    span = asked.period
    if not found.total_calls:
        return None
    unit = asked.choice("unit", TIME_UNITS) or next((name for name in question.group_by if name in TIME_UNITS), None)
    end = min(span.end, clock.now()) if span.end else clock.now()
    is_short = span.start is not None and unit_for(end - span.start) == "hour"
    named = unit or ("hour" if is_short else "day")
    grouped = [named] if by is None else [named, by]
    by_time = answer(reader, span, Question(grouped, question.filters, question.tz))
    return bars(by_time, named, by, question.tz, fits=unit is None)


def _table(found: CostReport, question: Question) -> Table:
    groups = [*found.groups, *([found.rest] if found.rest is not None else [])]
    table = Table(label=f"Costs by {', '.join(map(names.short, question.group_by))}")
    for place, name in enumerate(question.group_by):
        rest = written.plural(found.rest_groups, "other") if not place else ""
        table.names(
            names.short(name),
            [rest if group is found.rest else group.key[name] for group in groups],
            tones=["nothing" if group is found.rest or not group.key[name] else "" for group in groups],
        )
    table.numbers("calls", [group.calls for group in groups])
    table.numbers("input", [group.input_tokens for group in groups], goes=3)
    cached = [group.cached_tokens / group.input_tokens if group.input_tokens else None for group in groups]
    table.numbers(
        "cached",
        cached,
        [written.percent(group.cached_tokens, group.input_tokens) for group in groups],
        goes=1,
    )
    table.numbers("output", [group.output_tokens for group in groups], goes=2)
    table.money("cost", [group.cost_nanos for group in groups], [bool(group.estimated_calls) for group in groups])
    table.shares("share", [group.cost_nanos for group in groups], found.total_cost_nanos or 0)
    return table


def _coverage(reader: CostReader, asked: Asked, found: CostReport) -> Mapping[str, Any] | None:
    """Tell how many calls have a price and a reported usage, and which models are without one."""
    if not found.total_calls:
        return None
    span: Period = asked.period
    priced, reported = found.total_calls - found.unpriced_calls, found.total_calls - found.estimated_calls
    models = answer(reader, span, Question(["model"], asked.filters, asked.zone)).groups if found.unpriced_calls else []
    missing = [group for group in models if group.unpriced_calls]
    table = Table(label="Models with calls that have no price")
    table.names("model", [group.key["model"] for group in missing])
    table.numbers("unpriced calls", [group.unpriced_calls for group in missing])
    return {
        "rows": [
            ["priced", priced / found.total_calls, f"{priced:,} of {found.total_calls:,} calls"],
            ["usage reported", reported / found.total_calls, f"{reported:,} of {found.total_calls:,} calls"],
        ],
        "missing": table.to_dict() if missing else None,
        "advice": "token-calc reprice fills in prices that are known meanwhile; token-calc models search finds names."
        if missing
        else "",
    }
