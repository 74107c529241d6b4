"""`token-calc abtest`: set up an A/B test of two models, see what is known, and stop it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tc_core import settings
from tc_core.cli import common, text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.model import money
from tc_core.selection import rates
from tc_core.selection.ab_setup import ab_tests, check_names, check_setup, create_ab_test, open_ab_test, sql_store
from tc_core.selection.ab_test import ABTest
from tc_core.store.sql import SqlStore
from tc_core.store.storages import InMemoryStorage

if TYPE_CHECKING:
    from tc_core.selection.ab_results import ABArm, ABTestResults
    from tc_core.selection.power import Plan

app = typer.Typer(help="Test two models against each other.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The test's name.")]
EffectOption = Annotated[
    float, typer.Option("--effect", metavar="SHARE", help="The least difference that matters to you.")
]


@app.command()
def create(
    model_a: Annotated[str, typer.Argument(metavar="MODEL_A", help="The model that is used today.")],
    model_b: Annotated[str, typer.Argument(metavar="MODEL_B", help="The model to try.")],
    days: Annotated[float, typer.Option("--days", metavar="DAYS", help="How long it takes units.")] = 14,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Default: MODEL_A-vs-MODEL_B.", show_default=False)
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            "--unit", metavar="NAME", help="What gets one model as a whole: session, workflow, run, or a label."
        ),
    ] = "session",
    split: Annotated[float, typer.Option("--split", metavar="SHARE", help="The share that gets MODEL_B.")] = 0.5,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Whose calls it is about.", show_default=False)
    ] = None,
    baseline: Annotated[
        float, typer.Option("--baseline", metavar="SHARE", help="How often MODEL_A succeeds, for the estimate.")
    ] = 0.8,
    effect: EffectOption = 0.05,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many outcomes it takes, and how many days.")
    ] = False,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Set up a test of two models, and say how many outcomes it takes to see a difference.

    Outcomes are 0 to 1, such as whether a session succeeded; higher is better.

    Example: token-calc abtest create gpt-4o gpt-4o-mini --name support --agent support --dry-run
    """
    with common.told():
        from tc_core.selection.power import plan  # it loads numpy

        check_setup(model_a, model_b, days, name=name, unit=unit, split=split, agent_id=agent)
        opened = _opened(store, makes=False)
        needed = plan(baseline, _fitting(baseline, effect), split=split, a_day=rates.units_a_day(opened, unit, agent))
        check_names(opened, model_a, model_b, unit)
        test = None
        if not dry_run:
            opened = _opened(store, makes=True)
            test = create_ab_test(opened, model_a, model_b, days, name=name, unit=unit, split=split, agent_id=agent)
        if as_json:
            said = None if test is None else {"name": test.name, "ends_at": test.ends_at.isoformat()}
            text.print_json({"test": said, "plan": needed.to_dict()})
            return
        console = text.console()
        if test is not None:
            gets = f"{round(100 * split, 1):g} % of {_plural(unit)} get {model_b}, the others {model_a}"
            until = text.moment(test.ends_at, common.zone(None))
            console.print(Text(f"{test.name}: until {until}, {gets}.", style="bold"))
        for line in _plan_lines(needed, unit, days, agent):
            console.print(Text(line))
        if test is None:
            common.print_hint("the same without --dry-run", "sets it up")
            return
        how = f'TokenCalculatorMiddleware(ab_test="{test.name}"), or test.using(...) by hand'
        console.print(Text(f"\nIn the program: {how};\nthen test.record_outcome(...) with how each came out."))
        common.print_hint(f"token-calc abtest status {test.name}", "says what is known", store)


@app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Default: the newest.", show_default=False)
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="WAY", help="mixture, or pairs: exact at every size, later for small differences.")
    ] = "mixture",
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Say what is known of a test. Look as often as you like: that is allowed for.

    Example: token-calc abtest status support
    """
    with common.told():
        opened = common.open_store(store)
        test = _newest(ab_tests(opened)) if name is None else open_ab_test(opened, name)
        found = test.results(method)  # type: ignore[arg-type]  # it says which there are
        if as_json:
            text.print_json(found.to_dict())
            return
        _print(found, tz, store)


@app.command("list")
def list_tests(store: common.StoreOption = None, as_json: common.JsonOption = False) -> None:
    """List all tests, the newest first.

    Example: token-calc abtest list
    """
    with common.told():
        where = store or settings.load().store
        tests = ab_tests(InMemoryStorage() if common.is_missing(where) else common.open_store(store))
        found = [test.results() for test in tests]
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        if not found:
            text.console().print("There are no A/B tests.")
            common.print_hint("token-calc abtest create gpt-4o gpt-4o-mini", "sets one up", store)
            return
        sheet = Sheet(
            Column("test"), Column("a", goes=2), Column("b", goes=2), Column("unit", goes=1), Column("state"),
            number("units"), number("outcomes"), Column("known", least=20),
        )  # fmt: skip
        for each in found:
            units = text.count(each.a.assigned + each.b.assigned)
            sheet.add(
                each.name, each.a.model, each.b.model, each.unit, _state(each), units, text.count(each.outcomes),
                _known(each),
            )  # fmt: skip
        sheet.print(text.console())
        common.print_hint(f"token-calc abtest status {found[0].name}", "says what is known of one", store)


@app.command()
def stop(
    name: NameArgument,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="MODEL", help="What everybody gets from now on; default: MODEL_A.", show_default=False
        ),
    ] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Stop a test for good; programs that run see it within some seconds.

    Example: token-calc abtest stop support --keep gpt-4o-mini
    """
    with common.told():
        found = open_ab_test(common.open_store(store), name).stop(keep)
        if as_json:
            text.print_json(found.to_dict())
            return
        _print(found, tz, store)


