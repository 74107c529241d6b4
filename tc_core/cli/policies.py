"""`token-calc policies`: what could be done about calls before they are made, tried, applied, and taken back."""

import shlex
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from tc_core import settings
from tc_core.cli import common, text
from tc_core.cli.filters import filters_of, print_unknown, print_unknown_models, unknown
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.costs.headline import when
from tc_core.errors import ConfigurationError
from tc_core.model import money
from tc_core.model.period import Period, period
from tc_core.selection.policies.dry_run import PolicyDryRun
from tc_core.selection.policies.manager import PERIOD, PolicyManager
from tc_core.selection.policies.policy import KINDS, Policy
from tc_core.selection.policies.status import PolicyStatus

app = typer.Typer(help="Act on calls before they are made: try, apply, undo.", no_args_is_help=True)

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="As `policies list` shows it, or of a new one.", show_default=False),
]
KindOption = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help=f"A new one: {', '.join(KINDS)}.", show_default=False)
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="route: calls of this model", show_default=False)
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="MODEL", help="go to this one.", show_default=False)]
FloorOption = Annotated[
    float | None,
    typer.Option("--floor", metavar="SHARE", help="route: so many runs at first; 0.1.", show_default=False),
]
MarginOption = Annotated[
    float | None,
    typer.Option("--margin", metavar="SHARE", help="route: so much worse at most; 0.05.", show_default=False),
]
UnitOption = Annotated[
    str | None, typer.Option("--unit", metavar="UNIT", help="route: run or session.", show_default=False)
]
AtOption = Annotated[
    float | None,
    typer.Option(
        "--at", metavar="SIZE", help="trim: from so many tokens, or this share of the window, on.", show_default=False
    ),
]
TtlOption = Annotated[
    float | None, typer.Option("--ttl", metavar="SECONDS", help="cache: kept so long; 3600.", show_default=False)
]
MostOption = Annotated[
    int | None, typer.Option("--most", metavar="N", help="cache: so many answers; 1000.", show_default=False)
]
TemperatureOption = Annotated[
    str | None,
    typer.Option("--temperature", metavar="WAY", help="cache: zero, or unset for both; zero.", show_default=False),
]
RoundsOption = Annotated[
    int | None, typer.Option("--rounds", metavar="N", help="loop: the same so often; 3.", show_default=False)
]
SinceOption = Annotated[str, typer.Option("--since", metavar="DATE", help="From when on recorded calls count.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="WHO", help="Who does it, for the log.", show_default=False)
]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="And why.", show_default=False)]


