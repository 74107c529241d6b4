import threading
from datetime import date

import pytest

from tc_core.meter import corrections
from tc_core.meter.usage import usage_part
from tc_core.model import ids
from tc_core.model.event import EventRecord
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.record import context, open_runs
from tc_core.record import recorder as recorder_module
from tc_core.record.enrich import METERING
from tc_core.record.guard import faults
from tc_core.record.recorder import Recorder
from tc_core.store.storages import InMemoryStorage


@pytest.fixture
def store():
    return InMemoryStorage()


@pytest.fixture
def recorder(store):
    recorder = Recorder(store.sink, parts=[METERING])
    store.before_read.append(recorder.drain)
    yield recorder
    recorder.close()


def one(store, **filters):
    (event,) = store.query_events(filters)
    return event


def test_a_call_is_recorded_with_its_usage_and_cost(recorder, store):
    event_id = recorder.start(
        "llm_call", key="k", model="gpt-4o", provider="openai", labels={"agent_id": "a", "user_id": 7}
    )
    recorder.finish("k", usage=Usage(10_000, 500, 8_000), model="gpt-4o-2024-08-06")
    event = one(store)
    assert event.event_id == event_id
    assert (event.model, event.served_model, event.provider) == ("gpt-4o", "gpt-4o-2024-08-06", "openai")
    assert (event.cost_nanos, event.usage_source, event.status) == (20_000_000, "provider", "ok")
    assert event.price_source.startswith("genai-prices")
    assert (event.agent_id, event.labels) == ("a", {"user_id": "7"})
    assert 0 <= event.latency_ms < 5000


def test_what_a_provider_charges_beside_tokens_is_kept_and_priced(recorder, store):
    body = {"usage": {"input_tokens": 1_000, "output_tokens": 100, "server_tool_use": {"web_search_requests": 2}}}
    recorder.start("llm_call", key="k", model="claude-sonnet-4-5", provider="anthropic")
    recorder.finish("k", report=usage_part(body))
    event = one(store)
    # 1,000 x 3 + 100 x 15 dollars per million, and two searches at 10 dollars per thousand
    assert (event.charges, event.charges_nanos, event.cost_nanos) == ({"web_searches": 2}, 20_000_000, 24_500_000)
    total = store.totals()[()]
    assert (total.cost_nanos, total.charges_nanos) == (24_500_000, 20_000_000)


@pytest.mark.swallows
def test_of_charges_without_end_only_some_are_kept_and_that_is_counted(recorder, store):
    tools = {f"tool_{n}_call": 1 for n in range(100)}
    recorder.start("llm_call", key="k", model="gpt-4o")
    recorder.finish("k", report={"usage": {"input_tokens": 1, "output_tokens": 1}, "tools": tools})
    event = one(store)
    assert (len(event.charges), event.cost_nanos) == (64, None)
    event.check()


def test_a_cost_that_nobody_was_charged_is_no_cost(recorder, store):
    body = {"usage": {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 10**12}}}
    recorder.start("llm_call", key="k", model="claude-sonnet-4-5", provider="anthropic")
    recorder.finish("k", report=usage_part(body))
    event = one(store)
    assert (event.charges, event.cost_nanos) == ({"web_searches": 10**12}, None)  # else ten billion dollars


def test_a_host_id_that_is_a_uuid_is_kept(recorder, store):
    own = ids.new_id()
    assert recorder.start("llm_call", key=own, event_id=own) == ids.to_text(own)
    recorder.start("llm_call", key="k", event_id="req_1")
    recorder.finish(own)
    recorder.finish("k")
    assert store.get_event(ids.to_text(own)) is not None
    assert store.get_event("req_1") is not None


def test_a_call_without_usage_is_estimated_and_says_so(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "hello world")])
    recorder.finish("k", output=[Segment("ai", "text", "hello")])
    event = one(store)
    # "hello world" is 2 tokens, a message adds 3 and the reply 3; "hello" is 1.
    assert (event.input_tokens, event.output_tokens, event.usage_source) == (9, 1, "exact")
    assert event.cost_nanos == 9 * 2500 + 10_000


def test_content_may_come_when_it_is_needed(recorder, store):
    asked = []

    def content():
        asked.append(True)
        return [Segment("human", "text", "hello world")]

    for number in range(1, 10):
        recorder.start("llm_call", key=number, model="gpt-4o", content=content)
        recorder.finish(number, usage=Usage(1, 1))
    assert len(asked) == 4  # of calls 1, 2, 4 and 8, to learn from
    recorder.start("llm_call", key="b", model="claude-sonnet-4-5", content=content)
    recorder.finish("b")
    assert one(store, model="claude-sonnet-4-5").usage_source == "proxy"


