"""A name that a version of a framework lacks costs what hangs on that name, and `doctor` says which and what.

One program for each framework imports it once, and takes the names away in forked children, each one of its own.
"""

import json
import os

import pytest

import tc_crewai
import tc_langchain
import tc_llamaindex
from tc_core.demo.server import ModelServer

NAMES = {adapter.__name__: adapter.HOST_NAMES for adapter in (tc_langchain, tc_crewai, tc_llamaindex)}
HOST = {"tc_langchain": "langchain_openai", "tc_crewai": "crewai", "tc_llamaindex": "llama_index.llms.openai"}
SAYS_NOTHING = ("nothing is recorded", "nothing is recorded by instrument()")
ENDS = ("LLMCallStartedEvent", "LLMCallCompletedEvent")
"""Without one of these a call has no end, and is open."""
PROGRAM = """
import importlib, json, os, sys, time, types
url, adapter = sys.argv[1:]
{framework}
def call():
    {call}

def take_away(host_name):
    where, _, inner = host_name.where.partition(":")
    holder = importlib.import_module(where)
    if not inner:  # the framework itself keeps it: what we import is a module without
        kept = {{name: value for name, value in vars(holder).items() if name not in (host_name.name, "__getattr__")}}
        sys.modules[where] = types.ModuleType(where)
        vars(sys.modules[where]).update(kept)
        return
    holder = getattr(holder, inner)
    places = (holder, *type(holder).__mro__, *getattr(holder, "__mro__", ()))
    owner = next(each for each in places if host_name.name in getattr(each, "__dict__", ()))
    delattr(owner, host_name.name)

def is_told(host_name):
    return host_name.without not in {nothing!r} and host_name.name not in {ends!r}

def seen(host_name):
    import tc_core
    from tc_core.record.guard import faults
    from tc_core.runtime.instrument import framework_states
    if not host_name.name.startswith("_"):
        take_away(host_name)
    store = tc_core.InMemoryStorage()
    tc_core.instrument(store)
    call()
    total, deadline = tc_core.CostTracker(store).get_costs(), time.monotonic() + 20
    while not total.total_calls and is_told(host_name) and time.monotonic() < deadline:
        time.sleep(0.05)  # a question waits a short while for what the host tells on threads of its own
        total = tc_core.CostTracker(store).get_costs()
    counts = dict(faults.counts)
    is_inner = host_name.name.startswith("_")
    if is_inner:  # the bus itself would be broken without
        take_away(host_name)
    (state,) = (each for each in framework_states() if "tc_" + each.name == adapter)
    lost = [[each.name, each.without] for each in state.missing]
    if not is_inner:
        tc_core.uninstrument()
        counts = dict(faults.counts)
    return [state.state, state.detail, lost, total.total_calls, counts]

import tc_core
from importlib import import_module
from tc_core.runtime.instrument import framework_states
from tc_core import CostTracker
tc_core.calculate_cost("gpt-4o-mini", 1, 1)  # what all children need is loaded once
{ready}
running = []
def report():
    child, reading, host_name = running.pop(0)
    with os.fdopen(reading) as said:
        print(json.dumps([host_name.where, host_name.name, json.loads(said.read() or "[]")]), flush=True)
    os.waitpid(child, 0)

for host_name in import_module(adapter).HOST_NAMES:
    if len(running) == 4:  # each waits most of its time
        report()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = seen(host_name)
        except BaseException as error:
            found = [repr(error)]
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    running.append((child, reading, host_name))
while running:
    report()
"""
FRAMEWORK = {
    "tc_langchain": "from langchain_openai import ChatOpenAI",
    "tc_crewai": "from crewai import LLM",
    "tc_llamaindex": "import workflows.runtime.types.step_function\nfrom llama_index.llms.openai import OpenAI",
}
CALL = {
    "tc_langchain": "ChatOpenAI(model='gpt-4o-mini', base_url=url, api_key='x').invoke('hello')",
    "tc_crewai": "LLM(model='openai/gpt-4o-mini', base_url=url, api_key='x').call('hello')",
    "tc_llamaindex": "OpenAI('gpt-4o-mini', api_base=url, api_key='x').complete('hello')",
}
READY = {
    "tc_langchain": "ChatOpenAI(model='gpt-4o-mini', base_url=url, api_key='x')",
    "tc_crewai": "LLM(model='openai/gpt-4o-mini', base_url=url, api_key='x')",
    "tc_llamaindex": "OpenAI('gpt-4o-mini', api_base=url, api_key='x')",
}
"""What is loaded before the forks; no call, whose threads a child would not have, while it has their locks."""
_seen = {}


def seen(adapter, run_python):
    """Return what the program of a framework has found for each name; it runs once."""
    if adapter not in _seen:
        program = PROGRAM.format(
            framework=FRAMEWORK[adapter], call=CALL[adapter], ready=READY[adapter], nothing=SAYS_NOTHING, ends=ENDS
        )
        with ModelServer() as server:
            lines = run_python(program, server.base_url, adapter).splitlines()
        found = [json.loads(line) for line in lines if line.startswith("[")]
        _seen[adapter] = {(where, name): said for where, name, said in found}
    return _seen[adapter]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
@pytest.mark.parametrize(
    ("adapter", "name"),
    [(adapter, name) for adapter, names in NAMES.items() for name in names],
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.xdist_group("host names")
def test_without_a_name_the_rest_is_recorded_and_the_loss_is_named(adapter, name, run_python):
    pytest.importorskip(HOST[adapter], reason=f"{HOST[adapter]} is not installed")
    state, detail, lost, calls, faults = seen(adapter, run_python)[name.where, name.name]
    assert [name.name, name.without] in lost
    if name.without in SAYS_NOTHING:
        assert (state, calls) == ("failed", 0)
        assert name.name in detail
        assert list(faults) == [f"{adapter}.instrument: {detail.partition(':')[0]}"]
    else:
        assert (state, detail, faults) == ("hooked", "", {})
        assert calls == (name.name not in ENDS)
