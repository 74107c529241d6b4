"""What the tests of budgets with real frameworks share: a store, its budgets, and clients of a model server."""

import os
import tempfile

import pytest

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="token-calculator-")  # CrewAI takes it as it is imported

pytest.importorskip("langchain_openai", reason="LangChain is not installed")
pytest.importorskip("crewai", reason="CrewAI is not installed")
pytest.importorskip("llama_index.llms.openai", reason="LlamaIndex is not installed")

from crewai.events.event_bus import crewai_event_bus
from llama_index.core import set_global_tokenizer

from tc_core import BudgetTracker, SQLiteStorage
from tests.parts.clients import Clients

set_global_tokenizer(str.split)  # LlamaIndex's own would be downloaded


@pytest.fixture
def clients(server):
    """Clients of each framework that ask the model server."""
    return Clients(server.base_url)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in a file, which CrewAI's handlers have finished with at the end."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    with SQLiteStorage(tmp_path / "store.db") as store:
        yield store
        assert crewai_event_bus.flush(timeout=10)


@pytest.fixture
def budgets(store):
    """The budgets of that store."""
    return BudgetTracker(store)
