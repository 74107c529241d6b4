"""By words, by vectors, or as the user says."""

import importlib.util
import sys

import pytest

from tc_core import ConversationMonitor
from tc_core.health.similarity import Compared, Lexical, Semantic, similarity_of

CAT, KITTEN, TAX = "The cat sleeps on the sofa.", "A cat was sleeping on my sofa again.", "Taxes are due in April."


def vector(text):
    return [text.lower().count("cat"), text.lower().count("tax"), 1]


def near(similarity, text, *before):
    return similarity.nearness(similarity.profile(text), [similarity.profile(each) for each in before])


def test_words_that_are_shared_are_near():
    lexical = similarity_of(None)
    assert isinstance(lexical, Lexical)
    assert near(lexical, KITTEN, CAT) > 0.4 > 0.1 > near(lexical, TAX, CAT)
    assert near(lexical, "", CAT) == 0
    assert near(lexical, "猫はソファで寝る", "猫はソファで寝る") == pytest.approx(1)


def test_a_callable_of_one_text_is_an_embedding_and_of_two_a_comparison():
    assert isinstance(similarity_of(vector), Semantic)
    assert near(similarity_of(vector), KITTEN, CAT) == pytest.approx(1)
    same = similarity_of(lambda a, b: float(a == b))
    assert isinstance(same, Compared)
    assert near(same, CAT, TAX, CAT) == pytest.approx(1 / 1.5)  # the last counts 1, the one before it 0.5


def test_embeddings_of_langchain():
    pytest.importorskip("langchain_core", reason="LangChain is not installed")
    from langchain_core.embeddings import Embeddings

    class Own(Embeddings):
        def embed_query(self, text):
            return vector(text)

        def embed_documents(self, texts):
            return [vector(text) for text in texts]

    monitor = ConversationMonitor("gpt-4o", "a", similarity=Own())
    monitor.add_turn(CAT, TAX)
    assert monitor.check_health().signals["topic_coherence"] < 0.9


def test_embeddings_of_llamaindex():
    pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
    from llama_index.core.embeddings import BaseEmbedding

    class Own(BaseEmbedding):
        def _get_text_embedding(self, text):
            return vector(text)

        def _get_query_embedding(self, query):
            return vector(query)

        async def _aget_query_embedding(self, query):
            return vector(query)

    assert near(similarity_of(Own()), KITTEN, CAT) == pytest.approx(1)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(
        ImportError, match=r"wordllama is not installed: pip install 'token-calculator-suite\[semantic\]'"
    ):
        ConversationMonitor("gpt-4o", "a", similarity="semantic")


@pytest.mark.skipif(importlib.util.find_spec("wordllama") is None, reason="wordllama is not installed")
def test_wordllama_knows_words_that_are_alike():
    semantic = similarity_of("semantic")
    assert near(semantic, "My kitten naps.", CAT) > near(semantic, TAX, CAT)


@pytest.mark.parametrize(("wanted", "error"), [("magic", ValueError), (5, TypeError)])
def test_what_is_no_similarity_is_named(wanted, error):
    with pytest.raises(error, match="similarity is 'lexical', 'semantic', embeddings or a callable, got"):
        similarity_of(wanted)
