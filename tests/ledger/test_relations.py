"""What prompts say of each other, and what they cannot decide."""

from tc_core.model.provenance import FACT
from tests.ledger.conftest import LONG, SYSTEM, Ledger, brought, said, user


def test_the_next_turn_continues_the_one_before(ledger):
    first = ledger.call([SYSTEM, user("hello")], [said("good day to you")])
    second = ledger.call([SYSTEM, user("hello"), said("good day to you"), user("a flight")], [said("to where?")])
    assert ledger.relations() == {"continuation_of": {(second, first)}}


def test_an_output_in_another_prompt_is_what_it_is_derived_from(ledger):
    first = ledger.call([SYSTEM, user("research this")], [said(LONG)])
    second = ledger.call([user("You write reports."), user(LONG)], [said("done")])
    assert ledger.relations() == {"derived_from": {(second, first)}}


def test_what_a_tool_said_is_known_where_it_is_read(ledger):
    tool = ledger.tool("search", LONG)
    call = ledger.call([SYSTEM, user("a flight"), brought(LONG)], [said("at 10:40")])
    assert ledger.relations() == {"derived_from": {(call, tool)}}


def test_short_answers_decide_nothing(ledger):
    ledger.call([SYSTEM, user("one")], [said("OK")])
    ledger.call([SYSTEM, user("two")], [said("OK")])
    ledger.call([user("another prompt"), said("OK"), user("three")], [said("OK")])
    ledger.call([user("the other said"), user("OK")], [said("fine")])
    assert ledger.relations() == {}


def test_the_same_prompt_and_answer_twice_leave_it_open_which_is_continued(ledger):
    for _ in range(2):
        ledger.call([SYSTEM, user("hello")], [said("good day to you")])
    ledger.call([SYSTEM, user("hello"), said("good day to you"), user("go on")], [said("yes")])
    assert ledger.relations() == {}


def test_the_session_decides_where_content_cannot(ledger):
    ids = [
        ledger.call([SYSTEM, user("hello")], [said("good day to you")], session_id=session) for session in ("a", "b")
    ]
    next_ = ledger.call([SYSTEM, user("hello"), said("good day to you"), user("go on")], [said("yes")], session_id="b")
    assert ledger.relations() == {"continuation_of": {(next_, ids[1])}}


def test_the_same_system_prompt_alone_relates_nothing(ledger):
    for number in range(5):
        ledger.call([SYSTEM, user(f"question {number}")], [said(f"answer {number}")])
    assert ledger.relations() == {}


def test_a_trimmed_history_is_recognised_by_what_is_left_of_it(ledger):
    turns = []
    for number in range(4):
        turns += [user(f"question {number}, and what else?"), said(f"answer {number}: {LONG[:90]}")]
    first = ledger.call([SYSTEM, *turns[:-1]], [turns[-1]])
    second = ledger.call([SYSTEM, *turns[-4:], user("and now?")], [said("that is all")])
    assert ledger.relations() == {"continuation_of": {(second, first)}}


def test_the_same_prompt_after_a_failure_is_a_retry(ledger):
    root = ledger.recorder.start("workflow", key="run")
    first = ledger.call([SYSTEM, user("hello")], [], status="error", parent="run")
    second = ledger.call([SYSTEM, user("hello")], [said("hi")], parent="run")
    assert ledger.relations() == {"retry_of": {(second, first)}}
    assert root


def test_the_same_prompt_to_another_model_is_no_retry(ledger):
    ledger.call([SYSTEM, user("hello")], [], status="error", parent="run")
    ledger.call([SYSTEM, user("hello")], [said("hi")], parent="run", model="gpt-4o-mini")
    assert ledger.relations() == {}


def test_what_is_stated_is_a_fact(ledger):
    first = ledger.call([SYSTEM, user("hello")], [said("good day to you")])
    ledger.call([SYSTEM, user("hello"), said("good day to you"), user("a flight")], [said("to where?")])
    ledger.relations()
    assert all(each.confidence >= FACT for each in ledger.store.relationships(first))


def test_another_process_finds_what_the_first_has_written(ledger, run_python):
    first = ledger.call([SYSTEM, user("hello")], [said("good day to you")])
    ledger.relations()
    run_python(
        "from tc_core import SQLiteStorage\n"
        "from tests.ledger.conftest import *\n"
        f"with SQLiteStorage({str(ledger.store.path)!r}) as store:\n"
        "    one = Ledger(store)\n"
        "    one.call([SYSTEM, user('hello'), said('good day to you'), user('a flight')], [said('to where?')])\n"
        "    one.relations()\n"
    )
    ((_, target),) = ledger.relations()["continuation_of"]
    assert target == first


def test_what_was_swept_away_is_written_anew(ledger):
    prompt = [SYSTEM, user("hello")]
    ledger.call(prompt, [said("good day to you")], tokens=200)
    ledger.relations()
    ledger.store.database.transact(
        lambda connection: [connection.exec_driver_sql(f"DELETE FROM {name}") for name in ("prompt", "node", "segment")]
    )
    ledger.call([*prompt, said("good day to you"), user("and?")], [said("yes")], tokens=220)
    assert sum(row.tokens for row in ledger.waterfall().rows if row.origin_kind == "no_details") == 200
    assert isinstance(ledger, Ledger)
