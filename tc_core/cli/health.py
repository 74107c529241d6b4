"""`token-calc health`: how recorded conversations fare, and how that went."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.filters import filters_of
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.errors import LineageError
from tc_core.health import present, sql
from tc_core.health.present import Conversation, conversations, sparkline
from tc_core.health.sql import Recorded
from tc_core.health.status import HealthThresholds
from tc_core.lineage import find
from tc_core.model.event import to_us
from tc_core.model.period import period
from tc_core.runtime.recorders import wait_for_parts
from tc_core.store.sql import SqlStore

MOST_ROWS = 30
TREND, LONG_TREND = 12, 40


def health(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="SESSION",
            help="A session, or `last`, or a run by id, the end of one, or a name.",
            show_default=False,
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this agent's conversations.", show_default=False)
    ] = None,
    since: common.SinceOption = None,
    until: common.UntilOption = None,
    where: common.FilterOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show how conversations fare: how full their context is, what of it still matters, loops and planted instructions.

    Example: token-calc health last
    """
    with common.told():
        source = common.open_store(store)
        filters = filters_of(where or []) | ({} if agent is None else {"agent_id": agent})
        asked = period(since, until, tz=common.zone(tz))
        span = [None if at is None else to_us(at) for at in (asked.start, asked.end)]
        wait_for_parts(source)
        recorded = sql.read(source, filters | ({} if wanted is None else _scope(source, wanted)), *span)
        found = conversations(recorded)
        if as_json:
            text.print_json([each.to_dict() for each in found])
        elif wanted is not None and found:
            for each in found:
                _print_conversation(each)
        else:
            _print_all(found, store)


def _scope(source: SqlStore, wanted: str) -> dict[str, str]:
    """Return the filter that means a session, else the run that is meant."""
    if source.count({"session_id": wanted}):
        return {"session_id": wanted}
    try:
        return {"root_id": find.run_id(source, wanted)}
    except LineageError as error:
        raise LineageError(f"No session {wanted} is recorded, and no run. {error}") from error


def _print_all(found: Sequence[Conversation], store: str | None) -> None:
    console = text.console()
    if not found:
        console.print(Text("No conversation is recorded there whose texts were read: see docs/health.md."))
        return
    console.print(present.title(found))
    console.print()
    sheet = Sheet(
        Column("conversation"),
        Column("agent", least=8),
        Column("model", least=8, goes=1),
        *(number("calls", goes=6), number("context", goes=7), Column("", goes=2), number("rot", goes=4)),
        *(number("repeats", goes=5),),
        *(number("injection", goes=3), Column("state")),
    )
    for each in found[:MOST_ROWS]:
        last = each.last
        sheet.add(
            each.short_name,
            each.agent_id or text.EMPTY,
            last.model or text.EMPTY,
            f"{len(each.calls):,}",
            text.EMPTY if last.context_usage is None else f"{last.context_usage:.0f} %",
            sparkline([call.context_usage for call in each.calls], 100, TREND),
            f"{last.rot_percentage:.0f} %",
            f"{last.signals['repetition']:.2f}",
            f"{last.signals['injection_risk']:.2f}",
            Text(last.state.replace("_", " "), style=present.STYLES[last.state]),
        )
    sheet.print(console)
    if len(found) > MOST_ROWS:
        console.print(Text(f"and {len(found) - MOST_ROWS:,} more (--json has all)", style="dim"))
    common.print_hint(f"token-calc health {found[0].name[-8:] if found[0].last.session_id is None else found[0].name}",
                      "shows each signal over its calls", store)  # fmt: skip


def _print_conversation(found: Conversation) -> None:
    console, last = text.console(), found.last
    agent = f" ({found.agent_id})" if found.agent_id else ""
    console.print(
        Text(f"{found.short_name}{agent}: ", style="bold")
        + Text(last.state.replace("_", " "), style=present.STYLES[last.state])
        + Text(f", {found.reason}.  {text.plural(len(found.calls), 'call')}, {last.messages:,} messages.")
    )
    console.print()
    sheet = Sheet(
        Column("signal"), number("now"), Column("over its calls"), number("told from", goes=1), Column("", goes=2)
    )
    for name, share, written, limit, means in _signals(HealthThresholds()):
        values = [share(call) for call in found.calls]
        most = 100.0 if "%" in written else 1.0
        now = text.EMPTY if values[-1] is None else written.format(values[-1])
        sheet.add(name, now, sparkline(values, most, LONG_TREND), limit, Text(means, style="dim"))
    sheet.print(console)
    if last.context_usage is None:
        said = f"The context window of {last.model or 'the model'} is not known, so its use is not."
        console.print(Text(f"\n{said}", style="yellow"))


def _signals(limits: HealthThresholds) -> list[tuple[str, Callable[[Recorded], float | None], str, str, str]]:
    """Return of each signal its name, its figure, how that is written, from where on it is told of, what it means."""
    rows = (
        ("repetition", "repetition", limits.repetition_warning, "of the last steps were there before"),
        ("topic coherence", "topic_coherence", None, "low where the subject may change"),
        ("injection risk", "injection_risk", limits.injection_warning, "the strongest sentence of a tool"),
        ("stale results", "staleness", limits.staleness_hint, "of what tools have brought"),
        ("overhead", "overhead_share", limits.overhead_hint, "system prompt and schemas of tools"),
    )
    return [
        ("context use", _usage, "{:.0f} %", f"{limits.usage_warning:.0f} %", "of what the model can be sent"),
        ("rot", _rot, "{:.0f} %", f"{limits.rot_warning:.0f} %", "does not hang together with the newest steps"),
        *(
            (name, _signal(key), "{:.2f}", "" if limit is None else f"{limit:.2f}", means)
            for name, key, limit, means in rows
        ),
    ]


def _usage(call: Recorded) -> float | None:
    return call.context_usage


def _rot(call: Recorded) -> float | None:
    return call.rot_percentage


def _signal(name: str) -> Callable[[Recorded], float | None]:
    return lambda call: call.signals[name]
