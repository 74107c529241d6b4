"""`token-calc alerts`: which rules there are, what they have fired, and who was told."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core import settings
from tc_core.alerts.channels import try_channels
from tc_core.alerts.manager import AlertManager
from tc_core.alerts.outbox_sql import Delivery
from tc_core.alerts.rules import Alert
from tc_core.alerts.standing import RuleStanding
from tc_core.cli import common, text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.model import clock
from tc_core.model.period import period
from tc_core.store.storages import InMemoryStorage

UNDELIVERED = 1
"""The exit code of `test` where something did not arrive."""

COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan"}
OFF = "off"

app = typer.Typer(help="See what rules have fired, and silence or test them.", no_args_is_help=True)

ByOption = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who does it.", show_default=False)]
RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="The rule's name.")]


@app.command("list")
def list_rules(
    tz: common.ZoneOption = None, store: common.StoreOption = None, as_json: common.JsonOption = False
) -> None:
    """List the rules of the settings file, and those of programs that have fired, with what fires now.

    Example: token-calc alerts list
    """
    with common.told():
        where = store or settings.load().store
        manager = AlertManager(InMemoryStorage()) if common.is_missing(where) else _manager(store)
        found = manager.standings()
        if as_json:
            text.print_json([each.to_dict() for each in found])
            return
        console, zone = text.console(), common.zone(tz)
        if not found:
            console.print(f"There are no alert rules. Write some under alerts.rules in {settings.FILE_NAME}:")
            console.print(Text("\nalerts:\n  rules:\n    - {name: dear-call, type: cost, threshold: 0.5}", style="dim"))
            return
        sheet = Sheet(
            Column("rule"), Column("type", goes=2), Column("severity"), Column("tells", goes=3),
            Column("now", least=24), number("fired"), Column("last", goes=1),
        )  # fmt: skip
        for each in found:
            last = "" if each.fired_at is None else text.moment(each.fired_at, zone)
            severity = Text(each.severity, style=COLOURS.get(each.severity, ""))
            sheet.add(
                each.name, each.kind, severity, ", ".join(each.channels), _now(each), str(each.alerts or ""), last
            )
        sheet.print(console)
        for each in found:
            for fault in each.faults:
                console.print(Text(f"{each.name}: {fault}", style="red"))
        if any(each.alerts for each in found):
            common.print_hint("token-calc alerts history", "shows what they said", store)
        else:
            common.print_hint("token-calc alerts test", "tries the channels", None)


@app.command()
def history(
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Only this rule.", show_default=False)] = None,
    since: common.SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="So many at most.")] = 20,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show the alerts that were fired, the newest first, and whether those who are told have taken them.

    Example: token-calc alerts history --since this-week
    """
    with common.told():
        manager = _manager(store)
        zone = common.zone(tz)
        begin = None if since is None else period(since, None, tz=zone).start
        found = manager.history(rule, since=begin, limit=limit)
        sent = manager.deliveries(*(alert.alert_id for alert in found))
        if as_json:
            text.print_json([_plain(alert, sent) for alert in found])
            return
        console = text.console()
        if not found:
            console.print(f"No alert was fired{'' if rule is None else f' by a rule {rule!r}'}.")
            common.print_hint("token-calc alerts list", "shows the rules", store)
            return
        sheet = Sheet(
            Column("fired"), Column("severity"), Column("rule"), Column("about", goes=2), Column("state"),
            Column("told", goes=3), Column("id", goes=1), Column("message", hangs=True),
        )  # fmt: skip
        for alert in found:
            severity = Text(alert.severity, style=COLOURS[alert.severity])
            fired = text.moment(alert.fired_at, zone)
            told = _told([each for each in sent if each.alert_id == alert.alert_id])
            sheet.add(fired, severity, alert.rule, alert.key, _state(alert), told, alert.alert_id[-8:], alert.message)
        sheet.print(console)
        if any(alert.acknowledged_at is None and alert.resolved_at is None for alert in found):
            common.print_hint(f"token-calc alerts ack {found[0].alert_id[-8:]}", "says that you have seen one", store)