def test_what_providers_report_corrects_the_estimates_of_a_model_without_a_tokenizer(recorder, store):
    corrections.forget()
    prompt = [Segment("human", "text", "so many words that nobody would count them by hand " * 40)]
    recorder.start("llm_call", key="a", model="claude-x", content=prompt)
    recorder.finish("a", usage=Usage(900, 1))
    recorder.drain()
    recorder.start("llm_call", key="b", model="claude-x", content=prompt)
    recorder.finish("b")
    estimated = store.query_events({"usage_source": "proxy"})[0]
    assert estimated.input_tokens == pytest.approx(900, rel=0.01)
    corrections.forget()


def test_a_failed_call_without_an_answer_is_neither_estimated_nor_unpriced(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "hello")])
    recorder.fail("k", error_type="RateLimitError")
    event = one(store)
    assert (event.status, event.error_type, event.input_tokens, event.cost) == ("error", "RateLimitError", None, None)
    total = store.totals()[()]
    assert (total.calls, total.errors, total.unpriced, total.estimated) == (1, 1, 0, 0)


def test_a_stream_that_broke_off_is_estimated_from_what_came(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "hello world")])
    recorder.fail("k", status="closed", error_type="GeneratorExit", output=[Segment("ai", "text", "hello")])
    event = one(store)
    assert (event.status, event.input_tokens, event.output_tokens) == ("closed", 9, 1)


def test_an_unknown_model_has_no_cost(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-99")
    recorder.finish("k", usage=Usage(1, 1))
    assert one(store).cost is None
    assert store.totals()[()].unpriced == 1


# Lineage


def test_parents_are_written_when_their_first_child_is(recorder, store):
    recorder.start(
        "agent", key="agent", name="planner", labels={"agent_id": "planner", "session_id": "s", "user_id": "u"}
    )
    recorder.start("task", key="step", parent="agent", name="model")
    recorder.start("llm_call", key="call", parent="step", model="gpt-4o")
    recorder.finish("call", usage=Usage(1, 1))
    events = {event.event_type: event for event in store.query_events()}
    assert {kind: (event.status, event.depth) for kind, event in events.items()} == {
        "agent": ("open", 0),
        "task": ("open", 1),
        "llm_call": ("ok", 2),
    }
    assert events["llm_call"].root_id == events["agent"].event_id
    call = events["llm_call"]
    assert (call.agent_id, call.session_id, call.labels) == ("planner", "s", {"user_id": "u"})
    recorder.finish("step")
    recorder.fail("agent", error_type="KeyError")
    statuses = {event.event_type: event.status for event in store.query_events()}
    assert statuses == {"agent": "error", "task": "ok", "llm_call": "ok"}


def test_a_child_may_end_after_its_parent(recorder, store):
    recorder.start("agent", key="agent")
    recorder.start("llm_call", key="call", parent="agent", model="gpt-4o")
    recorder.finish("agent")
    recorder.finish("call", usage=Usage(1, 1))
    assert one(store, event_type="llm_call").depth == 1


def test_a_child_may_begin_after_its_parents_end(recorder, store):
    recorder.start("agent", key="agent")
    recorder.finish("agent")
    recorder.start("llm_call", key="call", parent="agent", model="gpt-4o")
    recorder.finish("call")
    assert one(store, event_type="llm_call").parent_id == one(store, event_type="agent").event_id


def test_a_parent_that_is_not_known_is_still_named_by_its_id(recorder, store):
    unknown = ids.new_id()
    recorder.start("llm_call", key="call", parent=unknown)
    recorder.finish("call")
    assert one(store).parent_id == ids.to_text(unknown)


def test_without_a_parent_the_innermost_open_run_is_it(recorder, store, monkeypatch):
    monkeypatch.setattr(context, "hosts", {"a": lambda: "first", "b": lambda: "second", "c": lambda: "not open"})
    recorder.start("agent", key="first", name="first")
    recorder.start("agent", key="second", name="second", parent="first")
    recorder.start("llm_call", key="call")
    for key in ("call", "second", "first"):
        recorder.finish(key)
    assert one(store, event_type="llm_call").parent_id == one(store, name="second").event_id


def test_a_run_hangs_under_the_innermost_run_of_another_framework_below_the_parent_that_its_own_names(
    recorder, store, monkeypatch
):
    places = {"first": None, "second": None}
    monkeypatch.setattr(context, "hosts", {name: (lambda name=name: places[name]) for name in places})
    recorder.start("task", key="node")
    recorder.start("workflow", key="crew", parent="node")
    recorder.start("tool", key="tool", parent="crew")
    recorder.start("task", key="elsewhere")
    places.update(first="node", second="tool")
    recorder.start("llm_call", key="in the tool", parent="node", model="m1")
    places.update(second="elsewhere")
    recorder.start("llm_call", key="in the node", parent="node", model="m2")
    for key in ("in the tool", "in the node", "tool", "crew", "elsewhere", "node"):
        recorder.finish(key, usage=Usage(1, 1))
    events = {event.event_id: event for event in store.query_events()}
    calls = {event.model: events[event.parent_id].event_type for event in events.values() if event.model}
    assert calls == {"m1": "tool", "m2": "task"}
    (below_node,) = [event for event in events.values() if event.model == "m2"]
    assert events[below_node.parent_id].parent_id is None


def test_labels_of_the_place_are_laid_over_the_parents_and_under_ones_own(recorder, store):
    recorder.start("agent", key="agent", labels={"a": "parent", "b": "parent", "c": "parent"})
    with context.labels(b="place", c="place"):
        recorder.start("llm_call", key="call", parent="agent", labels={"c": "own"})
    recorder.finish("call")
    assert one(store, event_type="llm_call").labels == {"a": "parent", "b": "place", "c": "own"}


# The same run, seen more than once


def test_two_starts_and_two_ends_are_one_call_and_labels_add_up(recorder, store):
    for labels in ({}, {"agent_id": "explicit"}):
        recorder.start("llm_call", key="k", model="gpt-4o", labels=labels)
    for _ in range(2):
        recorder.finish("k", usage=Usage(10, 1))
    assert store.aggregate("calls") == {(): 1}
    assert one(store).agent_id == "explicit"


def test_a_second_end_that_knows_the_usage_revises_the_first(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "hello")])
    recorder.finish("k")
    assert store.totals()[()].estimated == 1
    recorder.finish("k", usage=Usage(1000, 10))
    assert (one(store).input_tokens, one(store).usage_source) == (1000, "provider")
    assert store.totals()[()].estimated == 0
    assert store.aggregate("cost") == {(): 0.0026}  # 1,000 x 2.5 + 10 x 10 millionths


