"""A branch of the tests' own, whose part is asked about requests and reads texts; real clients for the server."""

import os
import sys
import tempfile
from dataclasses import dataclass, field
from types import ModuleType

import pytest

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="token-calculator-")

pytest.importorskip("langchain_openai", reason="LangChain is not installed")
pytest.importorskip("crewai", reason="CrewAI is not installed")
pytest.importorskip("llama_index.llms.openai", reason="LlamaIndex is not installed")

from crewai.events.event_bus import crewai_event_bus
from llama_index.core import set_global_tokenizer

from tc_core import SQLiteStorage, instrument
from tc_core.model.part import Part
from tc_core.runtime import parts
from tests.parts.clients import Clients

set_global_tokenizer(str.split)  # LlamaIndex's own would be downloaded


class BudgetError(Exception):
    """What a part of the tests refuses with; it has a field of its own."""

    def __init__(self, said, budget="none"):
        super().__init__(said)
        self.budget = budget


@dataclass
class Branch:
    """The part, what it was asked, and what it has read."""

    part: Part
    asked: list = field(default_factory=list)
    read: list = field(default_factory=list)

    def decide(self, decision):
        """Have each request decided alike."""

        def admit(request):
            self.asked.append(request)
            return decision

        self.part.admit = admit
        return self


@pytest.fixture
def branch(monkeypatch):
    """A branch that is installed, with a part that wants nothing yet."""
    found, module = Branch(Part(name="of the tests")), ModuleType("a_branch_of_the_tests")
    module.part = lambda store: found.part
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(parts, "LIVE", [module.__name__])
    return found


@pytest.fixture
def recording(branch, tmp_path, monkeypatch):
    """Begin to record, once the part wants what it wants; return the store."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    stores = []

    def begin():
        stores.append(SQLiteStorage(tmp_path / "store.db"))
        instrument(stores[0])
        return stores[0]

    yield begin
    assert crewai_event_bus.flush(timeout=10)
    for store in stores:
        store.close()


@pytest.fixture
def clients(server):
    """Make models that talk to the server."""
    return Clients(server.base_url)


@pytest.fixture
def refusal():
    """What a part refuses with."""
    return BudgetError("the budget is spent", budget="team")