@app.command("test")
def try_out(
    channels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHANNEL]...", help="Only these: console, webhook, email, apprise.", show_default=False
        ),
    ] = None,
    as_json: common.JsonOption = False,
) -> None:
    """Send a test alert over each channel of the settings, and say what came of it; exit code 1 when one failed.

    Example: token-calc alerts test webhook
    """
    with common.told():
        found = list(try_channels(channels or ()))
    if as_json:
        text.print_json([each.to_dict() for each in found])
    else:
        sheet = Sheet(Column(), Column(), number(""), Column(hangs=True))
        for each in found:
            said = Text("arrived", style="green") if each.fault is None else Text("failed", style="red")
            sheet.add(each.channel, said, text.seconds(each.took_ms), each.fault or "")
        sheet.print(text.console())
    if any(each.fault is not None for each in found):
        raise typer.Exit(UNDELIVERED)


@app.command()
def silence(
    rule: RuleArgument,
    until: Annotated[
        str, typer.Argument(metavar="UNTIL", help=f"2h, 30m, 7d, a date (its end), or {OFF} to end a silence.")
    ],
    by: ByOption = None,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="And why.", show_default=False)] = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
) -> None:
    """Have a rule tell nobody for a while; what still holds then is told then.

    Example: token-calc alerts silence cost-spike 2h --by ann --why "a load test"
    """
    with common.told():
        manager = _manager(store)
        known = [each.name for each in manager.standings()]
        if rule not in known:
            names = f": there are {', '.join(known)}" if known else ", and no other"
            common.fail(f"There is no rule {rule!r}{names}.", common.NOT_FOUND)
        zone = common.zone(tz)
        end = manager.silence(rule, clock.now() if until == OFF else until, by=by, why=why, tz=zone)
        if end <= clock.now():
            text.console().print(f"{rule} is silent no more.")
            return
        text.console().print(f"{rule} is silent until {text.moment(end, zone)}.")
        common.print_hint(f"token-calc alerts silence {rule} {OFF}", "ends it", store)


@app.command()
def ack(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="The alert's id, its beginning or its end.")],
    by: ByOption = None,
    store: common.StoreOption = None,
) -> None:
    """Say that somebody has seen an alert: it is not told again while it lasts.

    Example: token-calc alerts ack 01a2b3c4 --by ann
    """
    with common.told():
        alert = _manager(store).acknowledge(alert_id, by=by)
        text.console().print(Text(f"{alert.rule}: {alert.message}"))
        text.console().print("It is not told again while it lasts.")


def _manager(store: str | None) -> AlertManager:
    return AlertManager(common.open_store(store))


def _now(each: RuleStanding) -> Text:
    if each.faults:
        return Text("cannot", style="red")
    if each.silenced_until is not None:
        return Text(f"silent until {each.silenced_until:%Y-%m-%d %H:%M} UTC", style="yellow")
    if not each.firing:
        return Text("")
    keys = ", ".join(key for key in each.firing[:3] if key)
    more = f" and {len(each.firing) - 3} more" if len(each.firing) > 3 else ""
    return Text(f"firing{': ' if keys else ''}{keys}{more}", style="red")


def _state(alert: Alert) -> str:
    if alert.resolved_at is not None:
        return "over"
    return (
        "firing"
        if alert.acknowledged_at is None
        else f"seen{f' by {alert.acknowledged_by}' if alert.acknowledged_by else ''}"
    )


def _told(sent: list[Delivery]) -> Text:
    """Return the channels, each by what came of its last attempt."""
    last = {each.channel: each.fault for each in sent}
    parts = [
        Text(channel, style="red" if fault else "green") + (" failed" if fault else "")
        for channel, fault in last.items()
    ]
    return Text(", ").join(parts)


def _plain(alert: Alert, sent: list[Delivery]) -> dict[str, object]:
    own = [each for each in sent if each.alert_id == alert.alert_id]
    return alert.to_dict() | {
        "deliveries": [
            {"channel": each.channel, "at_us": each.at_us, "took_ms": each.took_us / 1000, "fault": each.fault}
            for each in own
        ]
    }
