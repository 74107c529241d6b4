"""The host never sees an error of ours, whatever it passes to our hooks and whatever happens to the store."""

import inspect
import sqlite3
import subprocess
import threading
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from tc_core import CostTracker, InMemoryStorage, SQLiteStorage, instrument
from tc_core.demo.script import Step
from tc_core.record.guard import faults
from tc_core.runtime.recorders import recorder_for
from tc_langchain import TokenCalculatorCallback

HOOKS = [
    name
    for name, value in vars(TokenCalculatorCallback).items()
    if name.startswith("on_") and inspect.isfunction(value)
]


class Hostile:
    """Raises at every touch."""

    def __getattribute__(self, name):
        raise RuntimeError(f"no {name}")

    def __getitem__(self, key):
        raise KeyError(key)

    def __bool__(self):
        raise ArithmeticError

    def __iter__(self):
        raise TypeError

    def __eq__(self, other):
        raise ValueError

    __hash__ = None


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.binary(max_size=20),
    st.builds(Hostile),
    st.builds(object),
    st.uuids(),
    st.builds(RuntimeError),
    st.builds(GeneratorExit),
)
names = st.sampled_from(
    [
        "ls_model_name",
        "ls_provider",
        "thread_id",
        "langgraph_node",
        "lc_agent_name",
        "ls_integration",
        "model",
        "tools",
        "name",
        "token_usage",
        "input_tokens",
        "output_tokens",
        "input_token_details",
        "cache_read",
        "model_name",
    ]
)
garbage = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4), st.tuples(inner)),
    max_leaves=8,
)


@st.composite
def results(draw):
    """A result of a model as LangChain makes it, with garbage in the places that it lets through."""
    message = AIMessage("text")
    generation = draw(st.sampled_from([ChatGeneration(message=message), Generation(text="text")]))
    for field in ("usage_metadata", "response_metadata", "content", "tool_calls"):
        if draw(st.booleans()):
            object.__setattr__(message, field, draw(garbage))
    result = LLMResult(generations=[[generation]])
    for field in ("llm_output", "generations"):
        if draw(st.booleans()):
            object.__setattr__(result, field, draw(garbage))
    return result


payloads = st.one_of(garbage, results(), st.lists(st.lists(st.builds(HumanMessage, st.text(max_size=5)))))
keywords = st.dictionaries(
    st.sampled_from(
        ["tags", "metadata", "name", "invocation_params", "response", "tool_call_id", "batch_size", "inputs"]
    ),
    st.one_of(garbage, results()),
    max_size=5,
)


@pytest.mark.swallows
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(
        st.tuples(st.sampled_from(HOOKS), payloads, payloads, keywords, st.integers(0, 3)), min_size=1, max_size=6
    ),
    st.booleans(),
)
def test_no_payload_gets_an_error_past_a_hook(calls, has_real_ids):
    store = InMemoryStorage()
    handler = TokenCalculatorCallback(CostTracker(store), agent_id="a")
    ids = [uuid.UUID(int=n + 1) for n in range(4)]
    for hook, first, second, extra, which in calls:
        arguments = [first, second] if hook.endswith("_start") else [first]
        run_id = ids[which] if has_real_ids else second
        getattr(handler, hook)(*arguments, run_id=run_id, parent_run_id=ids[which - 1] if which else None, **extra)
    store.query_events()
    recorder_for(store).close()
    store.query_events()
    store.totals(["model", "agent_id"])


@pytest.mark.swallows
def test_after_any_garbage_a_good_call_is_recorded(server, chat, store):
    for hook in HOOKS:
        for garbage_ in (None, 7, "text", {}, [], Hostile()):
            arguments = [garbage_, garbage_] if hook.endswith("_start") else [garbage_]
            getattr(TokenCalculatorCallback(CostTracker(store)), hook)(
                *arguments, run_id=uuid.uuid4(), metadata=garbage_
            )
    store.flush()
    before = store.aggregate("calls", filters={"model": "gpt-4o-mini"})[()]
    chat().invoke("hello")
    assert store.aggregate("calls", filters={"model": "gpt-4o-mini"})[()] == before + 1


# The store


