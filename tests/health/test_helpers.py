"""What fills a context, what a chat costs as it is sent, and prompts with fewer tokens."""

import pytest

from tc_core import calculate_cost, count_messages, count_tokens
from tc_core.health.analyzer import ContextAnalyzer, ContextStatus
from tc_core.health.conversation import ConversationManager
from tc_core.health.optimizer import TokenOptimizer, optimize_prompt, suggest_optimizations
from tests.health.conftest import SYSTEM, booking, call, result, said, user

MODEL = "gpt-4o"


def test_what_fills_a_request_adds_up():
    tools = [{"name": "look", "description": "Look.", "parameters": {"properties": {"x": {"type": "string"}}}}]
    messages = [SYSTEM, user("hello"), call("look", x=1), result("found"), said("There it is.")]
    found = ContextAnalyzer(MODEL).analyze_messages(messages, tools, 500)
    assert found.total_tokens == count_messages(messages, MODEL, tools=tools)
    assert sum(found.input_breakdown.values()) + 3 == found.total_tokens  # three prime the reply
    assert (found.context_window, found.status) == (128_000, ContextStatus.SAFE)
    assert found.available_for_output == 128_000 - found.total_tokens


@pytest.mark.parametrize(("words", "status"), [(600, "safe"), (720, "warning"), (920, "critical"), (1100, "exceeded")])
def test_the_status_follows_the_share_of_the_window(words, status):
    found = ContextAnalyzer(MODEL, window=1000, output_reserve=0).analyze_messages([user("word " * (words - 10))])
    assert found.status == status
    assert bool(found.warnings) == (status != "safe")
    assert found.to_dict()["status"] == status


def test_an_unknown_window_is_said():
    found = ContextAnalyzer("no-such-model").analyze_messages([user("hello")])
    assert (found.status, found.usage_percentage) == ("unknown", None)
    assert found.warnings == ["the context window of no-such-model is not known"]


def test_how_many_turns_fit():
    found = ContextAnalyzer(MODEL, window=10_000, output_reserve=1000).estimate_max_turns(42, 50, system_tokens=1000)
    # (10,000 - 1,000 - 1,000) / (42 + 50 + 8) = 80
    assert (found["max_turns"], found["warning_at_turn"], found["critical_at_turn"]) == (80, 56, 72)
    assert ContextAnalyzer(MODEL, window=100, output_reserve=0).estimate_max_turns(50, 50, 500)["max_turns"] == 0
    with pytest.raises(ValueError, match="a turn needs tokens, got 0 and 0"):
        ContextAnalyzer(MODEL).estimate_max_turns(0, 0)


def test_the_newest_are_kept_and_calls_with_their_results():
    messages, _ = booking(12)
    found = ContextAnalyzer(MODEL, window=2000, output_reserve=0).find_optimal_context_split(messages)
    assert found["fits"]
    assert found["keep"][0] is messages[0]
    assert found["keep"][1:] == messages[-len(found["keep"]) + 1 :]
    assert found["keep"][1]["role"] != "tool"
    assert len(found["keep"]) + len(found["summarize"]) == len(messages)


def test_a_chat_is_billed_as_it_is_sent():
    chat = ConversationManager(MODEL, "Be kind.", "The station was built in 1902.")
    sent = []
    for number in range(3):
        messages = [*chat.messages, user(f"Question {number}?")]
        sent.append(count_messages(messages, MODEL))
        turn = chat.add_turn(f"Question {number}?", f"Answer {number}.")
        assert turn.input_tokens == sent[-1]
        assert turn.cost == pytest.approx(calculate_cost(MODEL, sent[-1], count_tokens(f"Answer {number}.", MODEL)))
    stats = chat.get_stats()
    assert (stats.total_turns, stats.input_tokens, stats.growth) == (3, sum(sent), sent)
    assert stats.total_cost == pytest.approx(sum(turn.cost for turn in chat.turns))
    assert "1902" in str(chat.messages)
    assert chat.export_conversation()["stats"]["total_turns"] == 3


