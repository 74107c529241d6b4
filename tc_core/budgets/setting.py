"""Setting budgets, granting more, and taking them away: each change is in the history, with who made it and why."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any, cast

from tc_core import settings
from tc_core.budgets import periods, sql
from tc_core.budgets.books import Books
from tc_core.budgets.budget import ALLOW, REFUSE, UNITS, Budget, Unit, amount_of, filters_of
from tc_core.errors import ConfigurationError
from tc_core.meter import prices
from tc_core.model import ids
from tc_core.model.clock import clock
from tc_core.model.event import check_text
from tc_core.model.period import zone
from tc_core.model.usage import Usage
from tc_core.store.sql import SqlStore

_OF_THE_BOOKS = ("period", "filters", "unit", "tz")
"""What the books are kept by: where it changes, they are worked out anew from events."""

_MOST_PERCENT = 10_000

FROM_FILE = "the settings file"


def made(
    amount: object,
    period: periods.Written,
    filters: Mapping[str, Any] | None = None,
    *,
    name: str,
    hard: bool,
    unit: str,
    tz: str | tzinfo,
    thresholds: Iterable[float | str],
    unpriced: str,
    max_override: float,
) -> Budget:
    """Return a budget; raise ValueError or ConfigurationError for what none can have, naming it."""
    check_text("name", name)
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    kind: Unit = unit
    where = zone(tz)
    zone_name = getattr(where, "key", None) or str(where)
    zone(zone_name)  # a zone that has no name cannot be kept
    if (
        unpriced not in (REFUSE, ALLOW)
        and prices.price_of(Usage(1, 1), unpriced, at_us=clock.wall_ns() // 1000) is None
    ):
        raise ValueError(f"unpriced must be 'refuse', 'allow' or a model that has a price, not {unpriced!r}")
    if not 0 <= max_override <= 1000:
        raise ValueError(f"max_override must be a share from 0 to 1000, not {max_override!r}")
    shares = _shares(thresholds)
    return Budget(
        int.from_bytes(ids.new_id()[:8]) >> 1,
        name,
        amount_of(amount, kind),
        periods.canonical(period, where),
        {key: tuple(values) for key, values in filters_of(filters).items()},
        hard=bool(hard),
        unit=kind,
        tz=zone_name,
        thresholds=shares,
        unpriced=unpriced,
        max_override=max_override,
    )


def _shares(thresholds: object) -> tuple[float, ...]:
    several = isinstance(thresholds, Iterable) and not isinstance(thresholds, str)
    return tuple(sorted({_share(each) for each in (cast("Iterable[object]", thresholds) if several else [thresholds])}))


def _share(threshold: object) -> float:
    """Return a threshold as a share; above 1 it must be written as a percentage, since 80 may well mean 80 %."""
    percent = threshold.strip().removesuffix("%") if isinstance(threshold, str) and "%" in threshold else None
    try:
        share = float(threshold) if percent is None else float(percent) / 100  # type: ignore[arg-type]  # else it raises
    except (TypeError, ValueError) as error:
        raise ValueError(f"thresholds must be shares such as 0.8, or '80%', not {threshold!r}") from error
    if percent is None and 1 < share <= _MOST_PERCENT:
        raise ValueError(
            f"thresholds must be shares such as 0.8, or '80%', not {threshold!r}: that would be {share:g} times the "
            f"amount; write '{share:g}%' or, if it is meant, '{100 * share:g}%'"
        )
    if not 0 < share <= _MOST_PERCENT / 100:
        raise ValueError(
            f"thresholds must be shares such as 0.8, or '80%', up to '{_MOST_PERCENT}%', not {threshold!r}"
        )
    return share


def set_in(store: SqlStore, books: Books, wanted: Budget, *, by: str | None, why: str | None) -> Budget:
    """Set a budget; one of the same name keeps what is spent where its period, time zone, unit and filters stay."""

    def do(connection: Any) -> Budget:
        before = next((each for each in sql.budgets(connection) if each.name == wanted.name), None)
        if before is None:
            sql.save(connection, wanted, is_new=True)
            _note(connection, wanted, "set", by, why, _said(wanted))
            return wanted
        after = replace(wanted, id=before.id, extra=before.extra, extra_until_us=before.extra_until_us)
        changed = _difference(before, after)
        if not changed:
            return before
        is_kept = not changed.keys() & set(_OF_THE_BOOKS) and not (
            "unpriced" in changed and {before.unpriced, after.unpriced} - {REFUSE, ALLOW}
        )
        if is_kept:
            sql.save(connection, after, is_new=False)
        else:
            after = replace(after, id=wanted.id, extra=0, extra_until_us=0)
            sql.save(connection, replace(before, name=f"{before.name} {before.id}"), is_new=False)  # names are unique
            sql.save(connection, after, is_new=True)
            sql.move_usage(connection, before, after)
            sql.remove(connection, before)
        _note(connection, after, "changed" if is_kept else "worked out anew", by, why, changed)
        return after

    return _changed(store, books, do)


def grant(store: SqlStore, books: Books, name: str, extra: int, until_us: int, by: str, why: str) -> Budget:
    """Grant more for a while; the last grant holds. Raises ValueError for more than the budget lets anybody grant."""

    def do(connection: Any) -> Budget:
        before = named(sql.budgets(connection), name)
        most = int(before.amount * before.max_override)
        if extra > most:
            raise ValueError(
                f"budget {name!r} lets at most {before.said(most)} be granted on top, not {before.said(extra)}: "
                "set_budget(max_override=...) changes that"
            )
        after = replace(before, extra=extra, extra_until_us=until_us)
        sql.save(connection, after, is_new=False)
        _note(connection, after, "override", by, why, {"granted": before.said(extra), "until_us": until_us})
        return after

    return _changed(store, books, do)


def remove_from(store: SqlStore, books: Books, name: str, *, by: str | None, why: str | None) -> Budget:
    """Take a budget away; its history stays. Raises ValueError for one that there is not."""

    def do(connection: Any) -> Budget:
        before = named(sql.budgets(connection), name)
        sql.remove(connection, before)
        _note(connection, before, "removed", by, why, _said(before))
        return before

    return _changed(store, books, do)


def declare(store: SqlStore, books: Books, wanted: Iterable[settings.Budget]) -> None:
    """Set the budgets of the settings file; what it says holds, whatever was set otherwise meanwhile.

    Raises ConfigurationError, which names the budget, for what none can have.
    """
    for each in wanted:
        try:
            budget = made(
                each.amount,
                each.period,
                dict(each.filters),
                name=each.name,
                hard=each.hard,
                unit=each.unit,
                tz=each.tz,
                thresholds=each.thresholds,
                unpriced=each.unpriced,
                max_override=1.0,
            )
        except (ConfigurationError, ValueError) as error:
            raise ConfigurationError(f"budget {each.name!r} of {FROM_FILE}: {error}") from error
        set_in(store, books, budget, by=FROM_FILE, why=None)


def named(budgets: Iterable[Budget], name: str) -> Budget:
    """Return the budget of a name; raise ValueError, which says those there are, for another name."""
    budgets = list(budgets)
    found = next((each for each in budgets if each.name == name), None)
    if found is None:
        known = ", ".join(repr(each.name) for each in budgets) or "none is set"
        raise ValueError(f"there is no budget {name!r}; there are: {known}")
    return found


def _changed(store: SqlStore, books: Books, do: Callable[[Any], Budget]) -> Budget:
    store.check_writable()
    store.flush()  # else what is on its way would be booked as if it came after
    budget = store.database.transact(do, alone=True)
    books.follow()
    return budget


def _note(connection: Any, budget: Budget, kind: str, by: str | None, why: str | None, details: Any) -> None:
    sql.note(connection, sql.Change(clock.wall_ns() // 1000, budget.name, kind, by, why, details))


_SHOWN = (*_OF_THE_BOOKS, "amount", "hard", "thresholds", "unpriced", "max_override")


def _said(budget: Budget) -> dict[str, Any]:
    return {name: _plain(budget, name) for name in _SHOWN}


def _difference(before: Budget, after: Budget) -> dict[str, Any]:
    pairs = {name: (_plain(before, name), _plain(after, name)) for name in _SHOWN}
    return {name: {"from": old, "to": new} for name, (old, new) in pairs.items() if old != new}


def _plain(budget: Budget, name: str) -> Any:
    value = getattr(budget, name)
    return budget.said(value) if name == "amount" else json.loads(json.dumps(value))