@pytest.mark.parametrize("is_written", [False, True], ids=["queued", "written"])
@pytest.mark.parametrize("status", ["cancelled", "closed"])
def test_an_end_after_all_takes_back_that_a_run_was_broken_off(recorder, store, status, is_written, monkeypatch):
    if not is_written:
        monkeypatch.setattr(recorder.writer, "wake", lambda: None)
    recorder.start("llm_call", key="k", model="gpt-4o", content=[Segment("human", "text", "hello world")])
    recorder.fail("k", status=status, error_type="CancelledError")
    if is_written:
        assert (one(store).status, one(store).output_tokens) == (status, 0)
    recorder.finish("k", output=[Segment("ai", "text", "one two three four")])
    recorder.fail("k", status=status, error_type="CancelledError")  # through a second handler
    event = one(store)
    assert (event.status, event.error_type, event.usage_source) == ("ok", None, "estimate" if is_written else "exact")
    # Queued texts are counted: 2 + 4 for a message + 3 for the reply, and 4. Of written ones lengths are left: 11 and
    # 18 characters, four of them a token.
    assert (event.input_tokens, event.output_tokens) == ((3, 5) if is_written else (9, 4))
    assert (store.totals()[()].calls, store.totals()[()].errors) == (1, 0)
    assert event.cost == pytest.approx(event.input_tokens * 2.5e-6 + event.output_tokens * 10e-6)


@pytest.mark.swallows
def test_a_run_id_that_is_used_again_gets_an_event_of_its_own(recorder, store):
    own = ids.new_id()
    for tokens in (1, 2):
        recorder.start("llm_call", key=own, event_id=own, model="gpt-4o")
        recorder.finish(own, usage=Usage(tokens, 0))
    assert store.aggregate("calls") == {(): 2}
    assert store.aggregate("input_tokens") == {(): 3}
    assert faults.counts == {"a run id was used again": 1}


@pytest.mark.swallows
def test_an_end_without_a_start_is_counted_and_recorded_nowhere(recorder, store):
    recorder.finish("never begun", usage=Usage(1, 1))
    assert store.query_events() == []
    assert faults.counts == {"an end without a start": 1}


# Relations


