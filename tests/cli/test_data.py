"""`token-calc export` and `import` as a user runs them."""

import json
import subprocess
import sys

import pytest

from tc_core import SQLiteStorage
from tests.store.contract import call


@pytest.fixture
def recorded(tmp_path):
    with SQLiteStorage(tmp_path / "costs.db") as store:
        store.save_events([call(n, event_id=f"e{n}", agent_id=f"a{n % 2}") for n in range(4)])
    return tmp_path / "costs.db"


def test_export_and_import_by_the_ending_of_the_file(recorded, run_command, tmp_path):
    for ending in ("jsonl", "csv", "parquet"):
        out = run_command("export", f"e.{ending}", "--store", recorded)
        assert (out.stdout, out.stderr) == (f"4 events written to e.{ending}.\n", "")
        back = run_command("import", f"e.{ending}", "--store", f"{ending}.db")
        assert back.stdout.startswith("4 events imported, 0 known before, 0 relations.\n"), back.stderr
        with SQLiteStorage(tmp_path / f"{ending}.db") as store, SQLiteStorage(recorded) as before:
            assert store.query_events() == before.query_events()


def test_export_of_a_filter_and_a_period_through_a_pipe(recorded, tmp_path):
    token_calc = f"{sys.executable} -m tc_core.cli"
    command = (
        f"{token_calc} export - --format csv --filter agent=a1 --since 2026-11-20T12:02 --tz UTC --store {recorded} | "
        f"{token_calc} import - --format csv --store piped.db --json"
    )
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.stderr == ""
    assert json.loads(result.stdout)["written"] == 1
    with SQLiteStorage(tmp_path / "piped.db") as store:
        assert [event.event_id for event in store.query_events()] == ["e3"]


def test_what_cannot_be_imported_is_told_and_is_the_exit_code(recorded, run_command, tmp_path):
    run_command("export", "e.jsonl", "--store", recorded)
    text = (tmp_path / "e.jsonl").read_text()
    lines = [*text.replace('"input_tokens":100', '"input_tokens":101', 1).splitlines(), *["no"] * 12]
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    result = run_command("import", "e.jsonl", "--store", recorded)
    assert result.returncode == 1
    said = result.stdout.splitlines()
    assert said[0] == "0 events imported, 3 known before, 0 relations."
    assert said[1] == "1 event refused, 12 lines cannot be read:"
    assert said[2] == "  line 5: is not JSON: Expecting value: line 1 column 1 (char 0)"
    assert said[-1] == "  and 3 more (--json names them)"
    found = json.loads(run_command("import", "e.jsonl", "--store", recorded, "--json").stdout)
    assert len(found["problems"]) == 13
    assert found["problems"][-1] == "event e0 is already recorded with other facts"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["export", "e.txt"], 2, "does not say how it is written"),
        (["export", "-", "--format", "parquet"], 2, "Parquet needs a file of its own"),
        (["export", "e.csv", "--filter", "agent"], 2, "use --filter NAME=VALUE"),
        (["import", "e.csv", "--from", "elsewhere"], 2, "--from is token-calculator"),
        (["import", "nowhere.csv"], 2, "nowhere.csv cannot be read: No such file"),
        (["import", "nowhere.db", "--from", "token-calculator"], 3, "there is no file nowhere.db"),
        (["import", "costs.db", "--from", "token-calculator"], 3, "is a store of this package"),
        (["export", "costs.db", "--format", "csv"], 2, "is a SQLite database, which an export would overwrite"),
        (["export", "e.csv", "--filter", "hour=3"], 2, "cannot read '3' as hour"),
        (["costs", "--by", "day", "--filter", "day=2026-11-20", "--tz", "Asia/Kolkata"], 2, "are in UTC"),
        (["db", "vacuum", "--retention-days", "100000000000"], 2, "Input should be less than or equal to 36500"),
    ],
)
def test_wrong_use_is_said_in_one_sentence(recorded, run_command, arguments, code, said):
    before = recorded.read_bytes()
    result = run_command(*arguments, "--store", recorded, COLUMNS="500")
    assert result.returncode == code
    assert said in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert recorded.read_bytes() == before


def test_bytes_on_the_standard_input_are_no_text(recorded, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "tc_core.cli", "import", "-", "--store", recorded],
        input=b"\xff\xfe\x00",
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert (result.returncode, result.stderr) == (2, b"the standard input cannot be read: it is not text in UTF-8\n")
