"""Cache breaks: what was billed as cached against what the shared front and the provider's rules allow."""

import pytest

from tc_core import calculate_cost
from tests.patterns.conftest import SYSTEM, asked, brought, clock, said, schemas, user

FRONT = [schemas("search", "book"), SYSTEM]
QUESTION = user("Which trains go from Berlin to Lisbon on the fifth of March, and what do they cost for two people?")


def talk(story, turns=6, *, change=None, cached=None, model="gpt-4o", **facts):
    """A conversation whose prompts are cached as OpenAI does; `change(turn, prompt)` changes what is sent."""
    history, ids, before = [*FRONT, QUESTION], [], 0
    with story.run():
        for turn in range(turns):
            prompt = history if change is None else change(turn, history)
            tokens = sum(len(str(part.body)) // 4 + 4 for part in prompt)
            hit = before // 128 * 128 if cached is None else cached(turn, before)
            answer = said(f"Answer {turn}: " + "by way of Paris. " * 12)
            ids.append(story.call(prompt, answer, tokens=tokens, cached=hit, model=model, **facts))
            before = tokens
            more = user(f"And question {turn}, of which much more could be said than is said here?")
            history = [*history, answer, more]
    return ids


def causes(story):
    return {each.evidence["cause"]: each for each in story.found("cache_break")}


def test_a_conversation_that_hits_has_no_break(story):
    talk(story)
    assert causes(story) == {}


def test_a_clock_in_the_instructions_breaks_every_turn(each_story):
    story = each_story

    def change(turn, prompt):
        return [prompt[0], clock(turn), *prompt[2:]]

    ids = talk(story, change=change, cached=lambda _turn, _before: 0)
    found = causes(story)
    assert set(found) == {"system"}
    assert found["system"].event_ids == tuple(ids[1:])
    assert "last message" in found["system"].advice
    # What the front would have cost from the cache is half: $1.25 in place of $2.50 a million.
    lost = found["system"].evidence["lost_tokens"]
    assert found["system"].wasted_cost == pytest.approx(lost * 1.25e-6)
    left = sum(story.store.get_event(before).input_tokens for before in ids[:-1])
    assert 0.95 * left < lost <= left  # all that the turns before had left, in steps of 128


def test_a_pause_that_was_too_long_is_told_from_what_has_no_cause(story):
    def paused(turn, before):
        if turn == 3:
            return 0
        return before // 128 * 128

    history = []

    def change(turn, prompt):
        if turn == 3:
            story.wait(3 * 3600)
        history.append(prompt)
        return prompt

    ids = talk(story, change=change, cached=paused)
    found = causes(story)
    assert {cause: each.event_ids for cause, each in found.items()} == {"expiry": (ids[3],)}


def test_a_miss_within_the_lifetime_has_no_cause_on_our_side(story):
    ids = talk(story, cached=lambda turn, before: 0 if turn == 4 else before // 128 * 128)
    found = causes(story)
    assert {cause: each.event_ids for cause, each in found.items()} == {"none_on_our_side": (ids[4],)}


def test_a_flat_few_per_cent_of_hits_is_no_break(story):
    talk(story, turns=12, cached=lambda _turn, before: before * 3 // 100)
    assert causes(story) == {}


def test_another_model_has_a_cache_of_its_own(story):
    history, before, ids = [*FRONT, QUESTION], 0, []
    with story.run():
        for turn in range(6):
            model = "gpt-4o" if turn < 3 else "gpt-4.1"
            tokens, cached = 3_000 + 200 * turn, 0 if turn == 3 else before // 128 * 128
            answer = said(f"Answer {turn} and so on and on")
            ids.append(story.call(history, answer, tokens=tokens, cached=cached, model=model))
            before = tokens
            history = [*history, answer, user(f"And question {turn} about trains?")]
    assert {cause: each.event_ids for cause, each in causes(story).items()} == {"model": (ids[3],)}


def test_tools_in_another_order_and_other_tools_are_told_apart(story):
    def reordered(turn, prompt):
        return [schemas("book", "search") if turn == 2 else prompt[0], *prompt[1:]]

    def changed(turn, prompt):
        return [schemas("search", "book", "cancel", "pay") if turn == 2 else prompt[0], *prompt[1:]]

    def cached(turn, before):
        return 0 if turn == 2 else before // 128 * 128

    for change in (reordered, changed):
        talk(story, change=change, cached=cached)
    assert {"tool_order", "tools"} == set(causes(story))


@pytest.mark.parametrize("has_summary", [True, False])
def test_a_history_that_was_cut_is_a_compaction(story, has_summary):
    summary = [user("Summary: trains to Lisbon were looked for, by way of Paris, for two people.")]
    front = sum(len(str(part.body)) // 4 + 4 for part in FRONT)

    def change(turn, prompt):
        return prompt if turn < 12 else [*prompt[:2], *(summary if has_summary else []), *prompt[-14:]]

    def cached(turn, before):
        return (front if turn == 12 else before) // 128 * 128

    ids = talk(story, turns=14, change=change, cached=cached)
    assert causes(story)["compaction"].event_ids[0] == ids[12]


def test_an_earlier_tool_result_that_is_cut_later_is_named(story):
    history, before, ids = [*FRONT, QUESTION], 0, []
    results = ["a flight by way of Paris at ten. " * 150, "a flight by way of Madrid at two. " * 150]
    with story.run():
        for turn in range(4):
            prompt = list(history)
            if turn == 3:  # the first result is shortened once it is old
                prompt[4] = brought("[cut]")
            tokens = sum(len(str(part.body)) // 4 + 4 for part in prompt)
            cached = 1_792 if turn == 3 else before // 128 * 128
            ids.append(story.call(prompt, asked("search", turn=turn), tokens=tokens, cached=cached))
            before = tokens
            history = [*history, asked("search", turn=turn), brought(results[turn % 2] + str(turn))]
    found = causes(story)
    assert {cause: each.event_ids for cause, each in found.items()} == {"tool_result": (ids[3],)}


def test_another_conversation_of_the_same_agent_is_no_break(story):
    with story.run():
        for item in range(8):
            prompt = [*FRONT, user(f"Passage {item}: " + f"it rains in the town number {item}. " * 40)]
            story.call(prompt, said(f"Rain in {item}."), tokens=4_000, cached=2_048 if item else 0, agent_id="reader")
    assert causes(story) == {}


def test_two_sub_agents_that_take_turns_each_have_a_front_of_their_own(story):
    histories = {name: [*FRONT, user(f"You are {name}. " + QUESTION.body)] for name in ("ann", "ben")}
    before = dict.fromkeys(histories, 0)
    with story.run():
        for turn in range(5):
            for name, history in histories.items():
                tokens = 3_000 + 100 * turn
                text = said(f"{name} says {turn}: by way of Paris and of Madrid")
                story.call(history, text, tokens=tokens, cached=before[name] // 128 * 128, agent_id=name)
                before[name] = tokens
                histories[name] = [*history, text, user(f"And more of {turn} for {name}, please, as before?")]
    assert causes(story) == {}


@pytest.mark.parametrize(
    ("model", "provider"),
    [("gpt-4o", "azure"), ("deepseek-chat", None), ("gpt-3.5-turbo", None), ("llama3", "ollama")],
)
def test_without_a_rule_nothing_is_said(story, model, provider):
    def change(turn, prompt):
        return [prompt[0], clock(turn), *prompt[2:]]

    talk(story, model=model, provider=provider, change=change, cached=lambda _turn, _before: 0)
    assert causes(story) == {}


def test_below_the_minimum_nothing_could_have_been_cached(story):
    history = [user("Hello there, this is a short conversation about trains.")]
    with story.run():
        for turn in range(5):
            story.call(history, said(f"Answer {turn} is that there are none"), tokens=300 + turn, cached=0)
            history = [*history, said(f"Answer {turn} is that there are none"), user(f"And question {turn}?")]
    assert causes(story) == {}


def claude(story, turns, written, cached, *, pause=None):
    history, ids = [*FRONT, QUESTION], []
    with story.run():
        for turn in range(turns):
            if pause is not None and turn == pause[0]:
                story.wait(pause[1])
            answer = said(f"Answer {turn}: " + "by way of Paris. " * 12)
            facts = {"tokens": 3_000 + 100 * turn, "written": written(turn), "cached": cached(turn)}
            ids.append(story.call(history, answer, model="claude-sonnet-4-5", provider="anthropic", **facts))
            history = [*history, answer, user(f"And question {turn} then?")]
    return ids


def test_what_anthropic_was_not_asked_to_keep_has_not_broken(story):
    claude(story, 5, lambda _turn: 0, lambda _turn: 0)
    assert causes(story) == {}


def test_what_anthropic_has_to_write_again_after_five_minutes_has_expired(story):
    ids = claude(
        story,
        5,
        lambda turn: 2_900 if turn in (0, 3) else 100,
        lambda turn: 0 if turn in (0, 3) else 2_800 + 100 * turn,
        pause=(3, 400),
    )
    found = causes(story)
    assert {cause: each.event_ids for cause, each in found.items()} == {"expiry": (ids[3],)}
    # 3,100 tokens lay in the cache; 2,900 were written anew, at $3.75 in place of $0.30, and 200 read at $3.
    event = story.store.get_event(ids[3])
    as_it_was = calculate_cost("claude-sonnet-4-5", 3_300, 10, cached_tokens=0, cache_write_tokens=2_900)
    without = calculate_cost("claude-sonnet-4-5", 3_300, 10, cached_tokens=3_100, cache_write_tokens=0)
    assert event.cost == pytest.approx(as_it_was)
    assert found["expiry"].wasted_cost == pytest.approx(as_it_was - without)


def test_what_the_provider_says_itself_is_shown_beside(story):
    def change(turn, prompt):
        return [prompt[0], clock(turn), *prompt[2:]]

    talk(story, change=change, cached=lambda _t, _b: 0, metadata={"cache_reason": "system_changed"})
    assert causes(story)["system"].evidence["provider_says"] == {"system_changed": 5}


REASONS = {
    "OpenAI": (
        {
            "usage": {"input_tokens": 2_000, "output_tokens": 10, "input_tokens_details": {"cached_tokens": 0}},
            "object": "response",
            "prompt_cache_diagnostics": {"type": "cache_miss", "cache_missed_tokens": 1_900, "reason": "tools_changed"},
        },
        "tools_changed",
    ),
    "OpenAI, a hit": (
        {"usage": {"input_tokens": 2_000, "output_tokens": 10}, "prompt_cache_diagnostics": {"type": "cache_hit"}},
        None,
    ),
    "OpenAI, gone": (
        {
            "usage": {"input_tokens": 2_000, "output_tokens": 10},
            "prompt_cache_diagnostics": {"type": "comparison_response_not_found"},
        },
        "comparison_response_not_found",
    ),
    "Anthropic": (
        {
            "usage": {"input_tokens": 2_000, "output_tokens": 10},
            "diagnostics": {"cache_miss_reason": {"type": "system_changed", "cache_missed_input_tokens": 1_900}},
        },
        "system_changed",
    ),
    "Anthropic, as a word": (
        {
            "usage": {"input_tokens": 2_000, "output_tokens": 10},
            "diagnostics": {"cache_miss_reason": "messages_changed"},
        },
        "messages_changed",
    ),
    "Anthropic, still comparing": (
        {"usage": {"input_tokens": 2_000, "output_tokens": 10}, "diagnostics": {"cache_miss_reason": None}},
        None,
    ),
    "of a stream": (
        {
            "type": "response.completed",
            "response": {
                "usage": {"input_tokens": 2_000, "output_tokens": 10},
                "prompt_cache_diagnostics": {"type": "cache_miss", "reason": "input_changed"},
            },
        },
        "input_changed",
    ),
    "nonsense": (
        {
            "usage": {"input_tokens": 2_000, "output_tokens": 10},
            "diagnostics": [1],
            "prompt_cache_diagnostics": {"type": 7, "reason": "x" * 1_000},
        },
        None,
    ),
}


@pytest.mark.parametrize("body", REASONS)
def test_why_the_provider_says_that_it_missed_is_kept_with_the_event(story, body):
    from tc_core.meter.usage import usage_part

    told, reason = REASONS[body]
    part = usage_part(told)
    assert usage_part(part) == part  # as a spool has it
    story.recorder.start("llm_call", key="a", model="gpt-5.6", content=[SYSTEM])
    story.recorder.finish("a", report=part, output=[said("hi")], metadata={"kept": 1})
    (event,) = story.store.query_events()
    assert event.metadata == ({"kept": 1} if reason is None else {"kept": 1, "cache_reason": reason})