def test_relations_are_written_with_their_event(recorder, store):
    for key in ("first", "second"):
        recorder.start("llm_call", key=key, model="gpt-4o")
        if key == "second":
            recorder.link("second", "retry_of", "first")
        recorder.finish(key)
    recorder.link("second", "derived_from", "first", origin="content", confidence=0.5)
    found = {relation.relation: relation for relation in store.relationships(hints=True)}
    assert set(found) == {"retry_of", "derived_from"}
    assert (found["retry_of"].source, found["derived_from"].confidence) == ("framework", 0.5)


# Bounds


def test_runs_that_never_end_are_given_up_and_a_late_end_replaces_that(recorder, store, monkeypatch):
    monkeypatch.setattr(recorder_module, "MOST_OPEN", 3)
    recorder.start("agent", key="agent")
    for n in range(4):
        recorder.start("llm_call", key=n, model="gpt-4o", parent="agent")
    assert [event.status for event in store.query_events({"event_type": "llm_call"})] == ["abandoned", "abandoned"]
    assert store.totals()[()].unpriced == 2
    recorder.finish(0, usage=Usage(1000, 0))
    assert store.aggregate("cost") == {(): 0.0025}
    assert store.totals()[()].unpriced == 1
    for key in (1, 2, 3, "agent"):
        recorder.finish(key, usage=None)
    assert {event.status for event in store.query_events()} == {"ok"}


def test_runs_open_for_too_long_are_given_up(recorder, store, monkeypatch):
    recorder.start("agent", key="agent")
    recorder.start("llm_call", key="call", parent="agent")
    monkeypatch.setattr(recorder_module, "LEAF_SECONDS", -1)
    recorder._sweep()
    assert one(store, event_type="llm_call").status == "abandoned"
    assert one(store, event_type="agent").status == "open"


def test_tables_do_not_grow(recorder, store, monkeypatch):
    monkeypatch.setattr(open_runs, "MOST_ENDED", 10)
    monkeypatch.setattr(recorder_module, "MOST_SCOPES", 10)
    for n in range(100):
        recorder.start("llm_call", key=n, labels={"session_id": n})
        recorder.finish(n)
    assert not recorder._open
    assert len(recorder._ended) <= 10
    assert len(recorder._scopes) <= 10
    assert store.aggregate("calls") == {(): 100}


# By hand


def test_a_call_around_a_call_keeps_nothing_and_counts_nowhere(recorder, store):
    recorder.start("agent", key="agent", labels={"agent_id": "a"})
    recorder.start("llm_call", key="outer", parent="agent", model="gpt-4o", content=[Segment("human", "text", "hello")])
    recorder.start("llm_call", key="inner", parent="outer", model="gpt-4o-mini", provider="openai")
    recorder.finish("inner", usage=Usage(1000, 100))
    recorder.start("llm_call", key="again", parent="outer", model="gpt-4o-mini", provider="openai")
    recorder.finish("again", usage=Usage(2000, 100))
    recorder.finish("outer", usage=Usage(3000, 200), model="gpt-4o-2024-08-06", service_tier="flex")
    recorder.finish("agent")
    total = store.totals()[()]
    assert (total.calls, total.unpriced, total.estimated, total.input_tokens) == (2, 0, 0, 3000)
    (around,) = store.query_events({"name": "gpt-4o"})
    assert (around.event_type, around.model, around.input_tokens, around.cost) == ("task", None, None, None)
    assert [event.parent_id for event in store.query_events({"event_type": "llm_call"})] == [around.event_id] * 2


def test_calls_after_one_another_under_an_ended_call_are_calls(recorder, store):
    recorder.start("llm_call", key="first", model="gpt-4o")
    recorder.finish("first", usage=Usage(1, 1))
    recorder.start("llm_call", key="second", parent="first", model="gpt-4o")
    recorder.finish("second", usage=Usage(1, 1))
    assert store.aggregate("calls") == {(): 2}


def test_a_whole_event_hangs_under_the_open_run(recorder, store):
    recorder.start("agent", key="agent", labels={"agent_id": "a"})
    with context.labels(user_id="u"):
        token = context._here.set(context.Here({"user_id": "u"}, "agent"))
        call = recorder.place(EventRecord(ids.new_id(), "llm_call", 1_000_000, status="ok"), {"feature": "f"})
        context._here.reset(token)
    recorder.add(call)
    event = one(store, event_type="llm_call")
    assert (event.agent_id, event.labels, event.depth) == ("a", {"user_id": "u", "feature": "f"}, 1)


# Threads and closing


