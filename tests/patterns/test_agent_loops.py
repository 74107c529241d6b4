"""Agent loops, and what looks like one and is none."""

import pytest

from tests.patterns.conftest import SYSTEM, asked, brought, said, user

ASK = user("Book me a flight from Berlin to Lisbon.")
NOTHING = "Error: there is no flight with that number."


def test_the_same_tool_with_the_same_arguments_and_result_is_a_loop(each_story):
    story, history, ids = each_story, [SYSTEM, ASK], []
    with story.run():
        for turn in range(4):
            id_, history = story.asks_a_tool(history, "book", NOTHING, flight="TP1", agent_id="a", tokens=1000 + turn)
            ids.append(id_)
        story.call(history, said("I give up."), agent_id="a")
    (found,) = story.found("agent_loop")
    assert found.event_ids == tuple(ids)
    assert found.cost_nanos == story.cost(*ids[1:])  # the first time was no waste
    assert (found.evidence["tools"], found.evidence["rounds"]) == (["book"], 4)
    assert found.evidence["input_tokens"] == [1000, 1003]


def test_two_tools_in_turn_that_say_the_same_each_time_are_loops(story):
    history = [SYSTEM, ASK]
    with story.run():
        for _ in range(3):
            for name in ("search", "book"):
                _, history = story.asks_a_tool(history, name, f"{name}: nothing there", flight="TP1")
        story.call(history, said("I give up."))
    assert [each.evidence["tools"] for each in story.found("agent_loop")] == [["search"], ["book"]]


def test_pagination_is_no_loop(story):
    history = [SYSTEM, ASK]
    with story.run():
        for page in range(10):
            _, history = story.asks_a_tool(history, "search", f"flights of page {page}", page=page)
        story.call(history, said("TP7."))
    assert story.found("agent_loop") == []


def test_pagination_with_empty_pages_is_no_loop(story):
    history = [SYSTEM, ASK]
    with story.run():
        for page in range(10):
            _, history = story.asks_a_tool(history, "search", "[]", page=page)
        story.call(history, said("None."))
    assert story.found("agent_loop") == []


@pytest.mark.parametrize("how", ["with pauses", "until it changes", "by a tool that waits"])
def test_polling_is_no_loop(story, how):
    history = [SYSTEM, ASK]
    with story.run():
        for _ in range(6):
            _, history = story.asks_a_tool(
                history, "status", "pending", job=1, pause_s=2 if how == "with pauses" else 0
            )
            if how == "by a tool that waits":
                _, history = story.asks_a_tool(history, "sleep", "slept", seconds=5, takes_s=5)
        if how == "until it changes":
            _, history = story.asks_a_tool(history, "status", "done", job=1)
        story.call(history, said("It is done."))
    assert story.found("agent_loop") == []


def test_a_slow_tool_makes_no_polling_of_a_loop(story):
    history = [SYSTEM, ASK]
    with story.run():
        for _ in range(3):
            _, history = story.asks_a_tool(history, "book", NOTHING, flight="TP1", takes_s=20)
        story.call(history, said("I give up."))
    assert len(story.found("agent_loop")) == 1


def test_what_is_looked_up_again_much_later_is_no_loop(story):
    history = [SYSTEM, ASK]
    with story.run():
        for question in range(3):
            _, history = story.asks_a_tool(history, "get_user", "Ada, gold", user="ada")
            for number in range(6):
                answer = said(f"Answer {question} {number}")
                story.call(history, answer)
                history += [answer, user(f"Question {question} {number}")]
    assert story.found("agent_loop") == []


def test_several_tools_at_once_are_one_round(story):
    history = [SYSTEM, ASK]
    with story.run():
        for _ in range(3):
            asks = [asked("search", to="LIS"), asked("search", to="OPO")]
            story.call(history, *asks)
            history = [*history, *asks, brought("none to LIS"), brought("none to OPO")]
        story.call(history, said("None."))
    (found,) = story.found("agent_loop")
    assert found.evidence["rounds"] == 3


def hand_over(story, writer, critic, rounds):
    history, ids = [SYSTEM, ASK], []
    with story.run():
        for number in range(rounds):
            for agent, text in (("writer", writer(number)), ("critic", critic(number))):
                ids.append(story.call(history, said(text), agent_id=agent, tokens=1000 + 100 * len(ids)))
                history = [*history, said(text)]
    return ids


def test_two_agents_that_repeat_themselves_to_each_other_are_a_loop(story):
    ids = hand_over(story, lambda _: "Here is the report: tokens are pieces.", lambda _: "Please make it shorter.", 4)
    (found,) = story.found("agent_loop")
    assert found.event_ids == tuple(ids)
    assert found.evidence["agents"] == ["writer", "critic"]
    assert found.evidence["input_tokens"] == [1000, 1700]
    assert found.cost_nanos == story.cost(*ids[2:])


def test_a_writer_and_a_critic_that_say_something_new_are_no_loop(story):
    hand_over(story, lambda n: f"Here is version {n}.", lambda _: "Please make it shorter.", 6)
    assert story.found("agent_loop") == []


def test_a_supervisor_and_its_workers_are_no_loop(story):
    history = [SYSTEM, ASK]
    with story.run():
        for number in range(8):
            for agent, text in (("supervisor", f"worker {number % 3}, please"), (f"worker {number % 3}", "done")):
                story.call(history, said(text), agent_id=agent)
                history = [*history, said(text)]
    assert story.found("agent_loop") == []
