"""A real client for the server on this machine, and one that answers with what it is given."""

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

from langchain_openai import ChatOpenAI

from tests.replay import Replay, serving


@pytest.fixture
def chat(server):
    """Make a chat model that talks to the server."""

    def make(model="gpt-4o-mini", **options):
        return ChatOpenAI(model=model, base_url=server.base_url, api_key="x", **{"max_retries": 0, **options})

    return make


@pytest.fixture
def replay():
    with serving(Replay()) as server:
        yield server
