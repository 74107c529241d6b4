"""What can go wrong with the books, and that they say the right thing all the same."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tc_core import (
    BudgetExceededError,
    BudgetTracker,
    ConfigurationError,
    CostTracker,
    InMemoryStorage,
    SQLiteStorage,
    StorageBackend,
    StorageError,
    StoreKeeper,
    instrument,
    settings,
)
from tc_core.budgets import live
from tc_core.runtime import recorders

CALL = ("gpt-4o", 12_000, 0)
"""Costs $0.03."""


def test_books_that_somebody_deleted_are_made_anew(tmp_path):
    path = tmp_path / "s.db"
    with SQLiteStorage(path) as store:
        BudgetTracker(store).set_budget(0.1, "month", hard=True)
        CostTracker(store).track_call(*CALL)
    for file in tmp_path.glob("s.db.budgets*"):
        file.unlink()
    recorders._recorders.clear()
    recorders._parts.clear()
    with SQLiteStorage(path) as store:
        budgets = BudgetTracker(store)
        assert budgets.get_remaining().spent == 0.03
        with pytest.raises(BudgetExceededError):
            budgets.reserve(0.08).__enter__()


def test_books_of_a_store_that_was_put_back_to_an_older_copy_follow_it(tmp_path):
    path, copy = tmp_path / "s.db", tmp_path / "copy.db"
    with SQLiteStorage(path) as store:
        budgets = BudgetTracker(store)
        budgets.set_budget(0.1, "month", hard=True)
        CostTracker(store).track_call(*CALL)
        budgets.get_remaining()
    shutil.copy(path, copy)
    with SQLiteStorage(path) as store:
        CostTracker(store).track_call(*CALL)
        assert BudgetTracker(store).get_remaining().spent == 0.06
    for file in tmp_path.glob("s.db-*"):
        file.unlink()
    shutil.copy(copy, path)
    with SQLiteStorage(path) as store:
        budgets = BudgetTracker(store)
        assert budgets.get_remaining().spent == 0.03
        CostTracker(store).track_call(*CALL)
        assert budgets.get_remaining().spent == 0.06


def test_without_budgets_there_are_no_books(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        CostTracker(store).track_call(*CALL)
        store.flush()
        assert not list(tmp_path.glob("*.budgets*"))


@pytest.mark.skipif(os.name != "posix", reason="files have no modes there")
def test_the_books_are_private_to_the_user(tmp_path):
    budgets = BudgetTracker(tmp_path / "s.db")
    budgets.set_budget(1, "day")
    assert (tmp_path / "s.db.budgets").stat().st_mode & 0o777 == 0o600


def test_budgets_in_memory():
    store = InMemoryStorage()
    budgets = BudgetTracker(store)
    budgets.set_budget(0.05, "month", hard=True)
    CostTracker(store).track_call(*CALL)
    assert BudgetTracker(store).get_remaining().spent == 0.03
    with pytest.raises(BudgetExceededError):
        budgets.reserve(0.03).__enter__()


def test_another_process_sets_lowers_and_removes_a_budget(tmp_path, run_python):
    path = tmp_path / "s.db"
    budgets = BudgetTracker(path)
    with budgets.reserve(1) as reserved:
        reserved.release()
    program = "import sys; from tc_core import *; t = BudgetTracker(sys.argv[1]); exec(sys.argv[2])"
    run_python(program, path, "t.set_budget(1, 'month', hard=True)")
    with budgets.reserve(0.5) as reserved:
        reserved.release()
    run_python(program, path, "t.set_budget(0.25, 'month', hard=True)")
    with pytest.raises(BudgetExceededError, match=r"\$0\.25"):
        budgets.reserve(0.5).__enter__()
    run_python(program, path, "t.remove('default')")
    with budgets.reserve(0.5) as reserved:
        reserved.release()


def test_a_forked_child_keeps_to_the_same_budget(tmp_path, in_a_child):
    budgets = BudgetTracker(tmp_path / "s.db")
    budgets.set_budget(0.1, "month", hard=True)
    with budgets.reserve(0.06):

        def child():
            try:
                budgets.reserve(0.06).__enter__()
            except BudgetExceededError:
                os._exit(7)

        assert in_a_child(child) == 7
        assert budgets.get_remaining().reserved == 0.06


def test_an_import_counts_where_it_belongs(each_store, tmp_path):
    source = SQLiteStorage(tmp_path / "source.db")
    CostTracker(source).track_call(*CALL)
    StoreKeeper(source).export_events(tmp_path / "events.jsonl")
    budgets = BudgetTracker(each_store)
    budgets.set_budget(1, "month")
    for _ in range(2):
        StoreKeeper(each_store).import_events(tmp_path / "events.jsonl")
        assert budgets.get_remaining().spent == 0.03


def test_what_the_books_have_wrong_is_said_and_set_right(tmp_path):
    budgets = BudgetTracker(tmp_path / "s.db")
    budgets.set_budget(1, "month")
    CostTracker(budgets.storage).track_call(*CALL)
    assert budgets.get_remaining().spent == 0.03
    budgets._live.books._file.run("UPDATE budget_period SET spent = 5")
    (found,) = budgets.check()
    assert (found.state, "the books say $0.000000005, the events $0.03" in found.said) == ("fault", True)
    assert [each.state for each in budgets.check(repair=True)] == ["repaired"]
    assert [each.state for each in budgets.check()] == ["ok"]
    assert budgets.get_remaining().spent == 0.03


def test_passing_a_threshold_is_logged_once(tmp_path, caplog):
    budgets = BudgetTracker(tmp_path / "s.db")
    budgets.set_budget(0.1, "month", name="team", thresholds=[0.5, 0.9])
    with caplog.at_level(logging.WARNING, "tc_core"):
        for _ in range(3):
            CostTracker(budgets.storage).track_call(*CALL)
            budgets.storage.flush()
            budgets._live.committed()
    assert [said for said in caplog.messages if "has passed" in said] == [
        "token-calculator: budget 'team' has passed 50 %: $0.06 of $0.10 spent",
        "token-calculator: budget 'team' has passed 90 %: $0.09 of $0.10 spent",
    ]


def test_the_settings_file_sets_budgets_and_switches_them_on(tmp_path):
    said = {"name": "search", "amount": "0.05", "period": "monthly", "filters": {"team": "search"}, "hard": "true"}
    Path(settings.FILE_NAME).write_text(yaml.safe_dump({"budgets": [said], "tracking": {"enforce": "true"}}))
    settings.forget()
    with SQLiteStorage(tmp_path / "s.db") as store:
        instrument(store, frameworks=[])
        budgets = BudgetTracker(store)
        found = budgets.get_remaining()
        assert (found.name, found.amount, found.period, found.hard) == ("search", 0.05, "month", True)
        assert dict(found.filters) == {"team": ("search",)}
        assert budgets.history()[0].by == "the settings file"
        assert recorders.recorder_for(store).wants_to_admit


def test_a_period_in_the_file_that_is_none_is_said(tmp_path):
    said = {"name": "search", "amount": "5", "period": "fortnight"}
    Path(settings.FILE_NAME).write_text(yaml.safe_dump({"budgets": [said], "tracking": {"enforce": "true"}}))
    settings.forget()
    with SQLiteStorage(tmp_path / "s.db") as store, pytest.raises((ValueError, ConfigurationError), match="fortnight"):
        instrument(store, frameworks=[])


def test_a_refused_run_is_none_also_when_the_process_is_killed(tmp_path, in_a_child):
    path = tmp_path / "s.db"

    def die():
        recorder = recorders.recorder_for(path)
        recorder.start("llm_call", key="refused", model="gpt-4o")
        recorder.start("llm_call", key="open", model="gpt-4o")
        recorder.forget("refused")
        recorder.start("tool", key="a tool")
        recorder.finish("a tool")
        recorder.writer.spool.look_after()
        os._exit(0)

    in_a_child(die)
    with SQLiteStorage(path) as store:
        assert sorted((event.event_type, event.status) for event in store.query_events()) == [
            ("llm_call", "abandoned"),
            ("tool", "ok"),
        ]


@pytest.mark.slow
def test_the_example_stops_with_half_a_cent(tmp_path):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    root = Path(__file__).parents[2]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, root / "examples" / "budget.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "budget 'half a cent' has passed 80 %" in done.stderr
    assert "gpt-4o: " in done.stdout
    assert "gpt-4o-mini: " in done.stdout
    assert "planner: I had to stop here, before asking the model again: budget 'half a cent' has no room" in done.stdout
    assert "of $0.005 spent, $0.0 reserved" in done.stdout


def test_a_store_that_is_only_read_tells_how_its_budgets_stand(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    with SQLiteStorage(path) as store:
        BudgetTracker(store).set_budget(0.1, "month", name="one")
        CostTracker(store).track_call(*CALL)
    books = tmp_path / "s.db.budgets"
    assert books.exists()
    before = books.stat().st_mtime_ns
    monkeypatch.setattr("tc_core.store.storages._is_read_only", lambda path: True)
    monkeypatch.setattr("tc_core.budgets.sqlite_file._opened", lambda path: pytest.fail(f"opened {path}"))
    recorders._recorders.clear()
    recorders._parts.clear()
    live._lives.clear()
    with SQLiteStorage(path) as store:
        budgets = BudgetTracker(store)
        assert budgets.get_remaining("one").spent == 0.03
        assert [each.spent for each in budgets.list()] == [0.03]
        assert budgets.check_overage() is False
        with pytest.raises(StorageError, match="can only be read"):
            budgets.set_budget(1, "day")
    assert books.stat().st_mtime_ns == before


def test_a_budget_of_the_settings_that_none_can_be_is_named(tmp_path):
    said = "budgets:\n  - {name: search, amount: 1, period: fortnight}\n"
    (tmp_path / "token_calculator.yaml").write_text(said, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="budget 'search' of the settings file: cannot read 'fortnight'"):
        instrument(tmp_path / "s.db", enforce=True)


def test_enforcing_into_a_store_that_keeps_no_budgets_is_warned_of(caplog):
    instrument(InMemoryStorage(), enforce=True)
    assert caplog.messages == []
    instrument(Kept(), enforce=True)
    assert caplog.messages == ["token-calculator: Kept keeps no budgets: no call will be stopped"]


class Kept(StorageBackend):
    """A store of somebody's own."""

    def save_event(self, event):
        """Keep nothing."""

    def query_events(self, filters=None, start_time=None, end_time=None, **options):
        return []

    def aggregate(self, metric, group_by=None, filters=None, **options):
        return {}
