"""A real client, a real socket, a real server on this machine; what that counted is the truth."""

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain_openai import ChatOpenAI

from tc_core import SQLiteStorage, instrument
from tc_core.demo.server import ModelServer


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def chat(server):
    """Make a chat model that talks to the server."""

    def make(model="gpt-4o-mini", **options):
        return ChatOpenAI(model=model, base_url=server.base_url, api_key="x", **{"max_retries": 0, **options})

    return make


@pytest.fixture
def store(tmp_path):
    """A store that everything is recorded into."""
    with SQLiteStorage(tmp_path / "store.db") as store:
        instrument(store)
        yield store


@pytest.fixture
def truth(server):
    """Compare what was recorded with what the server counted."""

    def check(store, *, estimated=0):
        answered = [exchange.tokens for exchange in server.exchanges if exchange.tokens is not None]
        total = store.totals()[()]
        assert total.calls == len(server.exchanges)
        assert total.errors == len(server.exchanges) - len(answered)
        assert total.estimated == estimated
        if not estimated:
            assert total.input_tokens == sum(tokens.prompt for tokens in answered)
            assert total.output_tokens == sum(tokens.completion for tokens in answered)
            assert total.cached_tokens == sum(tokens.cached for tokens in answered)
            assert total.reasoning_tokens == sum(tokens.reasoning for tokens in answered)

    return check
