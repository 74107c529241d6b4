"""Policies are tried on what was recorded, applied, guarded and taken back, and the log keeps who did it."""

from datetime import timedelta

import pytest

import tc_core
from tc_core import (
    BudgetTracker,
    ConfigurationError,
    CostTracker,
    InMemoryStorage,
    Policy,
    PolicyError,
    PolicyManager,
    StorageBackend,
    StorageError,
    TrackingEvent,
    instrument,
    settings,
)
from tc_core.model import ids
from tc_core.model.part import Request
from tc_core.selection.policies import sql
from tc_core.selection.policies.live import live_of
from tc_core.store.keep import retention
from tc_core.workflows.outcomes import OUTCOME, Outcome
from tests.selection.policies.conftest import NOON

ROUTE = Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.5)


@pytest.fixture
def policies(each_store):
    return PolicyManager(each_store)


@pytest.fixture
def manager(store, today):
    return PolicyManager(store)


def spend(store, calls=10, model="gpt-4o", at=NOON - timedelta(days=1), **said):
    costs = CostTracker(store)
    for number in range(calls):
        costs.track_call(model, 1000, 100, timestamp=at + timedelta(seconds=number), **said)


def test_what_was_assigned_leaves_with_the_events_of_its_time(manager, store, today, monkeypatch):
    monkeypatch.setattr(retention, "TEXTS", 2)
    days_us = 86_400_000_000
    now_us = int(NOON.timestamp() * 1e6)
    ages = {"today": 0, "29 days": 29, "31 days": 31, "a year": 365, "two years": 730, "three years": 1095}
    units = [sql.Unit(salt, name, 0, now_us - age * days_us) for salt in ("one", "two") for name, age in ages.items()]
    store.database.transact(lambda connection: sql.assign(connection, store.database, units))

    def left():
        with store.database.reading() as connection:
            return sorted(map(tuple, connection.exec_driver_sql("SELECT salt, unit FROM policy_unit")))

    tc_core.StoreKeeper(store).vacuum()
    assert len(left()) == 12  # without retention all stay
    tc_core.StoreKeeper(store).vacuum(30)
    assert left() == [("one", "29 days"), ("one", "today"), ("two", "29 days"), ("two", "today")]


def test_a_slip_in_the_model_is_refused_also_when_it_is_tried(manager, store):
    spend(store)
    slip = Policy(name="p", kind="route", model="gpt-4oo", to="gpt-4o-mini")
    for do in (manager.apply, manager.dry_run):
        with pytest.raises(PolicyError, match=r"no call of 'gpt-4oo' is recorded, .*; recorded are gpt-4o"):
            do(slip)


# Dry runs


def test_routing_is_each_call_priced_again(manager, store):
    spend(store, agent_id="a")
    spend(store, agent_id="b")
    spend(store, model="gpt-4.1", agent_id="a")
    found = manager.dry_run(Policy(name="p", kind="route", model="gpt-4o", to="gpt-4o-mini", filters={"agent_id": "a"}))
    # gpt-4o: 1,000 at 2.50 and 100 at 10 dollars per million are $0.0035; gpt-4o-mini at .15 and .60: $0.00021
    assert (found.calls, found.acts, found.days) == (10, 10, 1)
    assert found.cost == pytest.approx(0.035)
    assert found.saved == pytest.approx(0.0329)
    assert found.monthly_saved == pytest.approx(0.987)
    assert "10 % of the runs" in found.notes[0]
    assert found.to_dict()["saved_nanos"] == 32_900_000


def test_what_the_other_model_cannot_take_is_not_counted(manager, store):
    CostTracker(store).track_call("gpt-4.1", 500_000, 100, timestamp=NOON - timedelta(days=1))
    found = manager.dry_run(Policy(name="p", kind="route", model="gpt-4.1", to="gpt-4o-mini"))
    assert (found.calls, found.acts, found.saved_nanos) == (1, 0, 0)
    assert "more tokens than gpt-4o-mini takes (128,000)" in found.notes[1]


def test_an_unpriced_call_is_unknown_and_not_saved_for_nothing(manager, store):
    spend(store, calls=2, model="no-such-model")
    found = manager.dry_run(Policy(name="p", kind="trim", at=100))
    assert (found.calls, found.acts, found.cost, found.saved) == (2, 2, None, None)
    assert "2 of 2 calls have no price: not counted" in found.notes