def test_fifty_threads_lose_nothing(recorder, store):
    def work(thread):
        for n in range(40):
            key = (thread, n)
            recorder.start("llm_call", key=key, model="gpt-4o", labels={"agent_id": f"a{thread % 5}"})
            recorder.finish(key, usage=Usage(10, 1))
            if n % 20 == 0:
                store.aggregate("calls")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.aggregate("calls") == {(): 2000}
    assert store.aggregate("input_tokens", ["agent_id"]) == {(f"a{n}",): 4000 for n in range(5)}


def test_closing_gives_up_what_is_open(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-4o")
    recorder.close()
    assert one(store).status == "abandoned"


def test_after_a_rest_recording_goes_on(recorder, store):
    for n in range(3):
        recorder.start("llm_call", key=n)
        recorder.finish(n)
        assert recorder.stop()
    assert store.aggregate("calls") == {(): 3}


def test_listeners_hear_of_events_after_their_commit(store):
    heard = []
    done = threading.Event()

    def listen(events):
        heard.extend((event.event_id, store.get_event(event.event_id) is not None) for event in events)
        done.set()

    recorder = Recorder(store.sink, parts=[METERING], listeners=[listen])
    event_id = recorder.start("llm_call", key="k", model="gpt-4o")
    recorder.finish("k", usage=Usage(1, 1))
    assert done.wait(10)
    recorder.close()
    assert heard == [(event_id, True)]


@pytest.mark.swallows
def test_a_listener_that_fails_or_sleeps_holds_up_nobody(store):
    release = threading.Event()

    def broken(events):
        raise RuntimeError

    def slow(events):
        release.wait(10)

    recorder = Recorder(store.sink, listeners=[broken, slow])
    for n in range(300):
        recorder.start("tool", key=n)
        recorder.finish(n)
        recorder.drain()
    assert len(store.query_events()) == 300
    release.set()
    recorder.close()
    assert faults.counts["listeners: too slow"] > 0
    assert any("RuntimeError" in kind for kind in faults.counts)


@pytest.mark.swallows
def test_a_listener_that_never_comes_back_does_not_hold_up_the_end(store):
    never = threading.Event()
    recorder = Recorder(store.sink, listeners=[lambda _events: never.wait(60)])
    for n in range(150):
        recorder.start("tool", key=n)
        recorder.finish(n)
        recorder.drain()
    closing = threading.Thread(target=recorder.close, args=(0.1,))
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    never.set()
    closing.join()
    assert len(store.query_events()) == 150


def test_prices_follow_the_day_of_the_call(recorder, store):
    recorder.start("llm_call", key="k", model="gpt-4o")
    recorder.finish("k", usage=Usage(1, 1))
    event = one(store)
    assert event.price_date is None or event.price_date <= date.today()


@pytest.mark.swallows
@pytest.mark.parametrize("wrong", [-5, 1.5, True, float("nan"), "7", 2**70])
def test_what_is_no_number_of_tokens_is_unknown(recorder, store, wrong):
    recorder.start("llm_call", key="a", model="gpt-4o")
    recorder.finish("a", usage=Usage(wrong, 3, cached_tokens=1))
    recorder.start("llm_call", key="b", model="gpt-4o")
    recorder.finish("b", usage=Usage(wrong, wrong))
    total = store.totals()[()]
    assert (total.calls, total.input_tokens, total.output_tokens) == (2, 0, 3)
    assert faults.counts == {"usage: what is no number of tokens": 2}


def test_an_interrupt_while_a_run_ends_leaves_it_open(recorder, store, monkeypatch):
    recorder.start("llm_call", key="a", model="gpt-4o")

    def interrupted(call):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "_queue", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recorder.finish("a", usage=Usage(1, 1))
    assert recorder.is_open("a")
    recorder.finish("a", usage=Usage(1, 1))
    assert one(store).status == "ok"


def test_labels_that_are_equal_but_not_the_same(recorder, store):
    for number, value in enumerate([1, True, 1.0, "1", ["a", {}]]):
        recorder.start("llm_call", key=number, model="gpt-4o", labels={"flag": value})
        recorder.finish(number, usage=Usage(1, 1))
    assert [event.labels["flag"] for event in store.query_events()] == ["1", "True", "1.0", "1", "['a', {}]"]


def test_texts_that_no_database_keeps_are_cleaned_not_lost(recorder, store):
    recorder.start("workflow", key="w", name="rep\ud800ort")
    recorder.start("llm_call", key="a", model="gpt\ud800-4o", provider="nul\0")
    recorder.finish("a", usage=Usage(1, 1))
    recorder.finish("w")
    workflow, call = store.query_events()
    assert (workflow.name, call.model) == ("rep?ort", "gpt?-4o")
    assert store.aggregate("calls", ["model"]) == {("gpt?-4o",): 1}
