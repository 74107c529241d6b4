"""`token-calc patterns` and `token-calc attribute`, as people type them."""

import json
import re

import pytest

from tc_core import SQLiteStorage
from tc_core.runtime.recorders import wait_for_parts
from tests.patterns.conftest import SYSTEM, Story, clock, said, user
from tests.patterns.test_waste import much


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "token_calculator.db"
    with SQLiteStorage(path) as store:
        story = Story(store)
        much(story)
        with story.run("clocks"):
            history = [user("Which trains go to Lisbon on the fifth of March, for two people and a dog?")]
            for turn in range(4):
                prompt = [clock(turn), *history]
                story.call(prompt, said(f"Answer {turn} about the trains"), tokens=4_000, cached=0, agent_id="clerk")
                history += [said(f"Answer {turn} about the trains"), user(f"And the train number {turn} of these?")]
        story.call([SYSTEM, user("unpriced")], said("x"), model="nobody-knows")
        assert wait_for_parts(store, 30)
    return path


@pytest.fixture
def ask(run_command, store):
    """Ask that store; return what was printed, or the error."""

    def ask(command, *arguments, code=0):
        done = run_command(command, *arguments, "--store", store)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return ask


def test_the_money_comes_first_and_each_finding_has_its_evidence(ask):
    printed = ask("patterns")
    lines = printed.splitlines()
    assert re.match(r"\$\d+\.\d+ of \$\d+\.\d+ was waste: ", lines[0])
    for words in ("1 retry storm $", "1 duplicate $", "1 agent loop $", "1 cache break $", "expensive"):
        assert words in lines[0]
    assert "the instructions changed, " in printed
    assert "3 failures in 3.0 s (RateLimitError), and never worked" in printed
    assert "asked book the same 3 times, and heard the same" in printed
    assert "the same prompt to gpt-4o, 3 times" in printed
    assert lines[-1].startswith("Next: token-calc tree ")
    event = re.search(r"token-calc tree (\w+)", lines[-1])[1]
    assert "✗ RateLimitError" in ask("tree", event)


def test_what_can_be_asked_for(ask):
    assert "was waste: 1 cache break" in ask("patterns", "clocks")
    assert "was waste: 1 cache break" in ask("patterns", "--agent", "clerk")
    assert "duplicate" not in ask("patterns", "--kind", "cache_break")
    found = json.loads(ask("patterns", "--kind", "duplicate", "--kind", "expensive", "--json"))
    assert {each["kind"] for each in found["patterns"]} == {"duplicate", "expensive"}
    assert found["wasted_nanos"] == sum(each["wasted_cost_nanos"] for each in found["patterns"]) > 0
    assert found["spent_nanos"] > found["wasted_nanos"]
    assert [each["kind"] for each in found["recommendations"]] == ["duplicate"]


def test_wrong_use_is_one_sentence(ask):
    assert ask("patterns", "--kind", "dupes", code=2).startswith("there is no pattern 'dupes': there are agent_loop, ")
    assert ask("patterns", "nothing", code=1).startswith("No event nothing is recorded")
    assert ask("attribute", "--by", "cost", code=2).startswith("cost cannot be attributed by 'cost'")
    assert ask("attribute", "--by", " , ", code=2).startswith("--by needs at least one name")


def test_the_groups_of_an_attribution_sum_to_the_whole(ask):
    printed = ask("attribute", "--by", "workflow,agent")
    lines = printed.splitlines()
    assert re.match(r"\$\d+\.\d+ in \d+ calls\.  1 call unpriced\.", lines[0])
    assert lines[2].split() == ["workflow", "agent", "calls", "input", "output", "itself", "with", "all", "below"]
    groups = json.loads(ask("attribute", "--by", "workflow,agent", "--json"))
    whole = json.loads(ask("costs", "--json"))
    assert sum(each["self_nanos"] or 0 for each in groups) == round(whole["total_cost"] * 1e9)
    assert sum(each["calls"] for each in groups) == whole["total_calls"]
    assert "No model call" in ask("attribute", "--filter", "agent=nobody")
    found = json.loads(ask("attribute", "clocks", "--by", "model", "--json"))
    assert [each["key"]["model"] for each in found if each["calls"]] == ["gpt-4o"]


def test_what_was_not_asked_for_is_not_said_to_be_absent(ask):
    assert ask("patterns", "--kind", "cycle") == "No cycle was found.\n"
    assert ask("patterns", "--kind", "cycle", "--kind", "fan_out") == "No cycle or wide fan-out was found.\n"
    assert ask("patterns", "--agent", "nobody") == "No event is recorded there.\n"


def test_what_only_stands_out_is_not_called_waste(ask):
    first = ask("patterns", "--kind", "expensive").splitlines()[0]
    assert first.startswith("No money was wasted, but this stands out: ")
    assert " of $" not in first