def test_trimming_follows_a_conversation(manager, store):
    costs = CostTracker(store)
    for number, tokens in enumerate([800, 1000, 1200, 1800]):
        costs.track_call(
            "gpt-4o", tokens, 0, timestamp=NOON - timedelta(hours=1, seconds=-number), session_id="s", agent_id="a"
        )
    found = manager.dry_run(Policy(name="p", kind="trim", at=1000))
    # 800 stays; 1000 is too long, and cut to 500; 1200 is 700 with what was cut away, 1800 is 1300: cut to 500 again
    assert found.acts == 3
    assert found.saved == pytest.approx((500 + 500 + 1300) * 2.5e-6)


def test_no_calls_save_nothing(manager):
    found = manager.dry_run(ROUTE)
    assert (found.calls, found.acts, found.cost_nanos, found.saved_nanos, found.monthly_saved) == (0, 0, 0, 0, None)
    assert manager.proposals() == []


def test_a_period_of_ones_own(manager, store):
    spend(store, at=NOON - timedelta(days=60))
    assert manager.dry_run(ROUTE).calls == 0
    assert manager.dry_run(ROUTE, start_date="last-90-days").calls == 10
    with pytest.raises(ConfigurationError, match="someday"):
        manager.dry_run(ROUTE, start_date="someday")


def test_what_would_save_is_proposed_and_known_by_its_name(manager, store):
    spend(store, calls=20, agent_id="planner")
    (found,) = manager.proposals()
    assert found.policy.name == "route-planner-gpt-4o-mini"
    assert found.saved == manager.dry_run("route-planner-gpt-4o-mini").saved == pytest.approx(20 * 0.00329)
    assert manager.apply("route-planner-gpt-4o-mini").policy == found.policy
    with pytest.raises(PolicyError, match="there is no policy 'nothing'; there are: route-planner-gpt-4o-mini"):
        manager.dry_run("nothing")


# Applying and taking back


def test_what_is_applied_holds_and_comes_back(policies):
    assert policies.apply(ROUTE, by="ann", why="a try").state == "on"
    assert policies.apply(ROUTE, by="bob").since == policies.list()[0].since  # nothing new
    wider = Policy(name="mini", kind="route", model="gpt-4o", to="gpt-4o-mini", floor=0.2)
    assert policies.apply(wider, by="bob").policy.floor == 0.2
    assert policies.undo("mini", by="ann").policy == ROUTE
    assert policies.list()[0].is_on
    assert policies.undo("mini", by="ann", why="enough").state == "undone"
    with pytest.raises(PolicyError, match=r"policy 'mini' is undone already, so there is nothing to undo.*none is on"):
        policies.undo("mini")
    with pytest.raises(PolicyError, match="policy 'other' is not on"):
        policies.undo("other")
    assert [(each.kind, each.by, each.why) for each in policies.log("mini")] == [
        ("applied", "ann", "a try"),
        ("changed", "bob", None),
        ("undone", "ann", None),
        ("undone", "ann", "enough"),
    ]
    assert policies.log("other") == []
    assert policies.log()[0].details == ROUTE.to_dict()
    assert policies.apply(ROUTE).state == "on"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"model": "acme-1", "to": "acme-2"}, "no call of 'acme-2' is recorded, and no price is known for it"),
        ({"model": "gpt-4o", "to": "gpt-4o-mimi"}, "no call of 'gpt-4o-mimi' is recorded, .* near are gpt-4o-mini"),
        ({"model": "gpt-4o-mini", "to": "acme-1"}, "cannot route to 'acme-1': the model has no price"),
        ({"model": "gpt-4o", "to": "claude-haiku-4-5"}, "they are of openai and anthropic"),
        ({"model": "gpt-4o-mini", "to": "gpt-4o"}, r"would save nothing: the 10 recorded calls .* \$0.0329.* more"),
    ],
)
def test_what_would_do_harm_is_not_applied(manager, store, said, error):
    spend(store, model=said["model"])
    if "cannot route to 'acme-1'" in error:
        spend(store, model="acme-1")
    with pytest.raises(PolicyError, match=error):
        manager.apply(Policy(name="p", kind="route", **said))
    assert manager.list() == []
    assert manager.log() == []


def test_a_dearer_model_is_refused_without_any_calls_too(manager):
    with pytest.raises(PolicyError, match="'gpt-4o' costs more than 'gpt-4o-mini', for input and for output"):
        manager.apply(Policy(name="p", kind="route", model="gpt-4o-mini", to="gpt-4o"))
    assert manager.list() == []
    assert manager.apply(ROUTE).is_on