def _print(found: "ABTestResults", tz: str | None, store: str | None) -> None:
    console, zone = text.console(), common.zone(tz)
    style = "bold red" if found.is_lopsided else "bold green" if found.significant else "bold"
    console.print(Text(found.verdict, style=style))
    moment = found.stopped_at if found.state == "stopped" and found.stopped_at is not None else found.ends_at
    when = {"running": "runs until", "ended": "ended on", "stopped": "was stopped on"}[found.state]
    kept = "" if found.kept_model is None else f"; everybody gets {found.kept_model}"
    console.print(Text(f"{found.name}, by {found.unit}, {when} {text.moment(moment, zone)}{kept}.\n", style="dim"))
    sheet = Sheet(
        Column("arm"), Column("model"), number("units"), number("outcomes"), number("mean"), number("calls", goes=3),
        number("cost"), number("each", goes=5), number("latency", goes=4), number("errors", goes=2),
        number("unpriced", goes=1),
    )  # fmt: skip
    arms = (("a", found.a), ("b", found.b))
    decimals = text.column_decimals(arm.cost_nanos for _, arm in arms)
    each_decimals = text.column_decimals(_each_nanos(arm) for _, arm in arms)
    for name, arm in arms:
        sheet.add(
            name, arm.model, text.count(arm.assigned), text.count(arm.outcomes), _mean(arm), text.count(arm.calls),
            text.cost_text(arm.cost_nanos if arm.calls else 0, decimals),
            "" if _each_nanos(arm) is None else text.usd(_each_nanos(arm), decimals=each_decimals),
            text.seconds(arm.latency_ms), str(arm.errors or ""), Text(str(arm.unpriced_calls or ""), style="yellow"),
        )  # fmt: skip
    sheet.print(console)
    if any(arm.cost_per_completed is not None for _, arm in arms):
        console.print(Text("each: what the arm's calls cost, for each outcome of 1", style="dim"))
    if found.state == "running" and found.winner is not None:
        common.print_hint(f"token-calc abtest stop {found.name} --keep {found.winner}", "ends it", store)
    elif found.state == "running":
        common.print_hint(f"token-calc abtest status {found.name}", "again, as often as you like", store)
    else:
        common.print_hint(f"token-calc costs --by labels.ab_test.{found.name},model", "shows its calls", store)


def _each_nanos(arm: "ABArm") -> int | None:
    each = arm.cost_per_completed
    return None if each is None else round(each * money.NANOS_PER_DOLLAR)


def _mean(arm: "ABArm") -> str:
    return text.EMPTY if arm.mean is None else f"{arm.mean:.3f}"


def _state(found: "ABTestResults") -> str:
    return found.state if found.kept_model is None else f"{found.state}, keeps {found.kept_model}"


def _known(found: "ABTestResults") -> Text:
    if found.is_lopsided:
        return Text("lopsided", style="red")
    return Text(f"{found.winner} is better", style="green") if found.winner else Text("nothing yet", style="dim")


def _plan_lines(needed: "Plan", unit: str, days: float, agent: str | None) -> list[str]:
    seen = f"To see a difference of {abs(100 * needed.effect):g} points from {100 * needed.baseline:g} %"
    lines = [f"{seen} takes {needed.median:,} outcomes in half of all tests, {needed.outcomes:,} in 4 of 5."]
    who, late = "" if agent is None else f" of {agent}", f"in the last {rates.DAYS} days"
    if needed.days is None or not needed.a_day:
        said = f"No {_plural(unit)}{who} were recorded {late}, so how long that takes is not known."
        return [*lines, said]
    rate = f"With {needed.a_day:,.3g} {_plural(unit)} a day{who}, as {late}, that is"
    lines.append(f"{rate} {needed.days:,.0f} days where each has an outcome.")
    if needed.days > days:
        there = f"In {days:g} days there are about {needed.a_day * days:,.0f}"
        lines.append(f"{there}: give it longer, or look for a larger --effect.")
    return lines


def _fitting(baseline: float, effect: float) -> float:
    """Return the difference downwards, or upwards where there is no room for it."""
    return -abs(effect) if baseline - abs(effect) > 0 else abs(effect)


def _plural(unit: str) -> str:
    return f"{unit}s" if unit in ("session", "workflow", "run") else f"values of {unit}"


def _newest(tests: list[ABTest]) -> ABTest:
    if not tests:
        common.fail("There are no A/B tests: `token-calc abtest create` sets one up.", common.NOT_FOUND)
    return tests[0]


def _opened(store: str | None, *, makes: bool) -> SqlStore:
    """Return the store to set a test up in; where there is none it is made, or an empty one stands for it."""
    where = store or settings.load().store
    if common.is_missing(where) and not makes:
        return sql_store(InMemoryStorage())
    return common.open_store(store) if where in ("memory", ":memory:") else sql_store(where)
