"""The process that has imported the command already: what it forks is as what starts anew."""

import os
import subprocess
import sys

import pytest

from tc_core import CostTracker, SQLiteStorage


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["costs", "--by", "model", "--store", "s.db"], id="an answer"),
        pytest.param(["costs", "--by", "model", "--store", "s.db", "--json"], id="as json"),
        pytest.param(["import", "-", "--store", "new.db"], id="an empty input"),
        pytest.param(["costs", "--store", "none.db"], id="no store"),
        pytest.param(["costs", "--no-such-option"], id="wrong use"),
        pytest.param(["show", "nobody", "--store", "s.db"], id="not found"),
        pytest.param(["--help"], id="help"),
        pytest.param(["doctor", "--quick", "--store", "s.db"], id="modules that are imported late"),
    ],
)
def test_a_forked_command_is_as_one_that_starts(run_command, tmp_path, arguments):
    with SQLiteStorage(tmp_path / "s.db") as store:
        CostTracker(store).track_call("gpt-4o", 1000, 100, cost=0.25)
    given = {"TZ": "Asia/Kolkata", "COLUMNS": "70"}
    started = subprocess.run(
        [sys.executable, "-m", "tc_core.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=os.environ | given,
    )
    forked = run_command(*arguments, **given)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_what_python_reads_when_it_starts_is_read(run_command, ready_command, tmp_path):
    assert ready_command.suits(os.environ)
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('this is read at the start')")
    assert "this is read at the start" in run_command("--version", PYTHONPATH=str(tmp_path)).stderr