def test_a_hard_budget_that_would_be_broken(manager, store):
    spend(store)  # at gpt-4o-mini $0.0021
    budgets = BudgetTracker(store)
    budgets.set_budget(0.001, "month", {"model": "gpt-4o-mini"}, name="small", hard=True)
    with pytest.raises(PolicyError, match=r"would break the hard budget 'small' of \$0.001: .* 10 calls .* \$0.0021"):
        manager.apply(ROUTE)
    budgets.set_budget(0.001, "month", {"model": "gpt-4o-mini"}, name="small", hard=False)
    assert manager.apply(ROUTE).is_on
    manager.undo("mini")
    budgets.set_budget(0.01, "month", {"model": "gpt-4o-mini"}, name="small", hard=True)
    assert manager.apply(ROUTE).is_on


def test_a_backend_of_ones_own_keeps_no_policies():
    class Mine(StorageBackend):
        def save_event(self, event):
            """Nothing."""

        def query_events(self, filters=None, start_time=None, end_time=None):
            return []

        def aggregate(self, metric, group_by=(), filters=None, start_time=None, end_time=None):
            return {}

    with pytest.raises(StorageError, match="Mine cannot keep policies"):
        PolicyManager(Mine())


def test_a_store_in_memory_keeps_them_too():
    manager = PolicyManager(InMemoryStorage())
    manager.apply(ROUTE)
    assert manager.list()[0].is_on


def test_what_each_host_does_is_said(manager):
    assert "no way to send a call to another model" in manager.hosts(ROUTE)["CrewAI"]
    assert manager.hosts(Policy(name="l", kind="loop"))["LlamaIndex"] == "the call raises AgentLoopError"


# Settings


FILE = """
policies:
  - name: mini
    kind: route
    model: gpt-4o
    to: gpt-4o-mini
    filters: {agent_id: planner}
  - name: enough
    kind: loop
    rounds: 4
    apply: true
"""


def test_the_settings_file_has_policies(store, tmp_path):
    (tmp_path / "token_calculator.yaml").write_text(FILE)
    settings.forget()
    manager = PolicyManager(store)
    assert [(each.policy.name, each.state) for each in manager.list()] == [("enough", "off"), ("mini", "off")]
    assert manager.dry_run("mini").policy.filters == {"agent_id": ("planner",)}
    instrument(store, enforce=True, frameworks=[])
    assert [(each.policy.name, each.state) for each in manager.list()] == [("enough", "on"), ("mini", "off")]
    assert manager.log()[0].by == "the settings file"
    manager.undo("enough")
    instrument(store, enforce=True, frameworks=[])
    assert manager.list()[0].state == "undone"  # until the file says something else of it
    (tmp_path / "token_calculator.yaml").write_text(FILE.replace("rounds: 4", "rounds: 5"))
    settings.forget()
    instrument(store, enforce=True, frameworks=[])
    assert (manager.list()[0].state, manager.list()[0].policy.rounds) == ("on", 5)
    assert manager.apply("mini").is_on


def test_a_wrong_policy_of_the_file_is_named(store, tmp_path):
    (tmp_path / "token_calculator.yaml").write_text("policies: [{name: mini, kind: route, to: x}]")
    settings.forget()
    with pytest.raises(ConfigurationError, match=r"policy 'mini' of the settings file: .* needs model"):
        PolicyManager(store).list()


# What outcomes do


def runs(store, live, count, rates):
    """Have so many runs be asked about, and come out well so often, evenly; return how many were routed."""
    done, events = [0, 0], []
    for _ in range(count):
        root = ids.new_id()
        request = Request("gpt-4o", "openai", root_id=root, event_id=ids.new_id(), can_swap=True)
        arm = int(live.admit(request).model == "gpt-4o-mini")
        done[arm] += 1
        succeeds = int(done[arm] * rates[arm]) > int((done[arm] - 1) * rates[arm])
        events.append(TrackingEvent(event_id=ids.to_text(root), event_type="workflow", name="w"))
        events.append(outcome(ids.to_text(root), succeeds))
    store.save_events(events)
    return done


def outcome(run_id, succeeds):
    """Return the event that `WorkflowTracker.outcome` saves."""
    return TrackingEvent(event_type=OUTCOME, parent_id=run_id, metadata=Outcome(succeeds).to_dict())


@pytest.fixture
def live(policies):
    instrument(policies.storage, enforce=True, frameworks=[])
    policies.apply(ROUTE)
    return live_of(policies.storage)


def test_outcomes_that_are_as_good_have_nearly_all_routed(policies, live):
    runs(policies.storage, live, 40, (0.9, 0.9))
    policies.review()
    assert not policies.list()[0].is_proven
    assert live.acting[0].share == 0.5
    runs(policies.storage, live, 1500, (0.95, 0.97))
    (status,) = policies.review()
    assert status.is_proven
    assert live.acting[0].share == 0.95
    assert status.routed.trials + status.as_before.trials == 1540
    _kept, routed = runs(policies.storage, live, 200, (0.95, 0.97))
    assert routed > 170  # 190 of 200 expected, with a deviation of 3


