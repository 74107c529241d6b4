"""Of twenty calls of $0.03 at once a budget of $0.10 lets exactly three through: in threads, tasks and processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from tc_core import BudgetExceededError, BudgetTracker, CostTracker, SQLiteStorage
from tc_core.budgets import books as books_module
from tc_core.runtime import recorders
from tc_core.store.storages import create_storage

SIZE = 20


def address_of(store):
    return str(store.path) if store.path is not None else store._url


@pytest.fixture
def address(each_store):
    """A store with a budget of $0.10 below one of $1.00."""
    budgets = BudgetTracker(each_store)
    budgets.set_budget(1, "monthly", name="company", hard=True)
    budgets.set_budget(0.10, "monthly", {"agent_id": "a"}, name="agent", hard=True)
    each_store.close()
    return address_of(each_store)


def attempt(budgets, costs):
    """Reserve, and record a call that costs exactly what was reserved; tell whether it was let through."""
    try:
        with budgets.reserve(0.03, agent_id="a"):
            # 12,000 x $2.5 per million: $0.03
            costs.track_call("gpt-4o", 12_000, 0, agent_id="a")
    except BudgetExceededError:
        return False
    return True


def settled(budgets):
    found = budgets.get_remaining("agent")
    return (
        found.spent,
        found.reserved,
        budgets.get_remaining("company").spent,
        [each.state for each in budgets.check()],
    )


def test_threads(address):
    budgets, costs, passed = BudgetTracker(address), CostTracker(address), []
    gate = threading.Barrier(SIZE)

    def call():
        gate.wait()
        passed.append(attempt(budgets, costs))

    threads = [threading.Thread(target=call) for _ in range(SIZE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(passed), sum(passed)) == (SIZE, 3)
    assert settled(budgets) == (0.09, 0, 0.09, ["ok"])


def test_tasks(address):
    budgets, costs = BudgetTracker(address), CostTracker(address)

    async def call():
        try:
            async with budgets.reserve(0.03, agent_id="a"):
                await asyncio.sleep(0)
                costs.track_call("gpt-4o", 12_000, 0, agent_id="a")
        except BudgetExceededError:
            return False
        return True

    async def all_of_them():
        return await asyncio.gather(*(call() for _ in range(SIZE)))

    assert sum(asyncio.run(all_of_them())) == 3
    assert settled(budgets) == (0.09, 0, 0.09, ["ok"])


PROGRAM = """
import json, sys, threading
from tc_core import BudgetTracker, CostTracker, flush
from tests.budgets.test_concurrency import attempt
budgets, costs, passed = BudgetTracker(sys.argv[1]), CostTracker(sys.argv[1]), []
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=lambda: passed.append(attempt(budgets, costs))) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(sum(passed)), flush=True)
"""


def start(address, threads, program=PROGRAM):
    return subprocess.Popen(
        [sys.executable, "-c", program, address, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


@pytest.mark.slow
def test_processes(address):
    running = [start(address, 5) for _ in range(4)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    passed = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert sum(passed) == 3
    assert [process.returncode for process in running] == [0] * 4
    assert settled(BudgetTracker(address)) == (0.09, 0, 0.09, ["ok"])


KILLED = """
import os, sys, threading, time
from tc_core import BudgetTracker, CostTracker
from tc_core.budgets.sqlite_books import SQLiteBooks
from tests.budgets.test_concurrency import attempt
budgets, costs = BudgetTracker(sys.argv[1]), CostTracker(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
def call():
    attempt(budgets, costs)
    print("called", flush=True)
for _ in range(int(sys.argv[2])): threading.Thread(target=call).start()
time.sleep(60)
"""


@pytest.mark.slow
def test_processes_of_which_some_are_killed(address, monkeypatch):
    running = [start(address, 20, KILLED) for _ in range(3)] + [start(address, 20)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    for process, calls in zip(running, (0, 1, 5), strict=False):
        for _ in range(calls):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    running[3].communicate(timeout=120)
    monkeypatch.setattr(books_module, "LEASE_SECONDS", 0.0)
    budgets = BudgetTracker(address)
    at_the_kill = budgets.get_remaining("agent")
    assert round(at_the_kill.spent + at_the_kill.reserved, 9) <= 0.1
    _run_out_all_leases(budgets)
    found = budgets.get_remaining("agent")
    assert found.reserved == 0
    events = [event.cost for event in budgets.storage.query_events()]
    assert round(sum(events) + found.estimated, 9) == found.spent <= 0.1
    assert len(events) <= 3
    assert [each.state for each in budgets.check()] == ["ok"]


def _run_out_all_leases(budgets):
    """As if an hour had gone by."""
    books = budgets._live.books
    if hasattr(books, "_file"):
        books._file.run("UPDATE reservation SET expires = 0 WHERE state = 0")
    else:
        with budgets.storage.database.writing() as connection:
            connection.exec_driver_sql("UPDATE reservation SET expires = 0 WHERE state = 0")
    assert books.expire() >= 0


# Between the commit and the books


def test_a_process_that_dies_between_the_commit_and_the_books_has_settled_all_the_same(tmp_path, in_a_child):
    path = tmp_path / "s.db"
    BudgetTracker(path).set_budget(1, "monthly", hard=True)

    def die():
        budgets = BudgetTracker(path)
        books = budgets._live.books
        books.apply = lambda: os._exit(0)
        budgets._live.part.committed = books.apply
        with budgets.reserve(0.03):
            CostTracker(path).track_call("gpt-4o", 12_000, 0)
        recorders.flush()

    in_a_child(die)
    with SQLiteStorage(path) as store:
        found = BudgetTracker(store).get_remaining()
        assert (found.spent, found.reserved) == (0.03, 0)


def test_many_who_bring_the_books_up_to_date_at_once_do_it_once(tmp_path):
    path = tmp_path / "s.db"
    budgets = BudgetTracker(path)
    budgets.set_budget(1, "monthly", hard=True)
    books, apply = budgets._live.books, budgets._live.books.apply
    books.apply = lambda: None
    for _ in range(20):
        budgets.add_usage(0.01)
    threads = [threading.Thread(target=apply) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del books.apply
    assert budgets.get_remaining().spent == 0.2


def test_what_is_rolled_back_is_not_booked(each_store):
    budgets = BudgetTracker(each_store)
    budgets.set_budget(1, "monthly", hard=True)
    key = (budgets._standing.budgets()[0].id, budgets.get_remaining().key)

    def book_and_fail(connection):
        budgets._live.books.settle(connection, [], {key: 10**9})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        each_store.database.transact(book_and_fail)
    budgets._live.books.apply()
    assert budgets.get_remaining().spent == 0


def test_two_that_renew_at_once_begin_one_page(address):
    first, second = BudgetTracker(create_storage(address)), BudgetTracker(address)
    gate, spent = threading.Barrier(2), []

    def ask(budgets):
        gate.wait()
        spent.append(budgets.get_remaining("agent").spent)

    threads = [threading.Thread(target=ask, args=(budgets,)) for budgets in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent == [0, 0]
    assert len(first.periods("agent")) == 1


# Leases


def test_a_lease_that_runs_out_is_booked_as_an_estimate_and_the_event_corrects_it(each_store):
    budgets, costs = BudgetTracker(each_store), CostTracker(each_store)
    budgets.set_budget(0.10, "monthly", hard=True)
    reserved = budgets.reserve(0.05)
    with reserved:
        _run_out_all_leases(budgets)
        found = budgets.get_remaining()
        assert (found.spent, found.reserved, found.estimated) == (0.05, 0, 0.05)
        assert [each.state for each in budgets.check()] == ["ok"]
        costs.track_call("gpt-4o", 12_000, 0)  # takes the reservation over: it costs $0.03
    found = budgets.get_remaining()
    assert (found.spent, found.reserved, found.estimated) == (0.03, 0, 0)


def test_a_block_that_settles_releases_raises_or_does_nothing(each_store):
    budgets = BudgetTracker(each_store)
    budgets.set_budget(1, "monthly", hard=True)
    with budgets.reserve(0.5) as reserved:
        assert budgets.get_remaining().reserved == 0.5
        reserved.settle(0.25)
        reserved.settle(0.5)
    assert (budgets.get_remaining().spent, budgets.get_remaining().reserved) == (0.25, 0)
    with budgets.reserve(0.5) as reserved:
        reserved.release()
    with pytest.raises(ZeroDivisionError), budgets.reserve(0.5):
        raise ZeroDivisionError
    assert (budgets.get_remaining().spent, budgets.get_remaining().reserved) == (0.25, 0)
    with budgets.reserve(0.5):
        pass
    assert (budgets.get_remaining().spent, budgets.get_remaining().reserved) == (0.75, 0)
    assert [each.state for each in budgets.check()] == ["ok"]


def test_all_of_a_budget_is_usable(each_store):
    budgets, costs = BudgetTracker(each_store), CostTracker(each_store)
    budgets.set_budget(0.09, "monthly", hard=True)
    assert [attempt(budgets, costs) for _ in range(4)] == [True, True, True, False]
    assert budgets.get_remaining().remaining == 0
