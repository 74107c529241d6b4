"""Trying out whether frameworks can be hooked: each is imported in a process of its own, which may break in any way.

The process records into memory, knows no settings of the user's, and has folders of its own to write into.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from tc_core.record.host import HostName
from tc_core.runtime import adapters
from tc_core.runtime.instrument import FrameworkState, framework_states, instrument
from tc_core.store.storages import InMemoryStorage

LONGEST_SECONDS = 120.0
"""How long the import of a framework may take."""

_PROGRAM = "from tc_core.runtime.tryout import answer; answer()"


def try_out(names: Sequence[str]) -> Mapping[str, FrameworkState]:
    """Return how hooking goes with installed frameworks of these names, all at once."""
    with tempfile.TemporaryDirectory(prefix="token-calc-", ignore_cleanup_errors=True) as folder:
        began = {name: _begin(name, Path(folder)) for name in names}
        return {name: _end(name, process, Path(folder)) for name, process in began.items()}


def answer() -> None:
    """In the process: hook the framework of the first argument, and write how it went to the path of the second."""
    name, path = sys.argv[1:]
    (adapter,) = (each for each in adapters.known_adapters() if each.name == name)
    import_module(adapters.module_of(adapter).FRAMEWORK)
    for host_name in adapters.host_names(adapter):
        with suppress(ModuleNotFoundError):
            import_module(host_name.where.partition(":")[0])
    instrument(InMemoryStorage(), frameworks=[name], strict=False)
    (state,) = (each for each in framework_states() if each.name == name)
    Path(path).write_text(json.dumps(asdict(state)))


def _begin(name: str, folder: Path) -> "subprocess.Popen[str]":
    own = folder / name
    own.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOKEN_CALC_")}
    places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "XDG_DATA_HOME": str(own)}
    return subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-P", "-c", _PROGRAM, name, str(folder / f"{name}.json")],
        env={**kept, **places, "OTEL_SDK_DISABLED": "true"},  # what a framework would report of its import stays here
        cwd=own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _end(name: str, process: "subprocess.Popen[str]", folder: Path) -> FrameworkState:
    try:
        _, said = process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return FrameworkState(name, "failed", f"its import took longer than {LONGEST_SECONDS:.0f} seconds")
    with suppress(FileNotFoundError):
        found = json.loads((folder / f"{name}.json").read_text())
        return FrameworkState(**{**found, "missing": tuple(HostName(**each) for each in found["missing"])})
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(" ")]
    return FrameworkState(name, "failed", lines[-1] if lines else f"exit code {process.returncode}")
