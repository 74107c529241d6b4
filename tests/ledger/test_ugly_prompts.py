"""Prompts as they come: empty, huge, with images and sound, changed in place, schemas written in any order."""

import pytest

from tc_core.model.segment import Segment
from tc_core.runtime.recorders import wait_for_parts
from tests.ledger.conftest import SYSTEM, of, said, user

MANY = 100_000


def rows(ledger, **asked):
    assert wait_for_parts(ledger.store, 120)
    return of(ledger.waterfall(**asked))


@pytest.mark.parametrize(
    "prompt",
    [[], [user("")], [user("   \n ")], [Segment("user", "image", b"")]],
    ids=["nothing", "an empty text", "blanks", "an image alone"],
)
def test_a_prompt_without_any_text_is_a_call_without_details(ledger, prompt):
    ledger.call(prompt, [said("hello")], tokens=90)
    found = rows(ledger)
    assert sum(row.tokens for row in found.values()) == 90
    assert set(found) <= {"calls without details", "images, audio, unseen", "message format"}


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_what_has_no_text_is_what_is_billed_beyond_the_counting(ledger, kind):
    ledger.call([SYSTEM, Segment("user", "image", {"kind": kind}), user("what is it?")], [said("a cat")], tokens=1_500)
    found = rows(ledger)
    assert found["images, audio, unseen"].tokens > 1_200
    assert sum(row.tokens for row in found.values()) == 1_500


def test_schemas_are_the_same_whatever_the_order_of_their_keys(ledger):
    one = {"name": "search", "parameters": {"to": "string", "from": "string"}}
    other = {"parameters": {"from": "string", "to": "string"}, "name": "search"}
    for schema in (one, other):
        ledger.call([Segment("system", "tool_schema", [schema]), SYSTEM], [said("hello")], tokens=200, session_id="s")
    assert rows(ledger)["tool schemas"].resent_tokens > 0


def test_tools_in_another_order_are_another_prompt(ledger):
    tools = [{"name": "search"}, {"name": "book"}]
    for order in (tools, tools[::-1]):
        ledger.call([Segment("system", "tool_schema", order), SYSTEM], [said("hello")], tokens=200, session_id="s")
    assert rows(ledger)["tool schemas"].resent_tokens == 0


def test_a_message_that_is_changed_in_place_is_read_as_it_is_when_the_ledger_reads_it(ledger):
    """What the docs say: a hook keeps references alone."""
    parts = ["what does it cost?"]
    key = object()
    ledger.recorder.start("llm_call", key=key, model="gpt-4o", content=[Segment("user", "text", parts)])
    parts[0] = "what does it cost? " * 40
    ledger.recorder.finish(key, output=[said("much")])
    found = rows(ledger)
    assert found["user"].tokens > 150


def test_a_prompt_of_100_000_messages_is_explained_and_its_next_turn_too(ledger):
    prompt = [user(f"message {number % 1_000}") for number in range(MANY)]
    ledger.call(prompt, [said("noted")], tokens=7 * MANY)
    ledger.call([*prompt, said("noted"), user("and now?")], [said("done")], tokens=7 * MANY + 10)
    found = rows(ledger)
    assert "calls without details" not in found
    assert sum(row.tokens for row in found.values()) == 14 * MANY + 10
    assert len(ledger.relations()["continuation_of"]) == 1
