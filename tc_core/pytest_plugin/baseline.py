"""The baseline: what each test took when it was accepted, in a file that belongs beside the tests."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tc_core.pytest_plugin.measuring import TokenUse

MOST_NAMED = 5
VERSION = 1


@dataclass(slots=True)
class Baseline:
    """What the file says, and what the tests of this session took."""

    path: Path
    is_update: bool
    most_percent: float
    known: dict[str, Mapping[str, Any]]
    new: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, *, is_update: bool, most_percent: float) -> Self:
        """Read a file; one that is missing is written at the end."""
        known: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            try:
                said = json.loads(path.read_text(encoding="utf-8"))
                known = {test: {**use, "segments": dict(use["segments"])} for test, use in said["tests"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise pytest.UsageError(f"--token-baseline: {path} is no baseline of ours: {error!r}") from error
        return cls(path, is_update, most_percent, known)

    def grown(self, test: str, use: TokenUse) -> str | None:
        """Return in words by what a test has grown beyond what is allowed, or None."""
        before = self.known.get(test)
        if before is None or self.is_update or use.tokens <= before["tokens"] * (1 + self.most_percent / 100):
            return None
        changes = {
            name: use.segments.get(name, 0) - before["segments"].get(name, 0)
            for name in use.segments.keys() | before["segments"].keys()
        }
        rows = sorted(changes.items(), key=lambda each: (-each[1], each[0]))
        named = [f"{name} +{more:,}" for name, more in rows if more > 0]
        others = f", and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        percent = f"+{100 * (use.tokens / before['tokens'] - 1):.0f} %" if before["tokens"] else "from nothing"
        calls = f" in {use.calls} calls instead of {before['calls']}" if use.calls != before["calls"] else ""
        return (
            f"token baseline: {use.tokens:,} tokens instead of {before['tokens']:,} ({percent}){calls}: "
            f"{', '.join(named[:MOST_NAMED])}{others}. If that is meant, run it once with --token-baseline-update."
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take up what a test took, where the file is to say so."""
        use, test = getattr(report, "token_use", None), report.nodeid
        if use is None or not report.passed:
            return
        if (use["calls"] or test in self.known) and (self.is_update or test not in self.known):
            self.new[test] = use

    def pytest_sessionfinish(self) -> None:
        """Write the file, whole or not at all; what was not run stays as it was."""
        if not self.new:
            return
        said = {"version": VERSION, "tests": dict(sorted({**self.known, **self.new}.items()))}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        new.write_text(f"{json.dumps(said, indent=1, ensure_ascii=False)}\n", encoding="utf-8")
        new.replace(self.path)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was written."""
        updated = len(self.new.keys() & self.known.keys())
        added = len(self.new) - updated
        said = [f"{added:,} added"] * bool(added) + [f"{updated:,} updated"] * bool(updated)
        if said:
            terminalreporter.write_line(f"token baseline {self.path}: {' and '.join(said)}")