@pytest.mark.swallows
def test_a_locked_database_does_not_stop_the_agent(server, chat, store, truth):
    chat().invoke("before")
    store.flush()
    blocker = sqlite3.connect(store.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    answers = [chat().invoke("during").text for _ in range(3)]
    assert answers == ["You said: during"] * 3
    blocker.execute("ROLLBACK")
    blocker.close()
    chat().invoke("after")
    truth(store)


@pytest.mark.swallows
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_thread_that_dies_does_not_stop_the_agent(server, chat, store, truth, monkeypatch):
    class Death(BaseException):
        pass

    recorder = recorder_for(store)
    real, dead = recorder.writer._sink.write, threading.Event()

    def die(batch, mark=None):
        if not dead.is_set():
            dead.set()
            raise Death
        real(batch, mark)

    monkeypatch.setattr(store.sink, "write", die)
    chat().invoke("one")
    assert dead.wait(10)
    while recorder.writer._thread is not None:
        pass
    chat().invoke("two")
    assert recorder.writer._thread is not None
    truth(store)


@pytest.mark.swallows
def test_a_database_that_is_deleted_does_not_stop_the_agent(server, chat, store):
    chat().invoke("before")
    store.flush()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        store.path.with_name(name).unlink(missing_ok=True)
    assert chat().invoke("after").text == "You said: after"


FULL_DISK = """
import os, sys
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
import itertools, tc_core
from tc_core import CostTracker
from tc_core.record.guard import faults
from tc_langchain import TokenCalculatorCallback

answer = AIMessage("ok", usage_metadata={"input_tokens": 1000, "output_tokens": 0, "total_tokens": 1000})
model = GenericFakeChatModel(messages=itertools.cycle([answer]))
tracker = CostTracker(sys.argv[1])
handler = TokenCalculatorCallback(tracker)

def call(count, **labels):
    with tc_core.labels(**labels):
        for _ in range(count):
            assert model.invoke("hi", config={"callbacks": [handler]}).text == "ok"

call(10, when="before")
tc_core.flush()
fill(sys.argv[1])
call(3000, when="full")
was_flushed = tc_core.flush(timeout=1)
make_room(sys.argv[1])
call(10, when="after")
tc_core.flush()
found = {group.key["when"]: group.calls for group in tracker.get_costs(group_by=["when"]).groups}
print(was_flushed, found.get("before"), found.get("after"), found.get("full", 0), sum(faults.counts.values()) > 0)
"""

REAL = """
def fill(path):
    with open(os.path.join(os.path.dirname(path), "ballast"), "wb", buffering=0) as file:
        try:
            while True: file.write(bytes(4096))
        except OSError: pass

def make_room(path): os.unlink(os.path.join(os.path.dirname(path), "ballast"))
"""

LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def fill(path):
    walk = os.walk(os.path.dirname(path))
    size = max(os.path.getsize(os.path.join(folder, name)) for folder, _, names in walk for name in names)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def make_room(path): resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.fixture(params=["real", "limited"])
def small_disk(request, tmp_path):
    """A folder on a disk of 16 MB, or one whose files a process may not make larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limited":
        yield folder, LIMITED
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only who may mount a file system can fill a small one; the limited disk stands for it")
    yield folder, REAL
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_does_not_stop_the_agent(small_disk, run_python):
    folder, ways = small_disk
    program = FULL_DISK.replace("\nanswer =", f"\n{ways}\nanswer =", 1)
    was_flushed, before, after, during, is_counted = run_python(program, folder / "costs.db").split()
    assert (before, after) == ("10", "10")
    assert (was_flushed, is_counted) == ("False", "True")
    assert int(during) <= 3000
    with SQLiteStorage(folder / "costs.db") as store:
        assert store.aggregate("calls", filters={"when": "before"}) == {(): 10}


def test_the_host_can_be_killed_at_any_moment():
    from benchmarks.kill import run

    result = run(kills=10, threads=3, seed=7)
    assert result["calls_ended"] > 100
    assert (result["calls_lost"], result["calls_wrong_or_twice"], result["spool_files_left"]) == (0, 0, 0)


def test_a_program_that_ends_at_once_has_recorded_everything(run_python):
    program = """
import itertools, os, sys
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
import tc_core
tc_core.instrument("costs.db")
answer = AIMessage("ok", usage_metadata={"input_tokens": 1, "output_tokens": 0, "total_tokens": 1})
model = GenericFakeChatModel(messages=itertools.cycle([answer]))
for _ in range(50): model.invoke("hi")
if sys.argv[1] == "hard": os._exit(0)
"""
    run_python(program, "hard")
    run_python(program, "soft")
    assert CostTracker("costs.db").get_costs().total_calls == 100


# Privacy

CANARY = "CANARY-7f3a9b"


def test_no_text_is_in_any_file_we_write(tmp_path, monkeypatch, caplog):
    """Prompts, answers, tool arguments and results, names of runs, tags, metadata and errors, also when it breaks."""
    pytest.importorskip("langchain.agents")
    from langchain.agents import create_agent
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    from tc_core.demo.server import ModelServer

    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    instrument(tmp_path / "store.db")
    recorder = recorder_for(tmp_path / "store.db")

    @tool
    def look_up(what: str) -> str:
        """Look something up: CANARY-7f3a9b."""
        return f"found {CANARY}"

    def fail(_):
        raise RuntimeError(CANARY)

    with ModelServer() as server:
        model = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key=CANARY, max_retries=0)
        server.push(Step(tool_calls=[("look_up", {"what": CANARY})]), Step(text=CANARY))
        server.push(Step(status=400, text=f"what is {CANARY}?"))
        config = {"run_name": CANARY, "tags": [CANARY], "metadata": {"secret": CANARY, CANARY: 1}}
        agent = create_agent(model, tools=[look_up], system_prompt=CANARY, name="agent")
        agent.invoke({"messages": [HumanMessage(CANARY)]}, config)
        with pytest.raises(Exception, match=CANARY):
            model.invoke(CANARY, config)
        with pytest.raises(RuntimeError):
            RunnableLambda(fail).invoke(CANARY, config)
        list(model.stream(f"{CANARY} without usage, so that it is counted here"))
        assert [path for path in tmp_path.rglob("*.spool") if path.is_file()]
        texts(tmp_path, CANARY)
        recorder.drain()
        texts(tmp_path, CANARY)
    recorder.close()
    texts(tmp_path, CANARY)
    assert CANARY not in caplog.text
    assert len(SQLiteStorage(tmp_path / "store.db").query_events()) > 8


def texts(folder, canary):
    needles = [canary.encode(), canary.encode("utf-16-le")]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), f"{path} holds the text of a prompt"


def test_hooks_that_swallow_are_told_in_doctor(server, chat, store, monkeypatch, run_command):
    from tc_langchain import reports

    monkeypatch.setattr(faults, "strict", False)

    def broken(*_):
        raise KeyError("CANARY")

    monkeypatch.setattr(reports, "report", broken)
    chat().invoke("hello")
    store.flush()
    printed = run_command("doctor", "--quick", "--store", store.path).stdout
    assert "1 x" in printed
    assert "KeyError" in printed
    assert "CANARY" not in printed
    faults.after_fork()
