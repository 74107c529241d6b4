"""The same content is the same segment, whichever framework sends it."""

import pytest

from tc_core.ledger.canonical import ANSWER, SCHEMAS, TOOL_RESULT, Schemas, canonical_json, items
from tc_core.model.segment import Segment


def read(*parts):
    return items([Segment(*part) for part in parts], Schemas())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("human", "text", "hi"), ("user", "text", " hi\n")),
        (("ai", "text", "hi"), ("assistant", "text", "hi")),
        (("developer", "text", "hi"), ("system", "text", "hi")),
        (("function", "text", "hi"), ("tool", "tool_result", "hi")),
        (("ai", "tool_call", ["f", '{"b": 1, "a": "ü"}']), ("assistant", "tool_call", ["f", {"a": "ü", "b": 1}])),
        (("ai", "tool_call", ["f", ""]), ("ai", "tool_call", ["f", {}])),
        (("tool", "tool_result", {"b": 1, "a": 2}), ("tool", "tool_result", '{"a":2,"b":1}')),
        (("system", "tool_schema", [{"b": 1, "a": 2}]), ("system", "tool_schema", [{"a": 2, "b": 1}])),
    ],
)
def test_spellings_of_the_same(one, other):
    assert read(one) == read(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("user", "text", "hi"), ("system", "text", "hi")),
        (("ai", "tool_call", ["f", {"a": 1}]), ("ai", "tool_call", ["f", {"a": 2}])),
        (("system", "tool_schema", [{"a": 1}, {"b": 1}]), ("system", "tool_schema", [{"b": 1}, {"a": 1}])),
        (("user", "text", "two  blanks"), ("user", "text", "two blanks")),
    ],
)
def test_what_is_not_the_same(one, other):
    assert read(one) != read(other)


def test_blanks_are_no_segment_but_a_tool_that_said_nothing_is_one():
    assert read(("user", "text", " \n")) == []
    assert read(("tool", "tool_result", "")) == [(TOOL_RESULT, "")]


def test_text_of_crewai_that_has_a_tools_words_in_it_is_two():
    found = read(("assistant", "text", "Thought: look\nAction: search\nObservation: it rains"))
    assert found == [(ANSWER, "Thought: look\nAction: search"), (TOOL_RESULT, "it rains")]


def test_arguments_that_are_no_json_are_text():
    circle = {}
    circle["self"] = circle
    assert canonical_json("not { json") == "not { json"
    assert canonical_json(circle)
    assert canonical_json({1: "\ud800", "b": 2**80})
    assert canonical_json("[" * 100_000)


def test_schemas_that_change_in_place_are_known_by_their_objects():
    schemas, tools = Schemas(), [{"name": "a"}]
    (before,) = items([Segment("system", "tool_schema", list(tools))], schemas)
    (again,) = items([Segment("system", "tool_schema", list(tools))], schemas)
    (other,) = items([Segment("system", "tool_schema", [{"name": "b"}])], schemas)
    assert before == again != other
    assert before.what == SCHEMAS
