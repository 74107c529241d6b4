"""How rules stand, those of the settings and those that programs have added."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from tc_core.alerts import sql
from tc_core.alerts.rules import AlertRule
from tc_core.model.event import from_us

OF_A_PROGRAM = "program"
"""The kind of a rule that only some other program knows."""


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """How a rule stands: what it fires for now, when it fired last, until when it is silent.

    `kind` is the type of the settings, `condition` for a function, `program` for a rule of another program. `faults`
    say why it fires nothing or tells nobody.
    """

    name: str
    kind: str
    severity: str
    channels: tuple[str, ...]
    firing: tuple[str, ...]
    fired_at: datetime | None
    alerts: int
    silenced_until: datetime | None
    faults: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in plain.items()}


def standings(
    connection: Connection, rules: Mapping[str, AlertRule], faults: Mapping[str, tuple[str, ...]], now_us: int
) -> list[RuleStanding]:
    """Return how all rules stand that are known here or have fired, those of here first."""
    fired, firing, silenced = sql.fired(connection), sql.firing(connection), sql.silences(connection, now_us)
    found = []
    for name in dict.fromkeys([*rules, *faults, *sorted({*fired, *firing, *silenced})]):
        rule, (count, last_us, severity) = rules.get(name), fired.get(name, (0, None, ""))
        found.append(
            RuleStanding(
                name,
                rule.kind if rule is not None else "" if name in faults else OF_A_PROGRAM,
                severity if rule is None else rule.severity,
                () if rule is None else tuple(rule.channels),
                firing.get(name, ()),
                None if last_us is None else from_us(last_us),
                count,
                from_us(silenced[name]) if name in silenced else None,
                faults.get(name, ()),
            )
        )
    return found
