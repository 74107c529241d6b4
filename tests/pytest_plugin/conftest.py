"""Programs of tests, run by a real pytest in a process of its own."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")

PLUGIN = () if entry_points(group="pytest11", name="token_calculator") else ("-p", "tc_core.pytest_plugin")
"""What pytest has to be told: nothing where the package is installed, which registers it."""

ROOT = Path(__file__).parent.parent.parent

AGENT = '''
import os
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

WORDS = int(os.environ.get("WORDS", 0))


@tool
def search_flights(to: str) -> str:
    """Search flights."""
    return "LH 123"


if os.environ.get("WIDER"):
    search_flights.description = "Search flights of all airlines, with their prices and free seats. " * 10


def ask(server, question="Hello?", **options):
    model = ChatOpenAI(
        model=options.pop("model", "gpt-4o-mini"), base_url=server.base_url, api_key="x", max_retries=0, **options
    )
    system = "You book flights for those who ask. " * 5 + "Be polite. " * WORDS
    return model.bind_tools([search_flights]).invoke([("system", system), ("user", question)]).content
'''


@pytest.fixture
def run(pytester, monkeypatch):
    """Run tests with the plugin, the agent above before them; return the result."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")

    def run(program, *arguments, agent=AGENT, **environment):
        pytester.makepyfile(test_agent=agent + program)
        for name in ("WORDS", "WIDER", "UPSTREAM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", *arguments)

    return run


def said(result):
    """Return what was printed, in one line."""
    return " ".join(result.outlines)
