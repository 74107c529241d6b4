"""`token-calc budget`: set limits, see what is left, grant more, and who has changed what."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core import settings
from tc_core.budgets import present
from tc_core.budgets.status import BudgetStatus, elapsed_share
from tc_core.budgets.tracker import BudgetTracker
from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, print_unknown, print_unknown_models, unknown
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.model import clock
from tc_core.model.period import Period

OVER = 1
"""The exit code of `status` where a budget is over."""

BAR = 16
MOST_PERIODS = 12

app = typer.Typer(help="Set limits, and see what is left of them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The budget's name.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="WHO", help="Who does it, for the history.", show_default=False)
]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="And why.", show_default=False)]
AmountArgument = Annotated[float, typer.Argument(metavar="AMOUNT", help="US dollars, or what --unit says.")]


@app.command("set")
def set_budget(
    amount: AmountArgument,
    period: Annotated[
        str,
        typer.Argument(
            metavar="PERIOD",
            help="hour, day, week, month, quarter, year, last-7-days, 2026-01-01..2026-03-31, run, session, workflow "
            "or total.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The same name again changes it.")] = "default",
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME=VALUE",
            help="Only these calls count; NAME=BEGINNING*, NAME!=VALUE; again for more.",
            show_default=False,
        ),
    ] = None,
    hard: Annotated[
        bool, typer.Option("--hard", help="Stop calls, in programs with enforce=True or TOKEN_CALC_ENFORCE.")
    ] = False,
    unit: Annotated[str, typer.Option(metavar="UNIT", help="usd, tokens or calls.")] = "usd",
    tz: Annotated[str, typer.Option("--tz", metavar="ZONE", help="Time zone of its periods.")] = "UTC",
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARE", help="Warn in the log from here on: 0.8 or 80%.", show_default=False),
    ] = None,
    unpriced: Annotated[
        str,
        typer.Option(metavar="WAY", help="Models without a price: refuse, allow, or the name of one that has a price."),
    ] = "refuse",
    by: ByOption = None,
    why: WhyOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Set how much may be spent in each period.

    Example: token-calc budget set 50 month --name search --filter team=search --hard
    """
    with common.told():
        tracker = _tracker(store, makes=True)
        found = tracker.set_budget(
            amount,
            period,
            filters_of(where or []),
            name=name,
            hard=hard,
            unit=unit,
            tz=tz,
            thresholds=threshold or (),
            unpriced=unpriced,
            by=by,
            why=why,
        )
        if as_json:
            text.print_json(found.to_dict())
            return
        spent = f"{present.amount(found.spent, unit)} of {present.amount(found.amount, unit)} {_unit(found)}spent"
        kind = "hard" if hard else "soft"
        text.console().print(Text(f"{name}: {spent} in {present.period(found)}, {kind}, {present.about(found)}."))
        if hard and not settings.load().tracking.enforce:
            said = "Programs stop at it where tc_core.instrument(enforce=True) or TOKEN_CALC_ENFORCE=true says so."
            text.console().print(Text(said, style="yellow"))
        print_unknown(unknown(tracker.storage, found.filters, Period()))
        print_unknown_models(tracker.storage, found.filters)
        common.print_hint("token-calc budget status", "shows how it stands", store)


