"""What the doctor says of alerts: rules that cannot fire, channels that cannot be sent over, and what waits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from sqlalchemy import Connection

from tc_core import settings
from tc_core.alerts import outbox_sql
from tc_core.alerts.channels import BUILT_IN, Channels
from tc_core.alerts.rules import AlertRule
from tc_core.budgets import sql as budgets_sql
from tc_core.model.event import from_us
from tc_core.model.part import Finding
from tc_core.model.written import plural
from tc_core.store.engine.database import Database

NAME = "alerts"


def examine(
    rules: Sequence[AlertRule], faults: Mapping[str, str], channels: Channels, database: Database | None
) -> Iterable[Finding]:
    """Yield what is wrong first."""
    for problem in faults.values():
        yield Finding("fault", NAME, problem)
    for rule in rules:
        for channel in rule.channels:
            fault = channels.fault(channel)
            if fault is not None:
                state: Literal["fault", "warning"] = "fault" if channel in BUILT_IN else "warning"
                yield Finding(state, NAME, f"rule {rule.name!r} tells nobody over {channel!r}: {fault}")
    if database is None:
        return
    with database.reading() as connection:
        budgets = budgets_in(connection)
    for rule in rules:
        for problem in without_budget(rule, budgets):
            yield Finding("warning", NAME, f"rule {rule.name!r} cannot fire: {problem}")
    with database.reading() as connection:
        waiting = outbox_sql.waiting(connection)
        last = {channel: outbox_sql.last_fault(connection, channel) for channel, _, _ in waiting}
    for channel, count, since_us in waiting:
        why = f", the last attempt: {last[channel]}" if last[channel] else ""
        said = f"{count} to be sent over {channel!r} since {from_us(since_us):%Y-%m-%d %H:%M} UTC{why}"
        yield Finding("warning", NAME, said)
    if rules:
        yield Finding(
            "ok", NAME, f"{plural(len(rules), 'rule')}, {'something' if waiting else 'nothing'} waits to be sent"
        )


def budgets_in(connection: Connection) -> list[str]:
    """Return the names of the budgets that are set, or that the settings file will set."""
    names = [each.name for each in budgets_sql.budgets(connection)]
    return list(dict.fromkeys([*names, *(each.name for each in settings.load().budgets)]))


def without_budget(rule: AlertRule, budgets: Collection[str]) -> Iterable[str]:
    """Yield what is wrong where a rule names a budget that there is not."""
    wanted = rule.condition.budget if isinstance(rule.condition, settings.AlertRule) else None
    if wanted is not None and wanted not in budgets:
        known = ", ".join(map(repr, budgets)) or "none is set"
        yield f"there is no budget {wanted!r}; there are: {known}"
