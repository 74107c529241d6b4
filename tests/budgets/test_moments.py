"""What the clock, and whoever changes budgets, do to calls under way: over the end of a period, and back again."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tc_core import BudgetExceededError, BudgetTracker, CostTracker, SQLiteStorage, instrument
from tc_core.budgets.live import live_of
from tc_core.testing import FakeClock

CALL = ("gpt-4o", 12_000, 0)
"""Costs $0.03."""


def spent(budgets, name="default"):
    return [(each.key, each.spent, each.reserved) for each in budgets.periods(name)]


def is_right(budgets):
    return [each.state for each in budgets.check()] == ["ok"]


@pytest.fixture
def evening():
    """Ten seconds before midnight."""
    with FakeClock(datetime(2026, 5, 15, 23, 59, 50, tzinfo=UTC)) as clock:
        yield clock


def test_a_clock_that_is_put_back_over_a_periods_end_books_where_calls_say_they_began(evening, budgets):
    costs = CostTracker(budgets.storage)
    budgets.set_budget(0.05, "day", hard=True)
    costs.track_call(*CALL)
    evening.advance(seconds=20)
    costs.track_call(*CALL)
    assert budgets.get_remaining().spent == 0.03
    evening.advance(seconds=-20)
    with pytest.raises(BudgetExceededError, match=r"\$0.03 of \$0.05 spent"):
        budgets.reserve(0.03).__enter__()
    with budgets.reserve(0.02):
        costs.track_call("gpt-4o", 8_000, 0)
    assert spent(budgets) == [("2026-05-15", 0.05, 0), ("2026-05-16", 0.03, 0)]
    assert is_right(budgets)


def test_a_call_reserves_in_the_period_in_which_it_asks_and_is_booked_in_that_in_which_it_began(evening, budgets):
    budgets.set_budget(0.05, "day", hard=True)
    with budgets.reserve(0.03):
        evening.advance(seconds=20)
        with budgets.reserve(0.05):  # the new day is empty
            pass
        CostTracker(budgets.storage).track_call(*CALL)
    assert spent(budgets) == [("2026-05-15", 0.0, 0), ("2026-05-16", 0.08, 0)]
    assert is_right(budgets)


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [
        pytest.param(datetime(2026, 10, 24, 22, tzinfo=UTC), 25, id="a day of 25 hours"),
        pytest.param(datetime(2026, 3, 28, 23, tzinfo=UTC), 23, id="a day of 23 hours"),
    ],
)
def test_the_day_on_which_summer_time_ends_or_begins_has_one_amount(budgets, midnight, hours):
    costs = CostTracker(budgets.storage)
    with FakeClock(midnight - timedelta(minutes=1)) as clock:
        budgets.set_budget(10, "day", hard=True, tz="Europe/Berlin")
        for _ in range(hours + 2):  # one the day before, one in each hour, one the day after
            costs.track_call(*CALL)
            assert budgets.get_remaining().spent > 0
            clock.advance(hours=1)
        assert [round(each.spent, 2) for each in budgets.periods("default")] == [0.03, round(0.03 * hours, 2), 0.03]
        assert is_right(budgets)


def test_a_period_that_nobody_asks_about_is_kept_by_the_chore(evening, budgets):
    budgets.set_budget(1, "day")
    budgets.set_budget(1, "run", name="each run")
    for _ in range(3):
        live_of(budgets.storage).chore()
        CostTracker(budgets.storage).track_call(*CALL)
        budgets.storage.flush()
        evening.advance(days=1)
    assert [each[1] for each in spent(budgets)][:3] == [0.03, 0.03, 0.03]  # the fourth may have begun by itself
    assert is_right(budgets)


def test_a_lease_that_is_renewed_with_an_older_moment_keeps_the_later_one(evening, budgets):
    """As by a thread that had taken the moment, and came to write it only after others had renewed."""
    budgets.set_budget(1, "total", hard=True)
    books = live_of(budgets.storage).books
    with budgets.reserve(0.5) as block:
        for hours in (3, -3):
            evening.advance(hours=hours)
            books.renew([block.event_id])
        evening.advance(hours=3)
        books.expire()
        assert budgets.get_remaining().reserved == 0.5
        evening.advance(hours=2)
        assert books.expire() == 1


def test_the_hour_that_comes_twice_has_an_amount_each_time(budgets):
    costs = CostTracker(budgets.storage)
    with FakeClock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) as clock:  # half past two in Berlin, as it is an hour on
        budgets.set_budget(0.03, "hour", hard=True, tz="Europe/Berlin")
        for _ in range(2):
            with budgets.reserve(0.03):
                costs.track_call(*CALL)
            with pytest.raises(BudgetExceededError):
                budgets.reserve(0.01).__enter__()
            clock.advance(hours=1)
        both = [("2026-10-25T00:00Z", 0.03, 0), ("2026-10-25T01:00Z", 0.03, 0)]
        assert spent(budgets)[:2] == both  # the third may have begun by itself


RENEWING = """
import json, sys, threading
from datetime import UTC, datetime
from tc_core import BudgetTracker, CostTracker
from tc_core.testing import FakeClock
from tests.budgets.test_concurrency import attempt
budgets, costs, passed = BudgetTracker(sys.argv[1]), CostTracker(sys.argv[1]), []
print("ready", flush=True)
sys.stdin.readline()
with FakeClock(datetime(2026, 6, 1, tzinfo=UTC)):
    threads = [threading.Thread(target=lambda: passed.append(attempt(budgets, costs))) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    costs.storage.flush()
print(json.dumps(sum(passed)), flush=True)
"""


@pytest.mark.slow
def test_two_processes_that_renew_at_once_begin_one_period(each_store):
    with FakeClock(datetime(2026, 5, 15, 12, tzinfo=UTC)):
        budgets = BudgetTracker(each_store)
        budgets.set_budget(0.10, "month", {"agent_id": "a"}, hard=True)
        CostTracker(each_store).track_call(*CALL, agent_id="a")
        each_store.flush()
    address = str(each_store.path) if each_store.path is not None else each_store._url
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RENEWING, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    passed = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert sum(passed) == 3
    with FakeClock(datetime(2026, 6, 1, 1, tzinfo=UTC)):
        # they were begun by the clock of today, whose period is there as well, and empty
        assert [each for each in spent(budgets) if each[1]] == [("2026-05", 0.03, 0), ("2026-06", 0.09, 0)]
        assert is_right(budgets)


def test_a_budget_that_is_deleted_while_it_is_reserved_takes_nothing_with_it(budgets):
    costs = CostTracker(budgets.storage)
    budgets.set_budget(1, "total", name="company", hard=True)
    budgets.set_budget(0.05, "total", name="team", hard=True)
    with budgets.reserve(0.03):
        budgets.remove("team")
        assert [(each.name, each.reserved) for each in budgets.list()] == [("company", 0.03)]
        budgets.set_budget(0.05, "total", name="team", hard=True)  # again: nothing is reserved on this one
        costs.track_call(*CALL)
    assert [(each.name, each.spent, each.reserved) for each in budgets.list()] == [
        ("company", 0.03, 0),
        ("team", 0.03, 0),
    ]
    with budgets.reserve(0.01):
        budgets.remove("company")
        budgets.remove("team")
    assert budgets.list() == []
    with budgets.reserve(5):  # nothing limits it
        pass


def test_a_stream_that_never_ends_keeps_what_is_reserved_for_it_until_it_is_let_go_of(tmp_path, server):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    from tc_core.demo.script import Step
    from tests.parts.clients import Clients

    store = SQLiteStorage(tmp_path / "s.db")
    budgets = BudgetTracker(store)
    with FakeClock(datetime(2026, 5, 15, 12, tzinfo=UTC)) as clock:
        budgets.set_budget(1, "total", hard=True)
        instrument(store, enforce=True)
        server.push(Step(text="word " * 2000))
        stream = Clients(server.base_url).langchain().stream("hello")
        next(stream)
        reserved = budgets.get_remaining().reserved
        assert reserved > 0
        for _ in range(6):  # half an hour each time, in which the writer's chore comes round
            clock.advance(minutes=30)
            live_of(store).chore()
        found = budgets.get_remaining()
        assert (found.reserved, found.estimated) == (reserved, 0)
        stream.close()
        (event,) = store.query_events()
        assert event.status == "closed"
        found = budgets.get_remaining()
        assert (found.reserved, found.spent) == (0, event.cost)
    store.close()
