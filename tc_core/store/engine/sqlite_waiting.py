"""Waiting for SQLite: for a lock that another has, and for a log that is being replaced."""

import sqlite3

import tenacity
from sqlalchemy.exc import OperationalError

from tc_core.model.patience import left
from tc_core.store.engine.database import LOCK_SECONDS
from tc_core.store.engine.gate import gate

_SETTLING_SECONDS = 1.0


def _is_busy(error: BaseException) -> bool:
    driver_error = error.orig if isinstance(error, OperationalError) else error
    return type(driver_error).__name__ == "OperationalError" and "locked" in str(driver_error)  # of either driver


def _is_unsettled(error: BaseException) -> bool:
    """Tell whether the log could not be read, as while several processes replace one that somebody removed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR


once_settled = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_is_unsettled),
    wait=tenacity.wait_random(0.002, 0.02),
    stop=lambda state: (state.seconds_since_start or 0.0) > _SETTLING_SECONDS or not left(_SETTLING_SECONDS),
    reraise=True,
)
patiently = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_is_busy),
    wait=tenacity.wait_random(0.0005, 0.002),
    stop=lambda state: (state.seconds_since_start or 0.0) > LOCK_SECONDS or not left(LOCK_SECONDS),
    reraise=True,
)
in_turn = patiently.copy(retry=tenacity.retry_if_exception(lambda error: _is_busy(error) and not gate.is_closed))
