"""`token-calc db` and `archive` as a user runs them."""

import json
import os
import pty
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

from tc_core import SQLiteStorage
from tc_core.store.engine import migrate
from tests.store.contract import call
from tests.store.make_version import HERE

DAY = 24 * 60


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        store.save_events([call(-n * DAY, event_id=f"e{n}", labels={"user_id": str(n)}) for n in range(50)])
    return tmp_path / "s.db"


def test_check_says_what_is_at_fault_by_its_exit_code_and_repairs_it(store, run_command):
    sound = run_command("db", "check", "--store", store)
    assert sound.returncode == 0
    assert [line.split()[0] for line in sound.stdout.splitlines()] == ["ok"] * 5
    with SQLiteStorage(store) as opened, opened._database.writing() as connection:
        connection.exec_driver_sql("UPDATE rollup_hour SET calls = 7")
    broken = run_command("db", "check", "--store", store)
    assert broken.returncode == 1
    assert "fault     roll-ups          those of 50 days are not what their events add up to" in broken.stdout
    assert json.loads(run_command("db", "check", "--store", store, "--json").stdout)[3]["state"] == "fault"
    repaired = run_command("db", "check", "--repair", "--store", store)
    assert repaired.returncode == 0
    assert "repaired  roll-ups" in repaired.stdout
    assert run_command("db", "check", "--store", store).stdout == sound.stdout


def test_vacuum_says_what_it_removed(store, run_command):
    said = run_command("db", "vacuum", "--store", store).stdout
    assert said.startswith("0 events and 0 texts removed;")
    said = json.loads(run_command("db", "vacuum", "--store", store, "--json", TOKEN_CALC_RETENTION_DAYS="1").stdout)
    assert said["events"] > 0
    assert said["bytes_after"] <= said["bytes_before"]


def test_migrate_says_from_where_to_where(run_command, tmp_path):
    shutil.copy(HERE / "0001.db", tmp_path / "old.db")
    assert (
        run_command("db", "migrate", "--store", "old.db").stdout == f"The schema was 0001 and is {migrate.HEAD} now.\n"
    )
    again = run_command("db", "migrate", "--store", "old.db")
    assert again.stdout == f"The schema is {migrate.HEAD}, the newest; nothing was to be done.\n"


def test_stats_are_shown_and_given_as_json(store, run_command):
    shown = run_command("db", "stats", "--store", store).stdout
    assert shown.startswith("50 events in 0.")
    assert "user_id      50" in shown
    found = json.loads(run_command("db", "stats", "--store", store, "--json").stdout)
    assert (found["events"], found["last_day"]) == (50, "2026-11-20")


def test_archive_moves_and_says_where(store, run_command, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    done = run_command("archive", "--before", "2026-11-11", "--to", "archive", "--tz", "UTC", "--store", store)
    assert done.stdout.startswith("40 events moved into 40 files in archive.\n"), done.stderr
    assert len(list((tmp_path / "archive").rglob("*.parquet"))) == 40
    again = run_command("archive", "--before", "2026-11-11", "--to", "archive", "--tz", "UTC", "--store", store)
    assert again.stdout == "Nothing is old enough to go.\n"
    stats = run_command("db", "stats", "--store", store).stdout
    assert "40 events of 40 days left the store." in stats
    assert "40 events lie in 40 files of archives." in stats
    back = run_command("import", "archive", "--store", "past.db")
    assert back.stdout.startswith("40 events imported")


def test_a_bar_is_shown_on_a_terminal_alone(store, tmp_path):
    command = [sys.executable, "-m", "tc_core.cli", "export", "e.jsonl", "--force", "--store", str(store)]
    mine, theirs = pty.openpty()
    environment, said = {**os.environ, "TERM": "xterm"}, b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, cwd=tmp_path, env=environment) as process:
        os.close(theirs)
        with suppress(OSError):  # that nobody has the other end open any more
            while piece := os.read(mine, 10_000):
                said += piece
    os.close(mine)
    assert process.returncode == 0
    assert b"Exporting" in said
    assert subprocess.run(command, capture_output=True, cwd=tmp_path, check=True).stderr == b""
