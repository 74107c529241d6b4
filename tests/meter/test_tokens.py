import hashlib
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core.meter import corrections, tokens


@pytest.mark.parametrize(
    ("text", "model", "expected"),
    [
        # Known from OpenAI's tokenizer page.
        pytest.param("hello world", "gpt-4o", 2, id="two-words"),
        pytest.param("tiktoken is great!", "gpt-4", 6, id="cl100k"),
        pytest.param("", "gpt-4o", 0, id="empty"),
    ],
)
def test_known_counts(text, model, expected):
    assert tokens.count_tokens(text, model) == expected


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("azure/gpt-4.1", "o200k_base"),
        ("ft:gpt-4o-mini:org::id", "o200k_base"),
        ("gpt-5.5", "o200k_base"),
        ("o3", "o200k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-32k", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("claude-sonnet-4-5", None),
        ("gemini-2.5-pro", None),
    ],
)
def test_models_find_their_own_encoding_or_none(model, encoding):
    assert tokens.encoding_name(model) == encoding


def test_a_model_without_a_public_tokenizer_is_counted_by_a_proxy_and_says_so():
    corrections.forget()  # what calls in other tests have taught of the model
    assert tokens.count("hello world", "claude-sonnet-4-5") == (2, "proxy")
    assert tokens.count("hello world", "gpt-4o") == (2, "exact")
    assert tokens.count("hello world", None) == (2, "proxy")


@pytest.mark.parametrize("name", sorted(tokens.VOCABULARIES))
def test_vocabulary_files_are_the_published_ones(name):
    assert hashlib.sha256(tokens.vocabulary(name)).hexdigest() == tokens.VOCABULARIES[name]


def test_a_damaged_vocabulary_is_refused_and_counts_become_estimates(monkeypatch):
    monkeypatch.setitem(tokens.VOCABULARIES, "cl100k_base", "0" * 64)
    tokens._encoding.cache_clear()
    try:
        assert tokens.vocabulary("cl100k_base") is None
        assert tokens.count("x" * 9, "gpt-4") == (3, "estimate")  # nine characters, four a token, rounded up
    finally:
        monkeypatch.undo()
        tokens._encoding.cache_clear()


def test_nothing_is_downloaded(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("tried to use the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tokens._encoding.cache_clear()
    for model in ("gpt-4", "gpt-4o", "gpt-oss-20b", "text-davinci-003"):
        assert tokens.count_tokens("hello", model) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" " * 1_000_000, id="a-million-spaces"),
        pytest.param("\t" * 1_000_000, id="a-million-tabs"),
        pytest.param("<|endoftext|>", id="special-token"),
        pytest.param("\ud800 half", id="lone-surrogate"),
        pytest.param("a" * 100_000, id="a-long-word"),
        pytest.param((" " * 99_999 + "x") * 10, id="long-rows-of-spaces"),  # by the square of a row, a minute
    ],
)
def test_odd_texts_give_a_number(text):
    assert tokens.count_tokens(text, "gpt-4o") > 0
    assert tokens.count_tokens(text, "gpt-4") > 0


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_gives_a_number(text):
    assert tokens.count_tokens(text, "gpt-4o") >= bool(text)
