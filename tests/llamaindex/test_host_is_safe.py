"""The host never sees an error of ours, keeps its own ways, and none of its texts is written anywhere."""

import gc
import inspect
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_fixed

import tc_core
import tc_llamaindex
from tc_core import CostTracker, InMemoryStorage, SQLiteStorage, instrument
from tc_core.demo.script import Step
from tc_core.runtime.recorders import recorder_for
from tc_llamaindex import TokenCalculatorHandler
from tc_llamaindex.embeddings import Embeddings
from tc_llamaindex.spans import Spans
from tc_llamaindex.streams import Streams
from tests.llamaindex.scenarios import MESSAGES, function_agent


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


EVENTS = [
    *("LLMChatStartEvent", "LLMChatInProgressEvent", "LLMChatEndEvent", "LLMCompletionStartEvent"),
    *("LLMCompletionInProgressEvent", "LLMCompletionEndEvent", "EmbeddingStartEvent", "EmbeddingEndEvent"),
    *("ExceptionEvent", "SpanCancelledEvent", "SpanDropEvent", "QueryEndEvent"),
]
FIELDS = ["model_dict", "messages", "prompt", "additional_kwargs", "response", "chunks", "exception", "tags", "id_"]
SPANS = ["OpenAI.chat", "W.run", "W.step", "X.run_agent_step", "OpenAIEmbedding.get_text_embedding", "T.acall"]
KEYS = [f"{name}-00000000-0000-4000-8000-00000000000{number}" for number, name in enumerate(SPANS)]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.binary(max_size=20),
    st.builds(Hostile),
    st.builds(object),
    st.builds(RuntimeError),
    st.builds(GeneratorExit),
)
names = st.sampled_from(
    [
        "model_name",
        "class_name",
        "tools",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "session",
        "ev",
        "messages",
        "args",
    ]
)
garbage = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(names, inner, max_size=4),
        st.builds(
            SimpleNamespace,
            raw=inner,
            message=inner,
            additional_kwargs=inner,
            delta=inner,
            text=inner,
            role=inner,
            blocks=inner,
            metadata=inner,
            node=inner,
            node_id=inner,
        ),
    ),
    max_leaves=8,
)


class Odd(MockLLM):
    """A model among the garbage."""


class OddWorkflow(Workflow):
    """A workflow among the garbage."""

    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        """Do nothing."""
        return StopEvent()


instances = st.one_of(st.none(), garbage, st.builds(Odd), st.builds(OddWorkflow), st.just(function_agent))


@st.composite
def events(draw):
    """An event as LlamaIndex tells it, with garbage in the places that it lets through."""
    name, fields = draw(st.sampled_from(EVENTS)), {field: draw(garbage) for field in FIELDS}
    if draw(st.booleans()):
        fields["model_dict"] = {"model_name": "gpt-4o"}
    key = draw(st.one_of(st.sampled_from(KEYS), st.none(), garbage))
    return SimpleNamespace(class_name=lambda: name, span_id=key, **fields)


@st.composite
def steps(draw):
    """A call of one of the hooks."""
    hook = draw(st.sampled_from(["handle", "new_span", "prepare_to_exit_span", "prepare_to_drop_span"]))
    if hook == "handle":
        return hook, {"event": draw(st.one_of(events(), garbage))}
    arguments = SimpleNamespace(arguments=draw(st.one_of(st.dictionaries(names, garbage, max_size=3), garbage)))
    given_ = {"id_": draw(st.one_of(st.sampled_from(KEYS), garbage)), "bound_args": arguments}
    given_["instance"] = draw(instances)
    if hook == "new_span":
        parent = draw(st.one_of(st.none(), st.sampled_from(KEYS), garbage))
        return hook, {**given_, "parent_span_id": parent, "tags": draw(garbage)}
    return hook, {**given_, ("result" if hook == "prepare_to_exit_span" else "err"): draw(garbage)}


@pytest.mark.swallows
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps(), min_size=1, max_size=8))
def test_no_payload_gets_an_error_past_a_hook(calls):
    store = InMemoryStorage()
    handler = TokenCalculatorHandler(CostTracker(store), agent_id="a")
    for hook, arguments in calls:
        getattr(handler, hook)(**arguments)
    store.query_events()
    recorder_for(store).close()
    store.query_events()
    store.totals(["model", "agent_id"])


@pytest.mark.swallows
async def test_after_any_garbage_a_good_call_is_recorded(make, store):
    handler = TokenCalculatorHandler(CostTracker(store))
    for name in EVENTS:
        for value in (None, 7, "text", {}, [], Hostile()):
            handler.handle(SimpleNamespace(class_name=lambda name=name: name, **dict.fromkeys(FIELDS, value)))
            handler.handle(
                SimpleNamespace(class_name=lambda name=name: name, span_id=KEYS[0], **dict.fromkeys(FIELDS, value))
            )
    store.flush()
    before = store.aggregate("calls", filters={"model": "gpt-4o-mini"})[()]
    make.chat().chat(MESSAGES)
    await function_agent(make).run("hello")
    assert store.aggregate("calls", filters={"model": "gpt-4o-mini"})[()] == before + 2


