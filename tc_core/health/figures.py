"""The figures of a call's health that alerts are about."""

from tc_core.health.sql import Recorded


def _usage(health: Recorded) -> float | None:
    return health.context_usage


def _rot(health: Recorded) -> float | None:
    return health.rot_percentage


def _repetition(health: Recorded) -> float | None:
    return health.signals["repetition"]


def _injection(health: Recorded) -> float | None:
    return health.signals["injection_risk"]


FIGURES = {
    "context_usage": _usage,
    "context_rot": _rot,
    "repetition": _repetition,
    "injection_risk": _injection,
}
"""What a threshold can be held against, of a call: use and rot are 0 to 100, the others 0 to 1."""