@app.command("list")
def list_budgets(store: common.StoreOption = None, as_json: common.JsonOption = False) -> None:
    """List the budgets that are set.

    Example: token-calc budget list
    """
    with common.told():
        found = _tracker(store).list()
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        if not found:
            text.console().print(Text(present.headline(found)))
            _print_awaited(found)
            common.print_hint("token-calc budget set 50 month", "sets one", store)
            return
        sheet = Sheet(
            Column("name"), number("amount"), Column("unit"), Column("period"), Column("kind", goes=2), Column("counts")
        )
        for each in found:
            kind = "hard" if each.hard else "soft"
            sheet.add(
                each.name, present.amount(each.amount, each.unit), each.unit, each.period, kind, present.about(each)
            )
        sheet.print(text.console())
        _print_awaited(found)
        common.print_hint("token-calc budget status", "shows how they stand", store)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this budget.", show_default=False)] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what is spent, reserved for calls under way, and left; exit code 1 when a budget is over.

    Example: token-calc budget status || echo over budget
    """
    with common.told():
        tracker = _tracker(store)
        found: Sequence[BudgetStatus] = tracker.list() if name is None else [tracker.get_remaining(name)]
        if as_json:
            text.print_json([each.to_dict() for each in found])
        else:
            _print_status(found, tz, store, is_all=name is None)
    if any(each.is_over for each in found):
        raise typer.Exit(OVER)


def _print_status(found: Sequence[BudgetStatus], tz: str | None, store: str | None, *, is_all: bool) -> None:
    is_over = any(each.is_over for each in found)
    text.console().print(Text(present.headline(found), style="bold red" if is_over else "bold"))
    if is_all:
        _print_awaited(found)
    if not found:
        common.print_hint("token-calc budget set 50 month", "sets one", store)
        return
    text.console().print()
    where, now = common.zone(tz), clock.now()
    sheet = Sheet(
        Column("budget"),
        Column("period", goes=2),
        number("spent"),
        number("of"),
        number("reserved", goes=4),
        number("left", goes=5),
        Column(goes=3, least=BAR),
        number("share"),
        number("elapsed", goes=4),
        Column("runs out", goes=1),
    )
    for each in found:
        part, elapsed = present.share(each), elapsed_share(each, now)
        style = present.style(each)
        sheet.add(
            Text(each.name, style=style),
            present.period(each),
            Text(present.amount(each.spent, each.unit), style="yellow" if each.estimated else ""),
            f"{present.amount(each.amount, each.unit)}{'' if each.unit == 'usd' else ' ' + each.unit}",
            present.amount(each.reserved, each.unit) if each.reserved else "",
            Text(present.amount(each.remaining, each.unit), style=style),
            Text(f"{text.bar(min(round(1000 * part), 1000), 1000, BAR):{BAR}}", style=style),
            Text(f"{100 * part:.0f} %", style=style),
            "" if elapsed is None else f"{100 * elapsed:.0f} %",
            "" if each.is_over else present.when(each.runs_out_at, where),
        )
    sheet.print(text.console())
    if is_over:
        over = next(each.name for each in found if each.is_over)
        common.print_hint(f"token-calc budget history {over}", "shows its periods and who changed it", store)
    else:
        common.print_hint("token-calc costs --by agent", "shows where the money goes", store)


@app.command()
def override(
    name: NameArgument,
    amount: AmountArgument,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The last day: 2026-01-31, today, ...")],
    by: Annotated[str, typer.Option("--by", metavar="WHO", help="Who grants it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="And why.")],
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Grant more on top of a budget, for a while; the history keeps by whom and why.

    Example: token-calc budget override search 10 --until today --by ann --why "launch day"
    """
    with common.told():
        found = _tracker(store).override(name, amount, until=until, by=by, why=why)
        if as_json:
            text.print_json(found.to_dict())
            return
        left = present.amount(found.remaining, found.unit)
        text.console().print(Text(f"{name}: {present.amount(found.amount, found.unit)} until {until}, {left} left."))
        common.print_hint(f"token-calc budget history {name}", "shows all that was granted", store)


@app.command()
def remove(name: NameArgument, by: ByOption = None, why: WhyOption = None, store: common.StoreOption = None) -> None:
    """Take a budget away; its history stays.

    Example: token-calc budget remove search
    """
    with common.told():
        _tracker(store).remove(name, by=by, why=why)
        text.console().print(Text(f"{name} is no budget any more; its history stays."))


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this budget.", show_default=False)] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show who changed a budget, when and why, and how its periods went.

    Example: token-calc budget history search
    """
    with common.told():
        tracker, where = _tracker(store), common.zone(tz)
        changes = tracker.history(name)
        is_set = name is not None and any(each.name == name for each in tracker.list())
        periods = tracker.periods(name) if name is not None and is_set else []
        if as_json:
            text.print_json(
                {"changes": [each.to_dict() for each in changes], "periods": [each.to_dict() for each in periods]}
            )
            return
        if not changes:
            common.fail(f"No budget{'' if name is None else f' {name!r}'} was ever set.", common.NOT_FOUND)
        sheet = Sheet(
            Column("when"), Column("budget"), Column("what"), Column("by"), Column("why"), Column("details", goes=1)
        )
        for change in changes:
            details = present.details(change.details)
            sheet.add(
                text.moment(change.at, where), change.name, change.kind, change.by or "", change.why or "", details
            )
        sheet.print(text.console())
        if periods:
            text.console().print()
            _print_periods(periods)
        common.print_hint("token-calc budget status", "shows how they stand now", store)


def _print_awaited(found: Sequence[BudgetStatus]) -> None:
    if said := present.awaited(found):
        text.console().print(Text(said, style="yellow"))


def _print_periods(found: Sequence[BudgetStatus]) -> None:
    sheet = Sheet(Column("period"), number("spent"), number("of"), Column(goes=1, least=BAR), number("share"))
    for each in found[-MOST_PERIODS:]:
        part = present.share(each)
        style = "red" if each.is_over else ""
        sheet.add(
            each.key,
            Text(present.amount(each.spent, each.unit), style=style),
            present.amount(each.amount, each.unit),
            Text(f"{text.bar(min(round(1000 * part), 1000), 1000, BAR):{BAR}}", style=style),
            f"{100 * part:.0f} %",
        )
    sheet.print(text.console())


def _unit(found: BudgetStatus) -> str:
    return "" if found.unit == "usd" else f"{found.unit} "


def _tracker(store: str | None, *, makes: bool = False) -> BudgetTracker:
    """Return the budgets of a store; a question makes no store, while setting one does."""
    where = store or settings.load().store
    if makes and where not in ("memory", ":memory:"):
        return BudgetTracker(store)
    return BudgetTracker(common.open_store(store))
