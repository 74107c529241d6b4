"""Applying policies and taking them back: each change is in the log, with who made it and why."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tc_core import settings
from tc_core.errors import ConfigurationError, PolicyError
from tc_core.model.clock import clock
from tc_core.selection.policies import sql
from tc_core.selection.policies.policy import Policy
from tc_core.selection.policies.sql import Applied
from tc_core.store.sql import SqlStore

T = TypeVar("T")

GUARD = "the guard"
FROM_FILE = "the settings file"


def apply(store: SqlStore, policy: Policy, *, by: str, why: str | None) -> Applied:
    """Have a policy hold from now on; one of the same name is replaced, and comes back when this is undone."""

    def do(connection: Any) -> Applied:
        before = _of_name(sql.applied(connection), policy.name)
        is_on = before is not None and before.state == sql.ON
        if before is not None and is_on and before.policy == policy:
            return before
        found = Applied(policy, sql.ON, secrets.token_hex(16), _now_us(), before.policy if before and is_on else None)
        sql.save(connection, found)
        if before is not None:
            sql.forget_units(connection, before.salt)
        _note(connection, policy.name, "changed" if is_on else "applied", by, why, policy.to_dict())
        return found

    return _changed(store, do)


def undo(store: SqlStore, name: str, *, by: str, why: str | None) -> Applied:
    """Take back what was applied last under a name: what was on before that is on again, or nothing.

    Raises PolicyError where none of that name is on.
    """

    def do(connection: Any) -> Applied:
        known = sql.applied(connection)
        before = _of_name(known, name)
        if before is None or before.state != sql.ON:
            on = ", ".join(repr(each.policy.name) for each in known if each.state == sql.ON) or "none is on"
            said = "is not on" if before is None else f"is {before.state} already"
            raise PolicyError(f"policy {name!r} {said}, so there is nothing to undo; those that are on: {on}")
        if before.previous is None:
            found = Applied(before.policy, sql.UNDONE, before.salt, _now_us())
        else:
            found = Applied(before.previous, sql.ON, secrets.token_hex(16), _now_us())
        sql.save(connection, found)
        if found.salt != before.salt:
            sql.forget_units(connection, before.salt)
        back = {} if before.previous is None else {"back to": before.previous.to_dict()}
        _note(connection, name, "undone", by, why, back)
        return found

    return _changed(store, do)


def take_back(store: SqlStore, applied: Applied, why: str) -> None:
    """Take a policy back for the guard; where another process has, or it was changed meanwhile, that holds."""

    def do(connection: Any) -> None:
        now = _of_name(sql.applied(connection), applied.policy.name)
        if now is None or now.salt != applied.salt or now.state != sql.ON:
            return
        sql.save(connection, Applied(now.policy, sql.ROLLED_BACK, now.salt, _now_us(), now.previous))
        _note(connection, now.policy.name, "rolled back", GUARD, why, {})

    store.database.transact(do, alone=True)


def declare(store: SqlStore, wanted: Iterable[settings.Policy]) -> None:
    """Apply the policies of the settings file that say so, unless what they say was applied before.

    One that was taken back stays so until the file says something else of it. Raises ConfigurationError, which names
    the policy, for what none can be.
    """
    asked = [each for each in wanted if each.apply]
    if not asked:
        return
    with store.database.reading() as connection:
        known = {each.policy.name: each.policy for each in sql.applied(connection)}
    for each in asked:
        policy = of_settings(each)
        if known.get(policy.name) != policy:
            apply(store, policy, by=FROM_FILE, why=None)


def of_settings(said: settings.Policy) -> Policy:
    """Return a policy of the settings file; raises ConfigurationError, which names it, for what none can be."""
    try:
        return Policy(**said.model_dump(exclude={"apply"}))
    except (ConfigurationError, ValueError) as error:
        raise ConfigurationError(f"policy {said.name!r} of {FROM_FILE}: {error}") from error


def _of_name(known: Iterable[Applied], name: str) -> Applied | None:
    return next((each for each in known if each.policy.name == name), None)


def _changed(store: SqlStore, do: Callable[[Any], T]) -> T:
    store.check_writable()
    return store.database.transact(do, alone=True)


def _note(connection: Any, name: str, kind: str, by: str, why: str | None, details: Any) -> None:
    sql.note(connection, sql.Change(_now_us(), name, kind, by, why, details))


def _now_us() -> int:
    return clock.wall_ns() // 1000
