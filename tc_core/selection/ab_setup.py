"""Setting up A/B tests, and finding them again: by their names, in whatever process."""

import difflib
import math
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tc_core.costs import names
from tc_core.costs.named_models import are_one, why_unknown
from tc_core.errors import ABTestError, StorageError
from tc_core.model.clock import clock
from tc_core.model.event import check_text
from tc_core.model.scope import DIMENSIONS
from tc_core.runtime import hash_key
from tc_core.runtime.recorders import open_storage
from tc_core.selection import ab_sql
from tc_core.selection.ab_sql import Setup
from tc_core.selection.ab_test import BOUNDS, ABTest
from tc_core.selection.assignment import NAMED_UNITS, RUN
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

MOST_DAYS = 3650

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_US_PER_DAY = 86_400_000_000

Storage = StorageBackend | str | Path | None


def create_ab_test(
    storage: Storage,
    model_a: str,
    model_b: str,
    duration_days: float,
    *,
    name: str | None = None,
    unit: str = "session",
    split: float = 0.5,
    bounds: tuple[float, float] | None = BOUNDS,
    agent_id: str | None = None,
) -> ABTest:
    """Set up a test of two models, and return it; it begins at once.

    `model_a` is the one that is used today. `unit` is what gets one model or the other as a whole: `session`,
    `workflow`, `run`, or the name of a dimension or label such as `user_id`. `split` is the share of them that get
    model_b. `bounds` are those of outcomes, of which higher is better. `agent_id` says whose calls it is about, for
    estimates of how long it takes.

    The same name with the same setup is the same test, so a program may call this whenever it begins, several at once
    too. With another setup it is an ABTestError. Raises ValueError for what cannot be tested.
    """
    store = sql_store(storage)
    store.check_writable()
    name = check_setup(
        model_a, model_b, duration_days, name=name, unit=unit, split=split, bounds=bounds, agent_id=agent_id
    )
    key, now_us = hash_key.hash_key(), clock.wall_ns() // 1000
    low, high = (None, None) if bounds is None else (float(bounds[0]), float(bounds[1]))
    new = Setup(
        0, name, model_a, model_b, unit, float(split), low, high, agent_id, _salt(),
        hash_key.key_id(key), now_us, now_us + round(duration_days * _US_PER_DAY),
    )  # fmt: skip
    with store.database.reading() as connection:
        found = ab_sql.setup(connection, name)
    if found is None:
        check_names(store, model_a, model_b, unit)
        found = store.database.transact(lambda connection: ab_sql.add(connection, store.database, new))
    differences = _differences(found, new)
    if differences:
        raise ABTestError(
            f"there is a test {name!r} already, with {', '.join(differences)}: choose another name, or the same setup"
        )
    return ABTest(store, found)


def open_ab_test(storage: Storage, name: str) -> ABTest:
    """Return a test that was set up; raises ABTestError where there is none of that name."""
    store = sql_store(storage)
    with store.database.reading() as connection:
        found = ab_sql.setup(connection, name)
        others = [] if found is not None else [each.name for each in ab_sql.setups(connection)]
    if found is None:
        there = f"there are {', '.join(others[:5])}" if others else "there are none"
        raise ABTestError(f"there is no A/B test {name!r}, {there}: `token-calc abtest create` sets one up")
    return ABTest(store, found)


def ab_tests(storage: Storage = None) -> list[ABTest]:
    """Return all tests of a store, the newest first."""
    store = sql_store(storage)
    with store.database.reading() as connection:
        return [ABTest(store, each) for each in ab_sql.setups(connection)]


def check_setup(
    model_a: str,
    model_b: str,
    duration_days: float,
    *,
    name: str | None = None,
    unit: str = "session",
    split: float = 0.5,
    bounds: tuple[float, float] | None = BOUNDS,
    agent_id: str | None = None,
) -> str:
    """Return the name of a test that can be; raise ValueError for one that cannot."""
    for what, model in (("model_a", model_a), ("model_b", model_b)):
        check_text(what, model)
        if model != model.strip():
            raise ValueError(f"{what} has blanks around it: {model!r}")
    if are_one(model_a, model_b):
        also = "" if model_a == model_b else f", which is {model_b!r} as well"
        raise ValueError(f"a test needs two models, not {model_a!r} twice{also}")
    _check_numbers(duration_days, split, bounds)
    check_text("unit", unit)
    name = _name(model_a, model_b) if name is None else name
    if not _NAME.fullmatch(str(name)):
        raise ValueError(f"a test is named by up to 64 letters, digits, dots, dashes and underscores, not {name!r}")
    if agent_id is not None:
        check_text("agent_id", agent_id)
    return name


def _check_numbers(duration_days: float, split: float, bounds: tuple[float, float] | None) -> None:
    for what, value in (("duration_days", duration_days), ("split", split)):
        if not _is_number(value):
            raise ValueError(f"{what} must be a number, not {value!r}")
    if not 0 < duration_days <= MOST_DAYS:
        raise ValueError(f"duration_days must lie above 0 and up to {MOST_DAYS:,}, not at {duration_days}")
    if not 0 < split < 1:
        raise ValueError(f"split, the share that gets model_b, must lie between 0 and 1, not at {split}")
    if bounds is None:
        return
    several: object = bounds
    if not isinstance(several, Sequence) or len(several) != 2 or not all(map(_is_number, several)):
        raise ValueError(f"bounds are the least and the highest outcome, such as (0, 1), or None, not {bounds!r}")
    if not bounds[0] < bounds[1]:
        raise ValueError(f"bounds must be the least and then the highest outcome, not {bounds!r}")


def check_names(store: SqlStore, model_a: str, model_b: str, unit: str) -> None:
    """Raise ValueError for what may be a slip of the pen.

    That is a model that has no price and that no call was recorded of, and a unit that no call has but one much like it
    could have.
    """
    for model in (model_a, model_b):
        said = why_unknown(store, model)
        if said is not None:
            raise ValueError(f"{said}; record a call of it first, or give it a price of your own")
    known = {*NAMED_UNITS, RUN, *DIMENSIONS}
    if unit in known or not store.totals([f"labels.{unit}"]).keys() <= {(None,)}:
        return
    near = [names.SHORT[unit]] if unit in names.SHORT else difflib.get_close_matches(unit, sorted(known), 1, 0.75)
    if near:
        raise ValueError(
            f"no call has a label {unit!r} that could be the unit; did you mean {near[0]}? Else record a call with it "
            "first"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _salt() -> bytes:
    return secrets.token_bytes(16)


def _differences(found: Setup, new: Setup) -> list[str]:
    same = ("model_a", "model_b", "unit", "split", "low", "high", "agent_id")
    said = [f"{name} {getattr(found, name)!r}" for name in same if getattr(found, name) != getattr(new, name)]
    if found.end_us - found.start_us != new.end_us - new.start_us:
        said.append(f"{timedelta(microseconds=found.end_us - found.start_us) / timedelta(days=1):g} days")
    return said


def _name(model_a: str, model_b: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{model_a}-vs-{model_b}")[:64].lstrip("._-")


def sql_store(storage: Storage) -> SqlStore:
    """Return a store that keeps A/B tests; raise StorageError for one that cannot."""
    opened = open_storage(storage)
    if not isinstance(opened, SqlStore):
        raise StorageError(f"{type(opened).__name__} keeps no A/B tests: use SQLiteStorage")
    return opened