def test_a_providers_own_counts_are_taken():
    chat = ConversationManager(MODEL)
    turn = chat.add_turn("hello", "hi", input_tokens=1000, output_tokens=100, cached_tokens=800)
    # 200 at $2.50, 800 at $1.25 and 100 at $10 a million
    assert turn.cost == pytest.approx(0.0005 + 0.001 + 0.001)


def test_a_summary_is_never_made_up():
    chat = ConversationManager(MODEL)
    for number in range(8):
        chat.add_turn(f"Question {number}? " * 20, f"Answer {number}. " * 20)
    with pytest.raises(ValueError, match="a summary is made by summarizer="):
        chat.summarize_conversation()
    found = chat.summarize_conversation(2, summarizer=lambda text: f"{text.count('user:')} questions")
    assert (found["summary"], found["summarized_turns"], found["kept_turns"]) == ("6 questions", 6, 2)
    assert found["tokens_saved"] == found["tokens_before"] - found["tokens_after"] > 0
    assert len(chat.turns) == 8


def test_whether_a_turn_fits():
    chat = ConversationManager(MODEL, window=1000)
    chat.add_turn("word " * 300, "word " * 300)
    assert chat.can_add_turn(10, 10)["can_add"] is True
    refused = chat.can_add_turn(300, 300)
    assert (refused["can_add"], refused["missing_tokens"]) == (False, refused["tokens_after"] - 1000)
    assert ConversationManager("no-such-model").can_add_turn(1, 1)["can_add"] is None


CODE = """Please note that in order to be fast, we cache.   Really.


```python
def f(x):
    if  x:
        return   "in order to"
```

Say "in order to" and `due to  the fact that`.

    indented   code   in order to stay
"""


def test_code_and_quotations_stay_as_they_are():
    found = optimize_prompt(CODE, MODEL, aggressive=True)
    for kept in ('        return   "in order to"\n', "    if  x:\n", 'Say "in order to"', "`due to  the fact that`",
                 "    indented   code   in order to stay"):  # fmt: skip
        assert kept in found.optimized_text, kept
    assert found.optimized_text.startswith("To be fast, we cache.")
    assert found.tokens_saved == found.original_tokens - found.optimized_tokens > 0
    assert found.optimized_tokens == count_tokens(found.optimized_text, MODEL)
    assert "-Please note that" in found.diff
    assert "+To be fast" in found.diff


def test_only_what_saves_is_suggested_and_the_best_comes_first():
    text = "Answer in one sentence and name your source. " * 5 + "\n\n\n\nBe brief."
    found = suggest_optimizations(text, MODEL)
    assert found[0].strategy == "repetition"
    saved = [each.estimated_tokens_saved for each in found]
    assert saved == sorted(saved, reverse=True)
    assert TokenOptimizer(MODEL).suggest_prompt_improvements(text, 1) == found[:1]
    assert suggest_optimizations("Be brief.", MODEL) == []
    assert optimize_prompt("Be brief.", MODEL).optimized_text == "Be brief."


def test_a_plain_prompt_and_strategies_by_name():
    found = TokenOptimizer(MODEL).optimize_text('Use this:\n```json\n{\n  "a": 1,\n  "b": 2\n}\n```', ["json"])
    assert '{"a":1,"b":2}' in found.optimized_text
    assert found.suggestions_applied == ["json"]
    with pytest.raises(ValueError, match="there is no strategy 'magic': use one of whitespace"):
        TokenOptimizer(MODEL).optimize_text("x", ["magic"])
    rows = TokenOptimizer(MODEL).compare_phrasings(["Summarize the following text for me.", "Summarize:"])
    assert [row["text"] for row in rows] == ["Summarize:", "Summarize the following text for me."]


@pytest.mark.parametrize("sign", ["{", "{{ ", "<", "\u201c", "\u00ab", " ", "\t"])
def test_a_row_of_signs_is_looked_through_once(sign):
    """What takes the square of its length would take minutes of 100,000 characters."""
    text = sign * (100_000 // len(sign)) + "in order to see"
    assert optimize_prompt(text, "gpt-4o").optimized_text.endswith("to see")
