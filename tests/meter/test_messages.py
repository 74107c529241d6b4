"""Whole requests: held against figures that providers gave."""

import pytest

from tc_core import count_messages, count_tokens
from tc_core.meter import corrections, tokens
from tc_core.meter.messages import count_tools

# OpenAI's own example in its guide on counting, with the counts that its API gave.
CONVERSATION = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain "
        "English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
UNITS = {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]}
PLACE = {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {"type": "object", "properties": {"location": PLACE, "unit": UNITS}, "required": ["location"]},
    },
}


@pytest.mark.parametrize(("model", "expected"), [("gpt-4", 129), ("gpt-3.5-turbo", 129), ("gpt-4o", 124)])
def test_a_conversation_weighs_what_openai_says(model, expected):
    assert count_messages(CONVERSATION, model) == expected


@pytest.mark.parametrize(("model", "expected"), [("gpt-4", 105), ("gpt-4o", 101), ("gpt-4o-mini", 101)])
def test_tools_weigh_what_openai_says(model, expected):
    assert count_messages(WEATHER, model, tools=[TOOL]) == expected


def test_the_provider_reports_what_we_count():
    # What OpenAI's API reference shows: "Hello!" after a developer's line is 19 tokens for the gpt-4 family.
    messages = [
        {"role": "developer", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
    ]
    assert count_messages(messages, "gpt-4.1") == 19


def test_parts_tool_calls_and_odd_messages():
    plain = count_messages([{"role": "user", "content": "hello there"}], "gpt-4o")
    parts = [{"type": "text", "text": "hello there"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert count_messages([{"role": "user", "content": parts}], "gpt-4o") == plain
    call = {"function": {"name": "add", "arguments": '{"a": 1}'}}
    assert count_messages([{"role": "assistant", "content": None, "tool_calls": [call]}], "gpt-4o") > 7
    assert count_messages([{}, {"role": "user", "content": 5}], "gpt-4o") > 0
    assert count_messages([], "gpt-4o") == 3
    odd = {"name": "f", "parameters": {"properties": {"a": {"type": "array", "items": {"enum": [1, 2]}}, "b": None}}}
    assert count_tools([odd], "gpt-4o").tokens > 10


@pytest.mark.parametrize("messages", ["hello", ["hello"], [("user", "hello")], [None]])
def test_what_is_no_message_is_said(messages):
    with pytest.raises(TypeError, match="dicts with role and content, got"):
        count_messages(messages, "gpt-4o")


@pytest.mark.parametrize(
    "text",
    [" " * 1_000_000, "\t" * 200_000, "<|endoftext|> and <|im_start|>", "lone \ud800 surrogate", "\x00", "a" * 300_000],
    ids=["spaces", "tabs", "special tokens", "lone surrogate", "nul", "one letter"],
)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "claude-sonnet-4-5", "llama-3.3-70b", "mixtral-8x7b"])
def test_no_text_is_too_odd_to_be_counted(text, model):
    assert count_tokens(text, model) > 0


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3"),
        ("groq/llama-3.1-8b-instant", "llama3"),
        ("deepseek-chat", "deepseek_v3"),
        ("Qwen/Qwen3-8B", "qwen3"),
        ("moonshotai/kimi-k2-instruct", "kimi_k2"),
        ("gpt-4o", None),
        ("claude-sonnet-4-5", None),
    ],
)
def test_open_models_are_counted_with_their_own_tokenizer(model, tokenizer):
    splintr = pytest.importorskip("splintr", reason="the extra `tokenizers` is not installed")
    text = "Über die Brücke gehen 多少 people? def f(x): return x**2"
    assert tokens._open_name(model) == tokenizer
    if tokenizer is not None:
        expected = len(splintr.Tokenizer.from_pretrained(tokenizer).encode_ordinary(text))
        assert tokens.count(text, model) == (expected, "exact")


def test_every_open_tokenizer_of_the_table_exists():
    pytest.importorskip("splintr", reason="the extra `tokenizers` is not installed")
    assert all(tokens._open_tokenizer(name) is not None for name in tokens._OPEN.values())


@pytest.fixture
def _own_corrections():
    corrections.forget()
    yield
    corrections.forget()


@pytest.mark.usefixtures("_own_corrections")
def test_a_proxys_count_is_corrected_by_what_providers_report():
    text = "Ein Satz in einer Sprache, für die der Ersatz zu wenig zählt. " * 20
    before = tokens.count(text, "claude-x")
    corrections.learn("claude-x", 100, 150)
    assert tokens.count(text, "claude-x") == before  # too little to be believed
    corrections.learn("claude-x", 1000, 1500)
    assert tokens.count(text, "claude-x") == (round(before.tokens * 1.5), "proxy")
    assert tokens.count(text, "claude-x", corrects=False) == before
    corrections.learn("claude-x", 1000, 90_000)  # images
    corrections.learn("claude-x", 0, 10)
    assert corrections.factor("claude-x") == 1.5
    assert tokens.count(text, "gpt-4o").source == "exact"
    for _ in range(200):
        corrections.learn("claude-x", 100_000, 110_000)
    assert corrections.factor("claude-x") == pytest.approx(1.1, abs=0.01)
