"""Stubs, mocks and broken modules in a framework's place: it is skipped and named, and the others are recorded."""

import sys

import pytest

from tc_core.runtime import adapters
from tests.hosts.models import MODEL

STAND_INS = """
import importlib.machinery, sys, types
from unittest.mock import MagicMock, Mock

class Raises(types.ModuleType):
    def __getattribute__(self, name):
        raise RuntimeError(name)

def stub(name):
    return types.ModuleType(name)

def path_stub(name):
    module = types.ModuleType(name)
    module.__path__ = []
    return module

def spec_stub(name):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    return module

def mock(name):
    return MagicMock()

def module_mock(name):
    return MagicMock(spec=types.ModuleType(name))

def spec_mock(name):
    return Mock(__spec__=Mock())

def blocked(name):
    return None

def raises(name):
    return Raises(name)

def states():
    return {state.name: state for state in framework_states()}
"""

BEFORE = """
for name in ("crewai", "crewai.events", "crewai.events.event_bus", "llama_index_instrumentation"):
    sys.modules[name] = {kind}(name)
import tc_core
from tc_core.runtime.doctor import examine
from tc_core.runtime.instrument import framework_states

assert tc_core.instrument("s.db") == ("langchain",)
Model().invoke("x")
assert tc_core.CostTracker().get_costs().total_calls == 1
found = states()
assert found["langchain"].state == "hooked", found
for name, module in (("crewai", "crewai"), ("llamaindex", "llama_index_instrumentation")):
    assert found[name].state == "failed" and module in found[name].detail, found
    try:
        tc_core.instrument(frameworks=[name])
    except ImportError as error:
        assert name in str(error), error
    else:
        raise AssertionError("a stand-in was hooked")
faults_said = [each.said for each in examine("s.db", quick=True) if each.state == "fault"]
assert len(faults_said) == 2 and all("stand-in" in each for each in faults_said), faults_said
tc_core.uninstrument()
"""

AFTER = """
import tc_core
import llama_index_instrumentation
from tc_core.runtime.instrument import framework_states

assert set(tc_core.instrument("s.db")) == {{"crewai", "langchain", "llamaindex"}}
kept = {{name: sys.modules.pop(name) for name in ("llama_index_instrumentation", "langchain_core")}}
for name in ("crewai", "crewai.events", *kept):
    sys.modules[name] = {kind}(name)
model.invoke("x")
found = states()
assert (found["crewai"].state, found["langchain"].state) == ("failed", "hooked"), found
tc_core.uninstrument()
sys.modules.update(kept)
handlers = llama_index_instrumentation.get_dispatcher().event_handlers
assert "TokenCalculatorHandler" not in [type(each).__name__ for each in handlers]
model.invoke("x")
assert tc_core.CostTracker("s.db").get_costs().total_calls == 1
tc_core.uninstrument()
assert set(tc_core.instrument("s.db")) == {{"langchain", "llamaindex"}}
model.invoke("x")
assert tc_core.CostTracker("s.db").get_costs().total_calls == 2
"""

GONE_AGAIN = """
from unittest.mock import patch
import tc_core
from tc_core.runtime.instrument import framework_states

mocks = {name: MagicMock() for name in ("langchain_core", "langchain_core.callbacks", "langchain_core.tracers.context")}
real = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "langchain_core"}
with patch.dict(sys.modules, mocks):
    tc_core.instrument("s.db")
    assert states()["langchain"].state == "failed"
    tc_core.uninstrument()
assert "langchain" in tc_core.instrument("s.db")
model.invoke("x")
assert tc_core.CostTracker("s.db").get_costs().total_calls == 1
"""

BROKEN = """
import os, sys
os.makedirs("broken/crewai")
with open("broken/crewai/__init__.py", "w") as file:
    file.write({text!r})
sys.path.insert(0, os.path.abspath("broken"))
import tc_core
from tc_core.runtime.instrument import framework_states
tc_core.instrument("s.db")
try:
    import crewai
except Exception as error:  # a broken framework may raise anything, as a program would meet it without us
    print(error)
Model().invoke("x")
assert tc_core.CostTracker().get_costs().total_calls == 1
found = {{state.name: state.state for state in framework_states()}}
assert (found["crewai"], found["langchain"]) == ({state!r}, "hooked"), found
tc_core.uninstrument()
"""

KINDS = ["stub", "path_stub", "spec_stub", "mock", "module_mock", "spec_mock", "blocked", "raises"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_stand_in_is_told_from_a_module(monkeypatch, kind):
    made = {}
    exec(STAND_INS, made)
    monkeypatch.setitem(sys.modules, "some_framework", made[kind]("some_framework"))
    assert adapters.is_stand_in("some_framework")


def test_modules_are_no_stand_ins():
    assert [
        name for name in ("json", "yaml", "tc_core", "tc_core.settings", "not_imported") if adapters.is_stand_in(name)
    ] == []


@pytest.mark.parametrize("kind", ["path_stub", "spec_mock", "raises"])
def test_a_stand_in_is_skipped_and_named(run_python, kind):
    run_python(MODEL + STAND_INS + BEFORE.format(kind=kind))


@pytest.mark.parametrize("kind", ["mock"])
def test_a_stand_in_that_comes_later_does_not_keep_what_is_hooked(run_python, kind):
    run_python(MODEL + STAND_INS + "model = Model()\n" + AFTER.format(kind=kind))


def test_what_a_mock_stood_for_is_recorded_once_it_has_gone(run_python):
    run_python(MODEL + STAND_INS + "model = Model()\n" + GONE_AGAIN)


@pytest.mark.parametrize(
    ("text", "state"),
    [("raise ValueError('broken')", "not imported"), ("__version__ = '0'", "failed")],
    ids=["raises", "empty"],
)
def test_a_framework_that_is_broken_costs_no_other_one(run_python, text, state):
    run_python(MODEL + BROKEN.format(text=text, state=state))
