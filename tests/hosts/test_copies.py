"""Models are copied and pickled with what records them: a copy records into the same store."""

import os

from tests.hosts.models import MODEL

CALLBACKS = """
import copy, pickle, threading
import tc_core
from tc_langchain import TokenCalculatorCallback

class Named(TokenCalculatorCallback):
    mine = "kept"

for callback in (
    TokenCalculatorCallback(tc_core.CostTracker("s.db"), agent_id="a", lock=threading.Lock()),
    Named(tc_core.CostTracker(tc_core.InMemoryStorage()), agent_id="a"),
):
    model = Model(callbacks=[callback])
    copy.copy(model).invoke("x")
    copy.deepcopy(model).invoke("x")
    model.model_copy(deep=True).invoke("x")
    again = pickle.loads(pickle.dumps({"callbacks": model.callbacks}))["callbacks"][0]
    assert type(again) is type(callback)
    again.tracker.get_costs()
    Model(callbacks=[again]).invoke("x")
    Model(callbacks=[callback, copy.deepcopy(callback), again]).invoke("x")  # one run, however many see it
    report = callback.tracker.get_costs(group_by=["agent_id"])
    assert [(group.key["agent_id"], group.calls) for group in report.groups] == [("a", 5)], report

default = TokenCalculatorCallback()
assert copy.deepcopy(default).tracker is None
"""

TRACKERS = """
import copy, pickle
import tc_core
from langchain_core.embeddings import DeterministicFakeEmbedding
from tc_langchain import TrackedEmbeddings

memory = tc_core.InMemoryStorage()
for storage in ("s.db", memory, tc_core.SQLiteStorage(":memory:")):
    tracker = tc_core.CostTracker(storage)
    embeddings = TrackedEmbeddings(DeterministicFakeEmbedding(size=2), model="text-embedding-3-small", tracker=tracker)
    nightly = tc_core.workflow("nightly", storage=tracker.storage)
    with nightly:
        nightly = copy.deepcopy(nightly)
    with nightly:
        for again in (copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
            again(tracker).track_call("gpt-4o", 1, 1)
            wrapped = again(embeddings)
            assert isinstance(wrapped, TrackedEmbeddings) and wrapped.size == 2, wrapped
            wrapped.embed_query("x")
    report = tracker.get_costs()
    assert report.total_calls == 6, (storage, report)
    assert len(tracker.storage.runs({"workflow_id": "nightly"})) == 2
assert copy.deepcopy(memory) is memory
"""

CLIENTS = """
import asyncio, copy, pickle
import tc_core
from tc_core import async_tracking_client, tracking_client

for client in (tracking_client("s.db", timeout=7), async_tracking_client("s.db", timeout=7), tracking_client()):
    for again in (copy.deepcopy(client), copy.copy(client), pickle.loads(pickle.dumps(client))):
        assert type(again) is type(client), type(again)
        assert (again.timeout, again.follow_redirects) == (client.timeout, True)
        assert (again._storage is None) == (client._storage is None)
        assert again._storage is None or again._storage.path == client._storage.path
"""

HANDLERS = """
import copy, pickle
import tc_core
from tc_llamaindex import TokenCalculatorHandler

handler = TokenCalculatorHandler(tc_core.CostTracker("s.db"), agent_id="a").attach()
pickled = pickle.loads(pickle.dumps(handler))
for again in (copy.copy(handler), copy.deepcopy(handler), handler.model_copy(deep=True), pickled):
    assert type(again) is TokenCalculatorHandler and again is not handler
    assert (again.tracker.storage.path, dict(again.default_labels)) == (handler.tracker.storage.path, {"agent_id": "a"})
handler.detach()
"""

LISTENERS = """
import copy, pickle
import tc_core
from tc_crewai import TokenCalculatorListener

listener = TokenCalculatorListener(tc_core.CostTracker("s.db"), agent_id="a")
assert copy.copy(listener) is copy.deepcopy(listener) is pickle.loads(pickle.dumps(listener)) is listener
listener.remove()
assert pickle.loads(pickle.dumps(listener)).tracker.storage.path == listener.tracker.storage.path
"""

SPAWNED = """
import multiprocessing, sys
import tc_core
from own_model import Model
from tc_langchain import TokenCalculatorCallback

def work(model):
    assert model.invoke("x").content == "hi"
    assert tc_core.flush()

if __name__ == "__main__":
    for where, calls in (("s.db", 1), (tc_core.InMemoryStorage(), 0)):
        tracker = tc_core.CostTracker(where)
        model = Model(callbacks=[TokenCalculatorCallback(tracker)])
        process = multiprocessing.get_context("spawn").Process(target=work, args=(model,))
        process.start()
        process.join()
        assert process.exitcode == 0, process.exitcode
        assert tracker.get_costs().total_calls == calls, tracker.get_costs()
"""

GONE = """
import os, pickle, shutil
import tc_core
from tc_langchain import TokenCalculatorCallback

os.mkdir("far")
callback = TokenCalculatorCallback(tc_core.CostTracker("far/s.db"))
pickled = pickle.dumps(callback)
tc_core.flush()
callback.tracker.storage.close()
shutil.rmtree("far")
open("far", "w").close()
again = pickle.loads(pickled)
Model(callbacks=[again]).invoke("x")
assert again.tracker.get_costs().total_calls == 1 and again.tracker.storage.is_in_memory
"""


def test_a_copied_callback_records_into_the_same_store_and_each_run_once(run_python):
    run_python(MODEL + CALLBACKS)


def test_trackers_embeddings_and_workflows_are_copied(run_python):
    run_python(TRACKERS)


def test_a_copied_client_is_made_with_the_same_options(run_python):
    run_python(CLIENTS)


def test_a_copied_handler_of_llamaindex_is_another_one_for_the_same_store(run_python):
    run_python(HANDLERS)


def test_a_listener_of_crewai_stays_one(run_python):
    run_python(LISTENERS)


def test_a_spawned_process_records_into_the_same_file_and_keeps_what_is_in_memory_to_itself(run_python, tmp_path):
    (tmp_path / "own_model.py").write_text(MODEL)
    (tmp_path / "program.py").write_text(SPAWNED)
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    program = "import runpy, sys; sys.argv = ['program.py']; runpy.run_path('program.py', run_name='__main__')"
    run_python(program, PYTHONPATH=path)


def test_a_store_that_cannot_be_opened_where_it_is_unpickled_costs_the_host_nothing(run_python):
    run_python(MODEL + GONE)
