"""In whatever order a program imports our adapter and the framework and instruments, its calls are recorded."""

from itertools import permutations

import pytest

ADAPTER = {
    "langchain": "from tc_langchain import TokenCalculatorCallback",
    "crewai": "from tc_crewai import TokenCalculatorListener, track",
    "llamaindex": "from tc_llamaindex import TokenCalculatorHandler",
}
FRAMEWORK = {
    "langchain": "import langchain_openai",
    "crewai": "import crewai",
    "llamaindex": "import llama_index.llms.openai",
}
CALL = {
    "langchain": "from langchain_openai import ChatOpenAI\n"
    "    ChatOpenAI(model='gpt-4o-mini', base_url=server.base_url, api_key='x').invoke('hello')",
    "crewai": "from crewai import LLM\n"
    "    LLM(model='openai/gpt-4o-mini', base_url=server.base_url, api_key='x').call('hello')",
    "llamaindex": "from llama_index.llms.openai import OpenAI\n"
    "    OpenAI('gpt-4o-mini', api_base=server.base_url, api_key='x').complete('hello')",
}
INNER = {
    "langchain": ("tc_langchain.install", "tc_langchain.callback", "tc_langchain.runs", "tc_langchain.host"),
    "crewai": ("tc_crewai.install", "tc_crewai.listener", "tc_crewai.interceptor", "tc_crewai.reading"),
    "llamaindex": ("tc_llamaindex.install", "tc_llamaindex.handler", "tc_llamaindex.spans", "tc_llamaindex.kinds"),
}
HOST = {"langchain": "langchain_openai", "crewai": "crewai", "llamaindex": "llama_index.llms.openai"}
INSTRUMENT = "import tc_core; tc_core.instrument('costs.db')"
ASK = """
import tc_core
from tc_core.demo.server import ModelServer
from tc_core.record.guard import faults
from tc_core.runtime.instrument import framework_states
with ModelServer() as server:
    {call}
(state,) = (each.state for each in framework_states() if each.name == {name!r})
total = tc_core.CostTracker("costs.db").get_costs()
asked = sum(exchange.tokens.prompt for exchange in server.exchanges)
print(state, total.total_calls, total.input_tokens - asked, dict(faults.counts))
"""
RECORDED = "hooked 1 0 {}"
IN_THREADS = """
import sys, threading, importlib
sys.setswitchinterval(1e-5)
together, errors = threading.Barrier({count}), []
def fetch(name):
    together.wait()
    try:
        importlib.import_module(name)
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=fetch, args=(name,)) for name in {names!r}]
for each in threads: each.start()
for each in threads: each.join()
assert not errors, errors
"""


def ask(name):
    return ASK.format(call=CALL[name], name=name)


@pytest.fixture(params=["langchain", "crewai", "llamaindex"])
def name(request):
    pytest.importorskip(HOST[request.param], reason=f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize("order", list(permutations(["adapter", "framework", "instrument"])), ids=" ".join)
def test_every_order_of_imports_records(name, order, run_python):
    lines = {"adapter": ADAPTER[name], "framework": FRAMEWORK[name], "instrument": INSTRUMENT}
    assert run_python("\n".join(lines[each] for each in order) + ask(name)).splitlines()[-1] == RECORDED


@pytest.mark.parametrize("inner", range(3))
def test_an_inner_module_of_the_adapter_may_come_first(name, inner, run_python):
    assert run_python(f"{INSTRUMENT}\nimport {INNER[name][inner]}" + ask(name)).splitlines()[-1] == RECORDED


@pytest.mark.parametrize("turn", range(3))
def test_threads_may_import_framework_and_adapter_at_once(name, turn, run_python):
    names = [HOST[name], *INNER[name]]
    names = names[turn:] + names[:turn]
    threads = IN_THREADS.format(count=len(names), names=names)
    assert run_python(INSTRUMENT + threads + ask(name)).splitlines()[-1] == RECORDED
