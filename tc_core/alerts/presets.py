"""Rules that most people want, ready made."""

from collections.abc import Sequence

from tc_core import settings
from tc_core.alerts.rules import AlertRule


def budget(
    threshold: float,
    *,
    name: str,
    budget: str | None,
    severity: str = "warning",
    channels: Sequence[str] = ("console",),
    cooldown: int = 300,
) -> AlertRule:
    """Return a rule about the share of a budget that is spent; of each budget where none is named."""
    return _rule(name, "budget", threshold, severity, channels, cooldown, budget=budget)


def cost_spike(
    threshold: float,
    *,
    name: str,
    severity: str = "warning",
    channels: Sequence[str] = ("console",),
    cooldown: int = 300,
    by: Sequence[str] = (),
) -> AlertRule:
    """Return a rule about calls that cost far more than those of their model usually do."""
    return _rule(name, "cost_spike", threshold, severity, channels, cooldown, by=by)


def context_overflow(
    threshold: float,
    *,
    model: str | None,
    name: str,
    severity: str = "warning",
    channels: Sequence[str] = ("console",),
    cooldown: int = 300,
    by: Sequence[str] = (),
) -> AlertRule:
    """Return a rule about calls that nearly fill their context window, of one model or all."""
    return _rule(
        name,
        "context",
        threshold,
        severity,
        channels,
        cooldown,
        by=by,
        filters={} if model is None else {"model": model},
    )


def _rule(
    name: str,
    kind: str,
    threshold: float,
    severity: str,
    channels: Sequence[str],
    cooldown: int,
    *,
    budget: str | None = None,
    by: Sequence[str] = (),
    filters: settings.Filters | None = None,
) -> AlertRule:
    said = settings.AlertRule(
        name=name,
        type=kind,
        threshold=threshold,
        severity=severity,  # type: ignore[arg-type]  # checked there
        channels=tuple(channels),
        cooldown=cooldown,
        budget=budget,
        by=tuple(by),
        filters=dict(filters or {}),
    )
    return AlertRule.of(said)
