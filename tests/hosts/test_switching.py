"""Recording that is switched on and off while other threads call their models breaks none of these calls."""

import pytest

PROGRAM = """
import os, sys, threading, time, tc_core
from tc_core.testing import ModelServer
server = ModelServer()
server.__enter__()
os.environ.update(OPENAI_API_KEY="x")
{model}
ask()  # first alone: OpenAI's client is not safe while two threads import what it needs
sys.setswitchinterval(1e-5)
errors, made, end = [], 0, time.monotonic() + 6
def call():
    global made
    while time.monotonic() < end:
        try: ask(); made += 1
        except BaseException as error: errors.append(repr(error))
threads = [threading.Thread(target=call) for _ in range(2)]
[each.start() for each in threads]
turns = 0
from tc_{framework} import instrument, uninstrument
tc_core.instrument("s.db", frameworks=["{framework}"])
while time.monotonic() < end:
    instrument("s.db"); uninstrument()
    turns += 1
[each.join() for each in threads]
server.__exit__(None, None, None)
assert not errors and made > 20 and turns > 2, (errors[:3], made, turns)
os._exit(0)  # CrewAI's threads would keep it for a while
"""
MODELS = {
    "langchain": """
from langchain_core.language_models.fake_chat_models import FakeListChatModel
model = FakeListChatModel(responses=["hi"])
ask = lambda: model.invoke("x")
""",
    "llamaindex": """
from llama_index.core.llms import MockLLM
model = MockLLM()
ask = lambda: model.complete("x")
""",
    "crewai": """
from crewai import LLM
model = LLM(model="openai/gpt-4o-mini", base_url=server.base_url, api_key="x", max_retries=0)
ask = lambda: model.call("x")
""",
}


@pytest.mark.parametrize("framework", MODELS)
def test_switching_all_on_and_off(framework, run_python):
    pytest.importorskip({"llamaindex": "llama_index.core"}.get(framework, framework), reason="it is not installed")
    run_python(PROGRAM.format(framework=framework, model=MODELS[framework]))


def test_a_handler_that_is_taken_away_between_two_looks(run_python):
    run_python("""
import tc_core, tc_langchain.install as install
from langchain_core.language_models.fake_chat_models import FakeListChatModel
tc_core.instrument("s.db", frameworks=["langchain"])
class Once(type(install._switch)):
    looks = 0
    def get(self):
        self.looks += 1
        return self.handler if self.looks % 2 else None
install._switch.__class__ = Once
model = FakeListChatModel(responses=["hi"])
for _ in range(3): model.invoke("x")
assert tc_core.CostTracker("s.db").get_costs().total_calls == 3
""")


def test_who_looks_at_a_module_while_we_import_it_sees_it_whole(run_python):
    run_python("""
import sys, threading, time
sys.setswitchinterval(1e-5)
from tc_core.meter.loading import load_prices
errors, looks, end = [], 0, threading.Event()
def ask():
    global looks
    while not end.is_set():
        module = sys.modules.get("httpx2")  # as OpenAI's client does
        if module is not None:
            looks += 1
            try: module.Client, module.Timeout, module.Response
            except AttributeError as error: errors.append(repr(error))
thread = threading.Thread(target=ask)
thread.start()
load_prices()
end.set()
thread.join()
import httpx2
assert looks and not errors, (looks, errors[:3])
assert getattr(httpx2, "__getattr__", sys.exit).__module__ in ("httpx2", "sys")
""")
