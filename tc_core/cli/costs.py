"""`token-calc costs`: what calls cost, by any dimension or label, and by days, weeks, months and sessions."""

from collections.abc import Collection, Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.cost_sheet import ExtraColumn, print_report
from tc_core.cli.filters import filters_of, names_of, print_unknown, unknown
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs import names, present, reading
from tc_core.costs.headline import gone, headline, same_part_before
from tc_core.costs.report import SORTS, CostReport, Question, answer
from tc_core.errors import ConfigurationError
from tc_core.model.period import Period, period
from tc_core.store.engine.wide_labels import meaning_of
from tc_core.store.read.filters import is_label, label_name
from tc_core.store.sql import SqlStore

VIEWS = {"daily": "day", "weekly": "week", "monthly": "month", "session": "session_id"}
"""What the views are grouped by."""


def costs(
    view: Annotated[
        str | None, typer.Argument(metavar="[daily|weekly|monthly|session]", help="A view.", show_default=False)
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="NAMES",
            help="Dimensions, labels, tool, workflow, name, retries, hour, day, week or month, with commas between; "
            "default: model.",
            show_default=False,
        ),
    ] = None,
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    per: Annotated[
        str | None,
        typer.Option(
            "--per", metavar="NAMES", help="What one costs: user, session, run, success, ...", show_default=False
        ),
    ] = None,
    percentiles: Annotated[
        str | None,
        typer.Option("--percentiles", metavar="50,95", help="Of cost and time of calls.", show_default=False),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="N", min=1, help="The others are one line.", show_default=False)
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="|".join(SORTS), help="The largest first.", show_default=False)
    ] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
    as_csv: common.CsvOption = False,
    as_markdown: common.MarkdownOption = False,
) -> None:
    """Show what calls cost.

    Example: token-calc costs weekly --by agent --filter 'model=gpt-4o*'
    """
    with common.told():
        common.check_formats(as_json=as_json, as_csv=as_csv, as_markdown=as_markdown)
        source, zone = common.open_store(store), common.zone(tz)
        reader = reading.reader_of(source)
        asked = period(since, until, tz=zone)
        question = Question(
            group_by=_grouped(view, by),
            filters=filters_of(where or []),
            tz=zone,
            percentiles=_shares(percentiles),
            per=[each.strip() for each in (per or "").split(",") if each.strip()],
            top=top,
            sort=sort,
        )
        found = answer(reader, asked, question)
        if as_json:
            text.print_json(found.to_dict())
        elif as_csv or as_markdown:
            print(present.to_csv(found, question.group_by) if as_csv else present.to_markdown(found), end="")
            if found.removed_events:
                text.console(stderr=True).print(gone(found))
        else:
            before = same_part_before(reader, since, until, asked, question.filters, zone)
            title = headline(found, since, until, before, where or [])
            extra = _models(reader, asked, question) if view is not None and found.groups else ()
            print_report(found, question.group_by, title=title, extra=extra)
            print_unknown(unknown(reader, (*question.group_by, *question.filters), asked))
            _print_tools(source, found, question.group_by, asked)
            _print_wide(source, {*question.group_by, *question.filters})
            _print_hint(source, found, store)


def _grouped(view: str | None, by: str | None) -> list[str]:
    if view is None:
        return names_of("model" if by is None else by)
    if view not in VIEWS:
        raise ConfigurationError(f"there is no view {view!r}: use {', '.join(VIEWS)}, or --by NAMES")
    return list(dict.fromkeys((VIEWS[view], *names_of(by or ""))))


def _shares(percentiles: str | None) -> list[float]:
    try:
        return [float(each.strip().removeprefix("p")) for each in (percentiles or "").split(",") if each.strip()]
    except ValueError as error:
        raise ConfigurationError(f"cannot read the percentiles {percentiles!r}: use 50,95") from error


def _models(reader: reading.CostReader, asked: Period, question: Question) -> Sequence[ExtraColumn]:
    """Return which models each group of a view has used."""
    by = [name for name in question.group_by if name != "model"]
    used: dict[str, list[str]] = {}
    for group in answer(reader, asked, Question([*by, "model"], question.filters, question.tz)).groups:
        key = ",".join(group.key[name] or "" for name in question.group_by)
        if group.key["model"]:
            used.setdefault(key, []).append(group.key["model"])
    return [ExtraColumn("models", {key: ", ".join(sorted(models)) for key, models in used.items()})]


def _print_tools(source: SqlStore, found: CostReport, by: Sequence[str], asked: Period) -> None:
    """Below calls that were made in tools, say what was paid for reading what tools returned."""
    if "tool" not in by or not found.groups:
        return
    from tc_core.lineage.analyzer import ProvenanceAnalyzer  # for those who ask by tool

    analyzer = ProvenanceAnalyzer(source)
    rows = [
        row for row in analyzer.waterfall(start_date=asked.start, end_date=asked.end).rows if row.origin_kind == "tool"
    ]
    if not rows:
        return
    console = text.console()
    console.print(Text("\nThese are the calls made inside tools. What tools returned was paid for as input:\n"))
    sheet = Sheet(Column("tool"), number("tokens"), number("sent again"), number("cost"))
    decimals = text.column_decimals(row.cost_nanos for row in rows)
    for row in rows:
        cost = text.cost_text(row.cost_nanos, decimals)
        sheet.add(row.name.removeprefix("tool "), text.count(row.tokens), text.count(row.resent_tokens), cost)
    sheet.print(console)


def _print_wide(source: SqlStore, asked: Collection[str]) -> None:
    """Say of which labels all events had to be read."""
    labels = {label_name(name) for name in asked if is_label(name) and name not in names.FROM_ABOVE}
    for label in sorted(labels & source.wide_labels().keys() if labels else ()):
        text.console().print(Text(f"\nNote: {meaning_of(label)}.", style="yellow"))


def _print_hint(source: SqlStore, found: CostReport, store: str | None) -> None:
    if not found.total_calls:
        common.print_hint_for_nothing(source, store)
    elif source.runs(limit=1):
        common.print_hint("token-calc tree last", "shows where the last run's money went", store)
    else:
        common.print_hint("token-calc costs --by day", "shows it over time", store)