def test_outcomes_that_are_worse_take_it_back(policies, live):
    runs(policies.storage, live, 150, (0.95, 0.3))
    (status,) = policies.review()
    assert status.state == "rolled back"
    change = policies.log()[-1]
    assert (change.kind, change.by) == ("rolled back", "the guard")
    assert change.why.startswith("outcomes got worse: ")
    assert runs(policies.storage, live, 20, (1, 1)) == [20, 0]
    assert policies.apply(ROUTE).is_on  # who knows better may, and it begins anew
    assert policies.list()[0].routed.trials == 0


def test_what_was_counted_before_a_fork_is_left_to_the_parent(store):
    instrument(store, enforce=True, frameworks=[])
    PolicyManager(store).apply(ROUTE)
    live = live_of(store)
    runs(store, live, 3, (1, 1))
    live.begin()  # as a child does
    assert live.acting == ()
    live.catch_up()
    runs(store, live, 40, (1, 1))
    assert len(live.acting) == 1


def test_what_acts_on_all_calls_is_held_against_what_was_before(store, today):
    manager = PolicyManager(store)
    save_runs(store, [True] * 95 + [False] * 5)
    today.advance(seconds=10)
    manager.apply(Policy(name="short", kind="trim", at=1000))
    today.advance(seconds=10)
    save_runs(store, [True] * 47 + [False] * 3)
    assert manager.review()[0].is_on
    save_runs(store, [False] * 60)
    assert manager.review()[0].state == "rolled back"
    assert manager.log()[-1].why == (
        "outcomes got worse: 43 % of 110 runs since it is on succeeded, and 95 % of the 100 before"
    )


def save_runs(store, outcomes):
    events = []
    for succeeds in outcomes:
        run_id = ids.to_text(ids.new_id())
        events += [TrackingEvent(event_id=run_id, event_type="workflow", name="w"), outcome(run_id, succeeds)]
    store.save_events(events)


def test_an_outcome_of_what_was_never_assigned(policies, live):
    with pytest.raises(PolicyError, match="policy 'mini' has assigned no run 'r-1'"):
        policies.record_outcome("mini", "r-1", success=True)
    with pytest.raises(PolicyError, match="no policy 'other' of kind 'route' is on"):
        policies.record_outcome("other", "r-1", success=True)
    model = policies.assign("mini", "r-1")
    assert [policies.assign("mini", "r-1") for _ in range(3)] == [model] * 3
    policies.record_outcome("mini", "r-1", success=True)
    (status,) = policies.list()
    assert (status.routed.trials, status.as_before.trials) == ((1, 0) if model == "gpt-4o-mini" else (0, 1))
    models = [policies.assign("mini", f"r-{number}") for number in range(100)]
    assert 25 < models.count("gpt-4o-mini") < 75


# Other processes


PROGRAM = """
import sys, tc_core
from tc_core.model import ids
from tc_core.model.part import Request
from tc_core.selection.policies.live import live_of
from tc_core.testing import FakeClock
from datetime import datetime, UTC

store = tc_core.SQLiteStorage("store.db")
with FakeClock(datetime(2026, 5, 15, 12, tzinfo=UTC)) as clock:
    tc_core.instrument(store, enforce=True, frameworks=[])
    live = live_of(store)
    for line in sys.stdin:
        clock.advance(seconds=3)
        tc_core.CostTracker(store).track_call("gpt-4o", 10, 1)
        live.committed()
        models = {
            live.admit(Request("gpt-4o", root_id=ids.new_id(), event_id=ids.new_id(), can_swap=True)).model
            if live.part.admit else None for _ in range(40)
        }
        print(sorted(map(str, models)), flush=True)
"""


@pytest.mark.slow
def test_a_process_that_runs_takes_up_what_another_applies(store, tmp_path):
    import subprocess
    import sys

    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )

    def told():
        program.stdin.write("go\n")
        program.stdin.flush()
        return program.stdout.readline().strip()

    with program:
        assert told() == "['None']"
        manager = PolicyManager(store)
        manager.apply(ROUTE)
        assert told() == "['None', 'gpt-4o-mini']"
        manager.undo("mini")
        assert told() == "['None']"
        program.stdin.close()
    assert program.returncode == 0


def test_the_doctor_says_what_is_on(manager, store):
    manager.apply(ROUTE)
    said = [each.said for each in live_of(store).checks()]
    assert said == ["1 on: mini; they act where instrument(enforce=True) or TOKEN_CALC_ENFORCE=true says so"]
    assert tc_core.PolicyManager is PolicyManager