# Coming and going


async def test_after_uninstrument_no_handler_of_ours_is_called(make, store, monkeypatch):
    called = []
    for hook in ("handle", "new_span", "prepare_to_exit_span", "prepare_to_drop_span"):
        monkeypatch.setattr(TokenCalculatorHandler, hook, lambda *_, hook=hook, **__: called.append(hook))
    make.chat().chat(MESSAGES)
    assert set(called) == {"handle", "new_span", "prepare_to_exit_span"}
    called.clear()
    tc_core.uninstrument()
    make.chat().chat(MESSAGES)
    await function_agent(make).run("hello")
    assert called == []


def test_the_lists_of_the_host_are_as_they_were(tmp_path):
    dispatcher = get_dispatcher()
    before = [*dispatcher.event_handlers], [*dispatcher.span_handlers]
    instrument(tmp_path / "a.db")
    instrument(tmp_path / "b.db")
    assert len(dispatcher.event_handlers) == len(before[0]) + 1
    assert len(dispatcher.span_handlers) == len(before[1]) + 1
    handler = TokenCalculatorHandler().attach()
    tc_core.uninstrument()
    assert any(each is handler for each in dispatcher.event_handlers)  # somebody else's stays
    handler.detach()
    assert [id(each) for each in dispatcher.event_handlers] == [id(each) for each in before[0]]
    assert [id(each) for each in dispatcher.span_handlers] == [id(each) for each in before[1]]


def test_instrument_begins_again_and_changes_the_store(make, store, tmp_path):
    model = make.chat()
    model.chat(MESSAGES)
    tc_core.uninstrument()
    model.chat(MESSAGES)
    assert store.aggregate("calls") == {(): 1}
    tc_llamaindex.instrument(store)
    tc_llamaindex.instrument(store)
    model.chat(MESSAGES)
    assert store.aggregate("calls") == {(): 2}
    other = SQLiteStorage(tmp_path / "other.db")
    tc_llamaindex.instrument(other)
    model.chat(MESSAGES)
    assert (store.aggregate("calls"), other.aggregate("calls")) == ({(): 2}, {(): 1})
    other.close()


def test_a_run_that_is_open_when_we_come_or_go_is_no_trouble(make, store):
    stream = make.chat().stream_chat(MESSAGES)
    next(stream)
    tc_core.uninstrument()
    list(stream)
    another = make.chat().stream_chat(MESSAGES)
    next(another)
    instrument(store)
    list(another)
    assert len(store.query_events({"status": "ok"})) == 0


def test_importing_the_adapter_imports_no_framework(run_python):
    program = """
import sys, tc_llamaindex
print(any(name.startswith(("llama_index", "workflows")) for name in sys.modules))
tc_llamaindex.TokenCalculatorHandler
print("llama_index_instrumentation" in sys.modules, "llama_index.core" in sys.modules)
import tc_core
tc_core.instrument("costs.db")
from llama_index.core.llms import MockLLM
MockLLM(max_tokens=2).complete("hello")
tc_core.flush()
print(tc_core.CostTracker("costs.db").get_costs().total_calls)
"""
    assert run_python(program).split() == ["False", "True", "False", "1"]


def test_a_program_that_instruments_before_its_imports_is_recorded(run_python):
    program = """
import tc_core
tc_core.instrument("costs.db")
from llama_index.core.llms import MockLLM
MockLLM(max_tokens=2).complete("hello")
tc_core.flush()
print(tc_core.CostTracker("costs.db").get_costs().total_calls)
"""
    assert run_python(program).split() == ["1"]


def test_doctor_tells_how_the_tokens_of_streams_are_known(store, run_command):
    printed = " ".join(run_command("doctor", "--quick", "--store", store.path).stdout.split())
    assert "llama-index-core 0.14" in printed
    assert "'stream_options': {'include_usage': True}" in printed


# Growth


