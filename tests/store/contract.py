"""What every store must do; each backend's tests inherit it."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from tc_core.errors import CycleError, LineageError
from tc_core.model import ids
from tc_core.model.attempt import Attempt
from tc_core.model.event import EventRecord, TrackingEvent
from tc_core.model.ports import Batch, Link, Priced, SpoolMark
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.model.scope import Scope
from tc_core.model.usage import Usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def call(minutes=0, **facts):
    """A priced call at so many minutes after noon."""
    known = {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10, "cost": 0.001}
    return TrackingEvent(timestamp=NOON + timedelta(minutes=minutes), **(known | facts))


def record(event_id, **facts):
    return EventRecord(ids.from_text(event_id), "llm_call", 1_000_000, **facts)


class StorageContract:
    """Subclasses provide the fixture `store`: an empty one."""

    # Saving

    def test_an_event_comes_back_as_it_was_saved(self, store):
        event = call(
            event_id="req_1",
            parent_id="req_0",
            name="answer",
            provider="openai",
            served_model="gpt-4o-2024-08-06",
            cached_tokens=40,
            reasoning_tokens=3,
            cache_write_tokens=1,
            audio_input_tokens=2,
            audio_output_tokens=1,
            charges={"web_searches": 2, "audio_seconds": 1.25, "claude-haiku-4-5/input_tokens": 7, "odd \0\ud800ü": 0},
            charges_nanos=20_000_000,
            latency_ms=812.5,
            agent_id="a",
            agent_type="t",
            task_type="task",
            intent="i",
            workflow_id="w",
            session_id="s",
            environment="production",
            labels={"user_id": "u1", "odd 'name\"": "välue\n", "x.y": "z"},
            metadata={"deep": {"list": [1, 2.5, None, "text"]}},
        )
        store.save_event(event)
        assert store.get_event("req_1") == event
        assert store.query_events() == [event]

    def test_an_id_that_is_a_uuid_comes_back_as_it_is(self, store):
        event = call(event_id="01890a5d-ac96-774b-bcce-b302099a8057")
        store.save_event(event)
        assert store.get_event(event.event_id).event_id == event.event_id

    def test_what_is_not_there_is_none(self, store):
        assert store.get_event("req_404") is None

    def test_saving_the_same_event_again_changes_nothing(self, store):
        event = call()
        store.save_event(event)
        store.save_event(event)
        assert store.aggregate("calls") == {(): 1}

    def test_the_same_id_with_other_facts_is_refused(self, store):
        store.save_event(call(event_id="req_1"))
        with pytest.raises(ValueError, match="req_1"):
            store.save_event(call(event_id="req_1", input_tokens=101))
        assert store.aggregate("input_tokens") == {(): 100}

    def test_one_group_may_be_named_as_it_is(self, store):
        store.save_event(call(agent_id="a"))
        assert store.aggregate("calls", "agent_id") == {("a",): 1}

    def test_a_relation_that_cannot_be_names_the_events_as_the_user_does(self, store):
        store.save_events([call(event_id="req_1"), call(event_id="req_2")])
        with pytest.raises(LineageError, match="'req_3'"):
            store.save_relationship(ProvenanceRelationship("req_1", "req_3", "derived_from"))
        store.save_relationship(ProvenanceRelationship("req_2", "req_1", "derived_from"))
        with pytest.raises(CycleError, match="'req_1' to 'req_2'"):
            store.save_relationship(ProvenanceRelationship("req_1", "req_2", "derived_from"))

    def test_an_open_event_may_be_completed(self, store):
        store.save_event(call(event_id="req_1", status="open", input_tokens=None, output_tokens=None, cost=None))
        assert store.aggregate("calls") == {(): 0}
        store.save_event(call(event_id="req_1"))
        assert store.get_event("req_1").status == "ok"
        assert store.aggregate("cost") == {(): 0.001}

    def test_many_events_are_saved_at_once(self, store):
        store.save_events([call(minutes=n) for n in range(1500)])
        assert store.aggregate("calls") == {(): 1500}

    def test_one_bad_event_saves_none_of_its_batch(self, store):
        with pytest.raises(ValueError, match="req_1"):
            store.save_events([call(), call(event_id="req_1"), call(event_id="req_1", cost=9.0)])
        assert store.query_events() == []

    def test_facts_that_no_event_can_have_are_refused(self, store):
        with pytest.raises(ValueError, match="input_tokens"):
            store.save_event(call(input_tokens=-1))
        assert store.query_events() == []

    # Asking

    def test_events_come_in_order_of_time(self, store):
        store.save_events([call(2, name="b"), call(1, name="a"), call(3, name="c")])
        assert [event.name for event in store.query_events()] == ["a", "b", "c"]
        assert [event.name for event in store.query_events(descending=True, limit=2)] == ["c", "b"]

    def test_a_period_includes_its_start_and_not_its_end(self, store):
        store.save_events([call(0, name="a"), call(10, name="b"), call(20, name="c")])
        found = store.query_events(start_time=NOON, end_time=NOON + timedelta(minutes=20))
        assert [event.name for event in found] == ["a", "b"]
        assert store.aggregate("calls", start_time=NOON, end_time=NOON + timedelta(minutes=20)) == {(): 2}

    @pytest.mark.parametrize(
        ("filters", "names"),
        [
            pytest.param({"agent_id": "x"}, ["a"], id="dimension"),
            pytest.param({"agent_id": ["x", "y"]}, ["a", "b"], id="one-of-several"),
            pytest.param({"agent_id": None}, ["c"], id="without"),
            pytest.param({"agent_id": ["x", None]}, ["a", "c"], id="one-or-without"),
            pytest.param({"user_id": "u1"}, ["a", "b"], id="label"),
            pytest.param({"user_id": ["u1", "u2"]}, ["a", "b", "c"], id="label-one-of"),
            pytest.param({"feature": None}, ["b", "c"], id="without-label"),
            pytest.param({"labels.model": "blue"}, ["c"], id="a-label-named-like-a-column"),
            pytest.param({"model": "blue"}, [], id="the-column-is-not-the-label"),
            pytest.param({"odd 'na\"me": "1"}, ["b"], id="odd-label"),
            pytest.param({"agent_id": "x", "user_id": "u1"}, ["a"], id="both"),
            pytest.param({"agent_id": "nobody"}, [], id="nobody"),
            pytest.param({"agent_id": []}, [], id="none-of-nothing"),
            pytest.param({"status": "error"}, ["b"], id="status"),
            pytest.param({"hour": "2026-11-20T13:00"}, ["c"], id="hour"),
            pytest.param({"day": ["2026-11-20"]}, ["a", "b", "c"], id="day"),
            pytest.param({"month": "2026-10"}, [], id="month"),
        ],
    )
    def test_filters(self, store, filters, names):
        store.save_events(
            [
                call(0, name="a", agent_id="x", labels={"user_id": "u1", "feature": "f"}),
                call(1, name="b", agent_id="y", labels={"user_id": "u1", "odd 'na\"me": "1"}, status="error"),
                call(61, name="c", labels={"user_id": "u2", "model": "blue"}),
            ]
        )
        assert [event.name for event in store.query_events(filters)] == names
        assert sum(store.aggregate("calls", filters=filters).values()) == len(names)

    def test_sql_in_names_and_values_is_only_text(self, store):
        evil = "x'; DROP TABLE event; --"
        store.save_event(call(agent_id=evil, labels={evil: evil}))
        assert store.aggregate("calls", ["agent_id"], {evil: evil}) == {(evil,): 1}
        assert store.aggregate("calls", [evil]) == {(evil,): 1}

    def test_nul_bytes_and_halves_of_characters_are_replaced_and_found_again(self, store):
        odd = call(
            agent_id="a\0b",
            model="m\0",
            error_type="E\ud83d",
            labels={"na\0me": "va\0lue", "half \ud83d": "\ud83d"},
            metadata={"k\0": "v\0"},
        )
        store.save_event(odd)
        assert store.aggregate("calls", ["na\0me"], {"na\0me": "va\0lue"}) == {("va\ufffdlue",): 1}
        assert store.aggregate("calls", ["labels.half \ud83d"], {"labels.half \ud83d": "\ud83d"}) == {("?",): 1}
        assert store.aggregate("calls", ["session_id"], {"na\0me": ["va\0lue"]}) == {(None,): 1}
        assert [event.labels["na\ufffdme"] for event in store.query_events({"agent_id": "a\0b"})] == ["va\ufffdlue"]
        assert store.query_events({"na\0me": None}) == []
        assert store.query_events()[0].metadata == {"k\0": "v\0"}

    def test_groups(self, store):
        store.save_events(
            [
                call(0, agent_id="x", labels={"user_id": "u1"}),
                call(70, agent_id="x", labels={"user_id": "u2"}, cost=0.002),
                call(2 * 24 * 60, agent_id="y", model="gpt-99", cost=None),
            ]
        )
        assert store.aggregate("cost", ["agent_id"]) == {("x",): 0.003, ("y",): None}
        assert store.aggregate("charges", ["agent_id"]) == {("x",): 0.0, ("y",): None}
        assert store.aggregate("calls", ["user_id"]) == {("u1",): 1, ("u2",): 1, (None,): 1}
        assert store.aggregate("calls", ["user_id", "agent_id"]) == {("u1", "x"): 1, ("u2", "x"): 1, (None, "y"): 1}
        assert store.aggregate("calls", ["day"]) == {("2026-11-20",): 2, ("2026-11-22",): 1}
        assert store.aggregate("calls", ["month", "model"]) == {("2026-11", "gpt-4o"): 2, ("2026-11", "gpt-99"): 1}
        assert store.aggregate("calls", ["hour"], {"agent_id": "x"}) == {
            ("2026-11-20T12:00+00:00",): 1,
            ("2026-11-20T13:00+00:00",): 1,
        }
        assert store.aggregate("calls", ["user_id"], {"user_id": "u1"}) == {("u1",): 1}

    def test_metrics(self, store):
        store.save_events(
            [
                call(latency_ms=100.5, cached_tokens=50, charges={"web_searches": 1}, charges_nanos=250_000),
                call(status="error", error_type="E", input_tokens=None, output_tokens=None, cost=None, latency_ms=1),
                TrackingEvent(timestamp=NOON, event_type="tool", name="t", status="error", latency_ms=1000),
            ]
        )
        wanted = {
            "cost": 0.001,
            "charges": 0.00025,
            "input_tokens": 100,
            "output_tokens": 10,
            "total_tokens": 110,
            "cached_tokens": 50,
            "calls": 2,
            "errors": 1,
            "latency_ms": 101.5,
        }
        assert {metric: store.aggregate(metric)[()] for metric in wanted} == wanted
        assert store.aggregate("errors", filters={"event_type": "tool"}) == {(): 1}
        with pytest.raises(ValueError, match="metric must be one of"):
            store.aggregate("profit")

    def test_nothing_costs_nothing(self, store):
        assert store.aggregate("cost") == {(): 0.0}
        assert store.aggregate("cost", ["model"]) == {}

    def test_money_sums_exactly(self, store):
        store.save_events([call(cost=0.1) for _ in range(10)])
        assert store.aggregate("cost") == {(): 1.0}


class RevisionContract:
    """For stores that a recorder writes to: batches, revisions, marks. Fixture: `store`."""

    def test_a_more_final_record_replaces_what_was_known(self, store):
        later = Usage(50, 5)
        sink = store.sink
        sink.write(Batch([record("r", model="gpt-4o", status="open", scope=Scope(agent_id="a"))]))
        assert store.aggregate("calls") == {(): 0}
        sink.write(Batch([record("r", status="abandoned")]))
        assert store.aggregate("calls", ["agent_id"]) == {("a",): 1}
        sink.write(Batch([record("r", status="ok", usage=later, usage_source="estimate", cost_nanos=7)]))
        sink.write(Batch([record("r", status="ok", usage=Usage(60, 6), usage_source="provider", cost_nanos=9)]))
        sink.write(Batch([record("r", status="abandoned")]))
        sink.write(Batch([record("r", status="ok", usage=Usage(1, 1), usage_source="estimate", cost_nanos=1)]))
        found = store.get_event("r")
        assert (found.model, found.agent_id, found.input_tokens, found.cost_nanos) == ("gpt-4o", "a", 60, 9)
        total = store.totals(["agent_id"])[("a",)]
        assert (total.calls, total.input_tokens, total.cost_nanos, total.estimated, total.unpriced) == (1, 60, 9, 0, 0)

    @pytest.mark.parametrize("status", ["abandoned", "cancelled", "closed"])
    @pytest.mark.parametrize(("final", "error"), [("ok", None), ("error", "RateLimitError")])
    def test_an_end_after_all_takes_back_how_a_run_was_broken_off(self, store, status, final, error):
        before = record("r", model="gpt-4o", status=status, error_type="CancelledError", latency_us=5)
        store.sink.write(Batch([before]))
        store.sink.write(Batch([record("r", status=final, error_type=error, usage=Usage(2, 4), usage_source="exact")]))
        store.sink.write(Batch([before]))
        found = store.get_event("r")
        assert (found.status, found.error_type, found.output_tokens) == (final, error, 4)
        assert (found.model, found.latency_ms) == ("gpt-4o", 0.005)  # what the later end does not know stays
        assert store.totals()[()].errors == (final == "error")

    def test_the_same_end_with_more_tokens_keeps_its_error(self, store):
        store.sink.write(Batch([record("r", status="error", error_type="TimeoutError")]))
        store.sink.write(Batch([record("r", status="error", usage=Usage(2, 0), usage_source="provider")]))
        assert store.get_event("r").error_type == "TimeoutError"

    def test_a_revision_that_moves_an_event_moves_its_sums(self, store):
        before = record("r", status="abandoned", scope=Scope(agent_id="a", labels={"user_id": "u1"}))
        after = record(
            "r",
            status="ok",
            usage=Usage(5, 1),
            usage_source="provider",
            cost_nanos=3,
            scope=Scope(agent_id="b", labels={"user_id": "u2"}),
        )
        store.sink.write(Batch([before]))
        store.sink.write(Batch([after]))
        assert store.totals(["agent_id"]) == {("b",): store.totals()[()]}
        assert store.totals(["user_id"]) == {("u2",): store.totals()[()]}

    def test_two_records_of_one_event_in_a_batch_are_one_row(self, store):
        store.sink.write(Batch([record("r", status="open"), record("r", status="ok", usage=Usage(1, 1))]))
        assert store.get_event("r").status == "ok"
        assert store.aggregate("calls") == {(): 1}

    def test_what_is_charged_goes_with_the_tokens_that_a_revision_knows(self, store):
        first = {"usage": Usage(5, 1), "usage_source": "estimate", "cost_nanos": 30, "price_source": "a table"}
        charged = {"charges": {"web_searches": 3}, "charges_nanos": 20, "price_date": date(2026, 1, 1)}
        store.sink.write(Batch([record("r", model="gpt-4o", status="closed", **first, **charged)]))
        assert store.totals()[()].charges_nanos == 20
        store.sink.write(Batch([record("r", status="ok")]))  # which knows nothing of it
        found = store.get_event("r")
        assert (found.charges, found.charges_nanos, found.cost_nanos) == ({"web_searches": 3}, 20, 30)
        billed = {"cost_nanos": 50, "price_source": "billed"}
        store.sink.write(Batch([record("r", status="ok", usage=Usage(6, 2), usage_source="provider", **billed)]))
        found = store.get_event("r")
        assert (found.charges, found.charges_nanos, found.cost_nanos, found.price_date) == ({}, None, 50, None)
        total = store.totals()[()]
        assert (total.cost_nanos, total.charges_nanos) == (50, 0)

    def test_a_revision_whose_tokens_have_no_price_does_not_keep_that_of_others(self, store):
        store.sink.write(Batch([record("r", status="ok", usage=Usage(5, 1), usage_source="estimate", cost_nanos=3)]))
        provider = {"usage": Usage(6, 2), "usage_source": "provider", "charges": {"a new tool": 1}}
        store.sink.write(Batch([record("r", status="ok", **provider)]))
        assert (store.get_event("r").cost_nanos, store.totals()[()].unpriced) == (None, 1)

    def test_what_is_charged_is_priced_again_with_its_tokens(self, store):
        events = [
            call(n, event_id=f"e{n}", cost=None, **facts)
            for n, facts in enumerate(
                [
                    {"charges": {"web_searches": 2}},
                    {"charges": {"audio_seconds": 4.5}, "input_tokens": None, "output_tokens": None},
                    {"input_tokens": None, "output_tokens": None},  # of which nothing is known
                ]
            )
        ]
        store.save_events(events)
        seen = list(store.reprice(lambda event: Priced(90, "a test", None, 70) if event.charges else None))
        assert [(event.event_id, dict(event.charges)) for event, _ in seen] == [
            ("e0", {"web_searches": 2}),
            ("e1", {"audio_seconds": 4.5}),
        ]
        total = store.totals()[()]
        assert (total.cost_nanos, total.charges_nanos, total.unpriced) == (180, 140, 1)
        list(store.reprice(lambda _event: Priced(80, "a test", None), unpriced_only=False))
        assert (store.totals()[()].charges_nanos, store.get_event("e0").charges_nanos) == (0, 0)
        assert {finding.state for finding in store.check()} == {"ok"}

    def test_what_a_provider_reports_stays_readable_however_odd(self, store):
        odd = Usage(10, 1, cached_tokens=99, reasoning_tokens=7)
        store.sink.write(Batch([record("r", status="ok", usage=odd, usage_source="provider")]))
        assert store.get_event("r").cached_tokens == 99

    def test_the_mark_moves_with_the_batch(self, store):
        assert store.sink.position("f") == 0
        store.sink.write(Batch([record("r", status="ok")]), SpoolMark("f", 100))
        assert store.sink.position("f") == 100
        store.sink.make_durable("f")
        store.sink.forget("f")
        assert store.sink.position("f") == 0

    def test_attempts_belong_to_their_event(self, store):
        of_it = [Attempt(1, 0, 500, 10), Attempt(2, 1, None, None), Attempt(3, 2, 200, 30, 5, 1)]
        written = record("r", status="ok")
        unknown = record("unknown").id
        store.sink.write(Batch([written], attempts=[*((written.id, each) for each in of_it), (unknown, of_it[0])]))
        store.sink.write(Batch(attempts=[(written.id, of_it[0])]))
        assert store.attempts("r") == of_it
        assert store.attempts("unknown") == []

    def test_faults_add_up(self, store):
        store.sink.write(Batch(faults={"hook: KeyError": 2}))
        store.sink.write(Batch(faults={"hook: KeyError": 1, "other": 1}))
        assert store.faults() == {"hook: KeyError": 3, "other": 1}

    # Lineage

    def test_roots_and_depths_follow_the_parents(self, store):
        child = record("c", parent_id=ids.from_text("p"), status="ok")
        store.sink.write(
            Batch([child, record("p", parent_id=ids.from_text("g"), status="ok"), record("g", status="ok")])
        )
        store.sink.write(Batch([record("later", parent_id=ids.from_text("c"), status="ok")]))
        events = {event.event_id[-4:]: event for event in store.query_events()}
        found = {(store.get_event(name).depth, store.get_event(name).root_id) for name in ("g", "p", "c", "later")}
        root = ids.to_text(ids.from_text("g"))
        assert len(events) == 4
        assert found == {(0, root), (1, root), (2, root), (3, root)}

    def test_a_parent_that_comes_late_adopts_its_children(self, store):
        store.save_event(call(event_id="child", parent_id="parent"))
        store.save_event(call(event_id="grandchild", parent_id="child"))
        assert store.get_event("child").parent_id == "parent"
        store.save_event(call(event_id="parent", parent_id="root"))
        store.save_event(call(event_id="root"))
        found = {name: store.get_event(name) for name in ("root", "parent", "child", "grandchild")}
        assert {name: event.depth for name, event in found.items()} == {
            "root": 0,
            "parent": 1,
            "child": 2,
            "grandchild": 3,
        }
        assert {event.root_id for event in found.values()} == {"root"}
        assert len(store.tree("root")[0]) == 4

    @pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
    def test_parents_in_a_circle_do_no_harm(self, store, order):
        parents = {"a": "b", "b": "a"}
        for name in order:
            store.save_event(call(event_id=name, parent_id=parents[name]))
        store.save_event(call(event_id="self", parent_id="self"))
        assert {event.event_id for event in store.query_events()} == {"a", "b", "self"}
        assert store.get_event("self").parent_id == "self"

    def test_a_chain_of_thousands_is_no_problem(self, store):
        chain = [record(f"e{n}", parent_id=ids.from_text(f"e{n - 1}") if n else None, status="ok") for n in range(3000)]
        store.sink.write(Batch(list(reversed(chain))))
        assert store.get_event("e2999").depth == 2999 if store.get_event("e2999") else True
        deepest = max(event.depth for event in store.query_events())
        assert deepest == 2999

    @pytest.mark.filterwarnings("error::sqlalchemy.exc.SAWarning")
    def test_the_events_below_a_root_or_a_parent_are_counted(self, store):
        store.save_events(
            [call(event_id="root"), call(event_id="child", parent_id="root"), call(event_id="orphan", parent_id="gone")]
        )
        store.save_event(call(event_id="grandchild", parent_id="child"))
        counted = [
            store.count({"root_id": "root"}),
            store.count({"parent_id": ["root", "child"]}),
            store.count({"parent_id": "gone"}),
            store.count({"parent_id": None}),
        ]
        assert counted == [3, 2, 1, 1]

    def test_runs_are_roots_with_the_sums_below_them(self, store):
        store.save_events(
            [
                TrackingEvent(event_id="run1", event_type="agent", name="planner", timestamp=NOON),
                call(1, event_id="c1", parent_id="run1"),
                call(2, event_id="c2", parent_id="run1", cost=None),
                call(3, event_id="lone"),
                TrackingEvent(event_id="run2", event_type="workflow", timestamp=NOON + timedelta(minutes=5)),
            ]
        )
        runs = store.runs()
        assert [run.event.event_id for run in runs] == ["run2", "run1"]
        assert (runs[1].totals.calls, runs[1].totals.cost_nanos, runs[1].totals.unpriced, runs[1].events) == (
            2,
            1_000_000,
            1,
            3,
        )
        assert [run.event.event_id for run in store.runs(limit=2, single_calls=True)] == ["run2", "lone"]

    # Relations

    def test_relations_are_kept_and_found(self, store):
        store.save_events([call(event_id="old", workflow_id="w"), call(1, event_id="new", workflow_id="w")])
        retry = ProvenanceRelationship("new", "old", "retry_of", "framework", 0.95, {"attempt": 2})
        store.save_relationship(retry)
        store.save_relationship(retry)
        assert store.relationships() == [retry]
        assert store.relationships(event_id="old") == [retry]
        assert store.relationships(workflow_id="w") == [retry]
        assert store.relationships(event_id="other") == []

    def test_what_is_only_likely_is_told_where_that_is_asked_for(self, store):
        store.save_events([call(n, event_id=f"e{n}", workflow_id="w") for n in range(3)])
        fact = ProvenanceRelationship("e1", "e0", "derived_from", "content", 0.9)
        hint = ProvenanceRelationship("e2", "e0", "derived_from", "content", 0.89)
        store.save_relationship(fact)
        store.save_relationship(hint)
        assert store.relationships() == store.relationships("e0") == store.relationships(workflow_id="w") == [fact]
        assert sorted(store.relationships(hints=True), key=repr) == sorted([fact, hint], key=repr)
        assert store.relationships("e2", hints=True) == [hint]

    def test_a_relation_by_hand_that_closes_a_circle_raises(self, store):
        store.save_events([call(n, event_id=f"e{n}") for n in range(3)])
        store.save_relationship(ProvenanceRelationship("e1", "e0", "retry_of"))
        store.save_relationship(ProvenanceRelationship("e2", "e1", "derived_from"))
        with pytest.raises(CycleError):
            store.save_relationship(ProvenanceRelationship("e0", "e2", "derived_from"))
        with pytest.raises(CycleError):
            store.save_relationship(ProvenanceRelationship("e0", "e0", "retry_of"))
        assert len(store.relationships()) == 2

    def test_a_relation_to_nothing_raises(self, store):
        store.save_event(call(event_id="e0"))
        with pytest.raises(LineageError, match="no event"):
            store.save_relationship(ProvenanceRelationship("e0", "nothing", "retry_of"))

    def test_an_observed_relation_that_cannot_be_kept_is_counted(self, store):
        store.sink.write(Batch([record("a", status="ok")], [Link(ids.from_text("a"), "retry_of", ids.from_text("x"))]))
        assert store.relationships() == []
        assert store.faults() == {"relation retry_of: LineageError": 1}

    # Threads

    def test_fifty_threads_write_and_read_at_once(self, store):
        def work(thread):
            for n in range(10):
                store.save_event(call(n, agent_id=f"a{thread % 5}", labels={"t": str(thread)}))
                store.aggregate("calls", ["agent_id"])

        threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.aggregate("calls") == {(): 500}
        assert set(store.aggregate("calls", ["agent_id"]).values()) == {100}
        assert set(store.aggregate("calls", ["t"]).values()) == {10}