@app.command("list")
def list_policies(
    since: SinceOption = PERIOD,
    until: common.UntilOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """List policies: those that are on or were, and what others would have saved of the recorded calls.

    Example: token-calc policies list --since this-month
    """
    with common.told():
        manager, zone = PolicyManager(common.open_store(store)), common.zone(tz)
        known = manager.list()
        tried = {
            each.policy.name: manager.dry_run(each.policy, start_date=since, end_date=until, tz=zone)
            for each in known
            if not each.is_on
        }
        found = manager.proposals(start_date=since, end_date=until, tz=zone)
        names = {each.policy.name for each in known}
        others = [each for each in found if each.policy.name not in names]
        if as_json:
            text.print_json(
                {
                    "policies": [{**each.to_dict(), "dry_run": _plain(tried.get(each.policy.name))} for each in known],
                    "proposals": [each.to_dict() for each in others],
                }
            )
            return
        _print_list(known, tried, others, when(since, until))
        if not others:
            _print_silence(manager, period(since, until, tz=zone))
        _print_list_hint(known, others, store)


def _print_list(
    known: Sequence[PolicyStatus],
    tried: dict[str, PolicyDryRun],
    others: Sequence[PolicyDryRun],
    period: str,
) -> None:
    console = text.console()
    on = [each for each in known if each.is_on]
    line = Text()
    if on:
        whole = text.usd(sum(each.acted.saved_nanos for each in on))
        verb = "policy is on, and has" if len(on) == 1 else "policies are on, and have"
        line.append(f"{len(on)} {verb} saved {whole} so far.", style="bold")
    else:
        line.append("No policy is on.", style="bold")
    if others:
        best, more = others[0], "more " if known else ""
        line.append(f"  {len(others)} {more}would have saved")
        if len(others) == 1:
            line.append(f" {text.usd(best.saved_nanos)} of {text.usd(best.cost_nanos)} {period}.")
        else:
            line.append(f" something {period}, the first {text.usd(best.saved_nanos)}; what they save overlaps.")
    elif not known:
        line.append(f"  None is known that would have saved anything {period}.")
    console.print(line)
    if known or others:
        console.print()
        sheet = Sheet(
            Column("name", least=32),
            Column("kind", goes=2),
            Column("state"),
            Column("what", least=24, goes=1),
            number("calls"),
            number("saves"),
        )
        runs = [*tried.values(), *others]
        decimals = text.column_decimals(
            [*(each.acted.saved_nanos for each in on), *(each.saved_nanos for each in runs)]
        )
        for each in known:
            run = tried.get(each.policy.name)
            acts = each.acted.calls if run is None else run.acts
            saved = each.acted.saved_nanos if run is None else run.saved_nanos
            style = {"on": "green", "rolled back": "red"}.get(each.state, "")
            sheet.add(
                each.policy.name,
                each.policy.kind,
                Text(each.state, style=style),
                each.policy.said,
                text.count(acts),
                text.cost_text(saved, decimals),
            )
        for other in others:
            policy = other.policy
            cost = text.cost_text(other.saved_nanos, decimals)
            sheet.add(
                policy.name, policy.kind, Text("proposed", style="dim"), policy.said, text.count(other.acts), cost
            )
        sheet.print(console)
        if on and (tried or others):
            said = f"What is on: calls changed and saved since then.  Others: what they would have, {period.strip()}."
            console.print(Text(f"\n{said}", style="dim"))


def _print_list_hint(known: Sequence[PolicyStatus], others: Sequence[PolicyDryRun], store: str | None) -> None:
    waiting = [each.policy.name for each in known if each.state == "off"] + [each.policy.name for each in others]
    if waiting:
        common.print_hint(
            f"token-calc policies dry-run {shlex.quote(waiting[0])}", "shows what it would have done", store
        )
    elif any(each.is_on for each in known):
        common.print_hint("token-calc policies log", "shows who has applied what", store)
    else:
        common.print_hint("token-calc recommend", "shows what else would save", store)


@app.command("dry-run")
def dry_run(
    name: NameArgument = None,
    kind: KindOption = None,
    where: common.FilterOption = None,
    model: ModelOption = None,
    to: ToOption = None,
    floor: FloorOption = None,
    margin: MarginOption = None,
    unit: UnitOption = None,
    at: AtOption = None,
    ttl_s: TtlOption = None,
    most: MostOption = None,
    temperature: TemperatureOption = None,
    rounds: RoundsOption = None,
    since: SinceOption = PERIOD,
    until: common.UntilOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what a policy would have saved of the recorded calls, and change nothing.

    Example: token-calc policies dry-run --kind route --model gpt-4o --to gpt-4o-mini
    """
    with common.told():
        options = {"model": model, "to": to, "floor": floor, "margin": margin, "unit": unit, "at": at}
        options |= {"ttl_s": ttl_s, "most": most, "temperature": temperature, "rounds": rounds}
        manager = PolicyManager(common.open_store(store))
        policy = _policy(name, kind, where, options)
        found = manager.dry_run(policy, start_date=since, end_date=until, tz=common.zone(tz))
        if as_json:
            text.print_json(found.to_dict())
            return
        _print_dry_run(found, when(since, until))
        if not found.calls:
            _print_silence(manager, period(since, until, tz=common.zone(tz)))
        print_unknown(unknown(manager.storage, found.policy.filters, Period()))
        print_unknown_models(manager.storage, found.policy.filters)
        if found.event_ids:
            common.print_hint(f"token-calc show {found.event_ids[0]}", "shows the dearest of these calls", store)
        else:
            common.print_hint("token-calc policies list", "shows what would have saved something", store)


def _print_dry_run(found: PolicyDryRun, period: str) -> None:
    console, policy = text.console(), found.policy
    if not found.calls:
        console.print(Text(f"No call {period} is one that {policy.name} is about: {policy.said}."))
        return
    line = Text(text.usd(found.saved_nanos), style="bold")
    line.append(f" of {text.usd(found.cost_nanos)} would have been saved {period} by {policy.name}")
    if found.monthly_saved:
        line.append(f": {text.usd(money.to_nanos(round(found.monthly_saved, 9)))} in 30 days")
    line.append(".")
    console.print(line)
    console.print()
    sheet = Sheet(Column(), Column(least=40))
    sheet.add("what", f"{policy.kind}: {policy.said}")
    days = text.plural(found.days, "day")
    sheet.add("acts on", f"{found.acts:,} of {text.plural(found.calls, 'call')}, of {days}")
    sheet.print(console)
    for place, note in enumerate(found.notes):
        console.print(Text(("" if place else "\n") + f"Note: {note}.", style="yellow"))


@app.command()
def apply(
    name: NameArgument = None,
    kind: KindOption = None,
    where: common.FilterOption = None,
    model: ModelOption = None,
    to: ToOption = None,
    floor: FloorOption = None,
    margin: MarginOption = None,
    unit: UnitOption = None,
    at: AtOption = None,
    ttl_s: TtlOption = None,
    most: MostOption = None,
    temperature: TemperatureOption = None,
    rounds: RoundsOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    since: SinceOption = PERIOD,
    until: common.UntilOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Have a policy hold from now on, in all programs that let their calls be changed.

    Example: token-calc policies apply route-planner-gpt-4o-mini --by ann --why "a try"
    """
    with common.told():
        options = {"model": model, "to": to, "floor": floor, "margin": margin, "unit": unit, "at": at}
        options |= {"ttl_s": ttl_s, "most": most, "temperature": temperature, "rounds": rounds}
        manager = PolicyManager(common.open_store(store))
        policy = _policy(name, kind, where, options)
        found = manager.apply(policy, by=by, why=why, start_date=since, end_date=until, tz=common.zone(tz))
        if as_json:
            text.print_json({**found.to_dict(), "hosts": manager.hosts(found.policy)})
            return
        console = text.console()
        console.print(Text(f"{found.policy.name} is on: {found.policy.said}.", style="bold"))
        for host, said in manager.hosts(found.policy).items():
            console.print(Text(f"  {host}: {said}.", style="yellow" if "has no way to" in said else ""))
        if not settings.load().tracking.enforce:
            said = "Programs follow where tc_core.instrument(enforce=True) or TOKEN_CALC_ENFORCE=true says so."
            console.print(Text(said, style="yellow"))
        print_unknown(unknown(manager.storage, found.policy.filters, Period()))
        print_unknown_models(manager.storage, found.policy.filters)
        common.print_hint(f"token-calc policies undo {shlex.quote(found.policy.name)}", "takes it back", store)


@app.command()
def undo(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")],
    by: ByOption = None,
    why: WhyOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Take back what was applied last under a name: what was on before that is on again, or nothing.

    Example: token-calc policies undo route-planner-gpt-4o-mini
    """
    with common.told():
        found = PolicyManager(common.open_store(store)).undo(name, by=by, why=why)
        if as_json:
            text.print_json(found.to_dict())
            return
        said = f"is as before again: {found.policy.said}" if found.is_on else "is off again; the log keeps what it was"
        text.console().print(Text(f"{name} {said}."))
        common.print_hint("token-calc policies log", "shows who has changed what", store)


@app.command()
def log(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this policy.", show_default=False)] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show who has applied, changed or taken back which policy, when and why.

    Example: token-calc policies log
    """
    with common.told():
        manager = PolicyManager(common.open_store(store))
        found = manager.log(name)
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        console, zone = text.console(), common.zone(tz)
        if not found:
            whose = "No policy" if name is None else f"{name!r}"
            console.print(Text(f"{whose} was {'ever' if name is None else 'never'} applied."))
            common.print_hint("token-calc policies list", "shows what could be", store)
            return
        sheet = Sheet(Column("when"), Column("policy"), Column("what"), Column("by"), Column("why", least=24))
        for each in found:
            style = {"rolled back": "red", "undone": "yellow"}.get(each.kind, "")
            sheet.add(text.moment(each.at, zone), each.name, Text(each.kind, style=style), each.by, each.why or "")
        sheet.print(console)
        common.print_hint("token-calc policies list", "shows what is on", store)


def _print_silence(manager: PolicyManager, asked: Period) -> None:
    """Say when the last call was, where the period has none at all."""
    calls = {"event_type": "llm_call"}
    if manager.storage.query_events(calls, asked.start, asked.end, limit=1):
        return
    last = manager.storage.query_events(calls, None, None, limit=1, descending=True)
    if last:
        day = last[0].timestamp.date()
        said = f"\nThe period has no calls; the last was on {day}: --since {day - timedelta(days=30)} looks at it."
        text.console().print(Text(said, style="yellow"))


def _policy(name: str | None, kind: str | None, where: list[str] | None, options: dict[str, Any]) -> Policy | str:
    """Return the policy that is meant: a new one where its kind is said, else the one of a name."""
    said = {key: value for key, value in options.items() if value is not None}
    if kind is None:
        if said or where:
            first = f"--{next(iter(said), 'filter')}".replace("ttl_s", "ttl")
            raise ConfigurationError(f"{first} is of a new policy: say its --kind too, one of {', '.join(KINDS)}")
        if name is None:
            raise ConfigurationError(
                "name a policy, as `token-calc policies list` shows it, or say the --kind of a new one"
            )
        return name
    if kind not in KINDS:
        raise ConfigurationError(f"--kind must be one of {', '.join(KINDS)}, not {kind!r}")
    filters = filters_of(where or [])
    whose = [value for values in filters.values() for value in ([values] if isinstance(values, str) else values or [])]
    made = "-".join(filter(None, [kind, *whose, to_name(options["to"])]))
    return Policy(name=name or made, kind=kind, filters=filters, **said)


def to_name(model: object) -> str:
    """Return a model's name as part of a policy's."""
    return str(model).replace("/", "-") if model else ""


def _plain(found: PolicyDryRun | None) -> dict[str, Any] | None:
    return None if found is None else found.to_dict()