async def test_three_hundred_runs_leave_nothing_behind(store, monkeypatch):
    """With a model in this process, and with short memories of what has ended, so that all that grows is a leak."""
    monkeypatch.setattr("tc_llamaindex.spans.MOST_LEFT", 50)
    monkeypatch.setattr("tc_core.record.open_runs.MOST_ENDED", 50)
    recorder = recorder_for(store)
    spans = Spans.of(recorder)
    model = MockLLM(max_tokens=3)
    engine = VectorStoreIndex.from_documents(
        [Document(text="alpha")], embed_model=MockEmbedding(embed_dim=8), transformations=[]
    ).as_query_engine(llm=model)
    report = Quiet(timeout=10, disable_validation=True)

    async def runs(count):
        for number in range(count):
            engine.query("what?")
            model.stream_chat(MESSAGES)  # never read
            next(iter(model.stream_chat(MESSAGES)))  # never read to its end
            if not number % 3:
                await report.run(model=model)
        store.flush()
        gc.collect()

    await runs(50)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await runs(300)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not recorder._open
    assert not spans.open
    assert not spans.generators
    assert not Streams.of(recorder).open
    assert not Embeddings._of[recorder]
    assert len(spans.left) == 50
    assert after - before < 400_000  # about a kilobyte for each run


class Quiet(Workflow):
    """Asks a model, and fails at times."""

    @step(retry_policy=retry_policy(wait=wait_fixed(0.0), stop=stop_after_attempt(2)))
    async def ask(self, ev: StartEvent) -> StopEvent:
        """Ask."""
        await ev.model.achat(MESSAGES)
        return StopEvent()


def test_tables_are_bounded_when_spans_never_end(store):
    recorder = recorder_for(store)
    spans = Spans.of(recorder)
    handler = TokenCalculatorHandler(CostTracker(store))
    arguments = inspect.signature(lambda: None).bind()
    for number in range(10_100):
        handler.new_span(f"X.f-{number:036}", arguments)
    assert len(spans.open) == 10_000
    assert len(spans.left) == 100
    spans.open.clear()


# Privacy

CANARY = "CANARY-7f3a9b"


async def test_no_text_is_in_any_file_we_write(tmp_path, monkeypatch, caplog, server, make):
    """Prompts, answers, passages, tool arguments and results, agents' instructions, tags, step inputs and errors."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    instrument(tmp_path / "store.db")
    recorder = recorder_for(tmp_path / "store.db")

    def look_up(what: str) -> str:
        """Look something up: CANARY-7f3a9b."""
        return f"found {CANARY}"

    class Secret(Workflow):
        @step
        async def open(self, ev: StartEvent) -> StopEvent:
            raise RuntimeError(f"{CANARY} {ev.secret}")

    model = make.chat("gpt-4o", additional_kwargs={}, api_key=CANARY)
    options = {"llm": model, "system_prompt": CANARY, "description": CANARY}
    alice = function_agent(make, "alice", tools=[look_up], can_handoff_to=["bob"], **options)
    bob = function_agent(make, "bob", tools=[look_up], **options)
    server.push(
        Step(tool_calls=[("look_up", {"what": CANARY})]),
        Step(tool_calls=[("handoff", {"to_agent": "bob", "reason": CANARY})]),
        Step(text=CANARY),
        Step(status=400, text=f"what is {CANARY}?"),
    )
    with instrument_tags({CANARY: CANARY, "secret": CANARY}):
        await AgentWorkflow(agents=[alice, bob], root_agent="alice").run(CANARY)
        with pytest.raises(Exception, match=CANARY):
            model.chat([ChatMessage(content=CANARY)])
        with pytest.raises(Exception, match=CANARY):
            await Secret().run(secret=CANARY)
        documents = [Document(text=f"{CANARY} {n}", metadata={"title": CANARY, CANARY: "x"}) for n in range(2)]
        index = VectorStoreIndex.from_documents(documents, embed_model=make.embed(http_client=None))
        server.push(Step(text=f"It is {CANARY}."))
        answer = index.as_query_engine(llm=model, streaming=True).query(CANARY)
        assert CANARY in "".join(answer.response_gen)
        assert [path for path in tmp_path.rglob("*.spool") if path.is_file()]
        texts(tmp_path)
        recorder.drain()
        texts(tmp_path)
    recorder.close()
    texts(tmp_path)
    assert CANARY not in caplog.text
    assert len(SQLiteStorage(tmp_path / "store.db").query_events()) > 15


def texts(folder):
    needles = [CANARY.encode(), CANARY.encode("utf-16-le")]
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), f"{path} holds the text of a prompt"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_records_like_its_parent(server, store, run_python, make):
    program = f"""
import os, sys
import tc_core
from llama_index.llms.openai import OpenAI
from llama_index.core.llms import ChatMessage
tc_core.instrument({str(store.path)!r})
model = OpenAI(model="gpt-4o-mini", api_base={server.base_url!r}, api_key="x", max_retries=0, reuse_client=False)
model.chat([ChatMessage(content="in the parent")])
child = os.fork()
model.chat([ChatMessage(content="in both")])
tc_core.flush()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    run_python(program)
    assert store.aggregate("calls") == {(): 3}
    assert store.totals()[()].input_tokens == sum(exchange.tokens.prompt for exchange in server.exchanges)
