"""Real clients of CrewAI for the server on this machine; CrewAI's own files go into a folder of the test."""

import os
import tempfile

import pytest

os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="token-calculator-")

pytest.importorskip("crewai", reason="CrewAI is not installed")

from crewai import LLM, Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus


@pytest.fixture
def world(server):
    """Makes models, agents and crews that talk to the server."""
    return World(server)


class World:
    """What scenarios are made of."""

    def __init__(self, server, **options):
        self.server = server
        self.options = options

    def llm(self, model="openai/gpt-4o-mini", **options):
        options = {"max_retries": 0, **self.options, **options}
        return LLM(model=model, base_url=self.server.base_url, api_key="x", **options)

    def agent(self, role="Researcher", **options):
        said = {"goal": "Find out", "backstory": "Curious", "llm": self.llm()}
        return Agent(role=role, **{**said, **options})

    def task(self, agent=None, **options):
        said = {"description": "Look it up", "expected_output": "An answer", "name": "look-up"}
        return Task(agent=agent, **{**said, **options})

    def crew(self, *agents, tasks=None, **options):
        agents = list(agents) or [self.agent()]
        tasks = tasks if tasks is not None else [self.task(agent) for agent in agents]
        return Crew(agents=agents, tasks=tasks, **options)

    @property
    def embedder(self):
        config = {"api_key": "x", "model_name": "text-embedding-3-small", "api_base": self.server.base_url}
        return {"provider": "openai", "config": config}


@pytest.fixture(autouse=True)
def _own_bus(tmp_path, monkeypatch):
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    yield
    assert crewai_event_bus.flush(timeout=10)
