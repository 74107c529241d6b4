"""A framework that nobody here has heard of: its adapter is a package of its own, and the core is not touched."""

import json
from pathlib import Path

import pytest

from tc_core import SQLiteStorage
from tc_core.lineage.tree import tree

FRAMEWORK = '''
"""A framework: it runs steps, and tells who listens."""

__version__ = "2.5.1"
listeners = []


class step:
    """A step of a chain."""

    def __init__(self, name, model=None, prompt=None):
        self.name, self.model, self.prompt = name, model, prompt

    def __enter__(self):
        for each in listeners:
            each.began(self)
        return self

    def __exit__(self, *_error):
        for each in listeners:
            each.ended(self, {"read": 30, "wrote": 5} if self.model else None)
'''

ADAPTER = '''
"""Records chainlet, with nothing but what adapters are built on."""

from contextvars import ContextVar

from tc_core.adapter import Segment, Usage, never_raises, recorder_for, register

FRAMEWORK = "chainlet"
TESTED = ("2.1", "2.4")
ADVICE = ["chainlet tells everything"]

_inside = ContextVar("tc_chainlet_inside", default=())
_listener = None


def current():
    """Return the key of the innermost step."""
    return _inside.get()[-1] if _inside.get() else None


class Listener:
    """Told of each step."""

    def __init__(self, storage):
        self.recorder = recorder_for(storage)
        register("chainlet", current)

    @never_raises
    def began(self, step):
        key, content = id(step), [Segment("user", "text", step.prompt)] if step.prompt else None
        type_ = "llm_call" if step.model else "task"
        self.recorder.start(type_, key=key, parent=current(), name=step.name, model=step.model, content=content)
        _inside.set((*_inside.get(), key))

    @never_raises
    def ended(self, step, said):
        _inside.set(_inside.get()[:-1])
        self.recorder.finish(id(step), usage=Usage(said["read"], said["wrote"]) if said else None)


def instrument(storage=None):
    """Listen."""
    global _listener
    import chainlet

    uninstrument()
    _listener = Listener(storage)
    chainlet.listeners.append(_listener)


def uninstrument():
    """Listen no more."""
    global _listener
    import chainlet

    if _listener is not None:
        chainlet.listeners.remove(_listener)
    _listener = None
'''

PROGRAM = """
import tc_core
print("hooked", tc_core.instrument("costs.db"))
import chainlet
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
model = GenericFakeChatModel(messages=iter([AIMessage("hi", usage_metadata=usage)]))

def inside(_):
    with chainlet.step("chain"), chainlet.step("ask", model="gpt-4o", prompt="why?"):
        pass

RunnableLambda(inside, name="outer").invoke("x")
with chainlet.step("around"):
    model.invoke("hello")
tc_core.uninstrument()
with chainlet.step("unseen", model="gpt-4o"):
    pass
print("listeners", chainlet.listeners)
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages with the framework and its adapter."""
    site = tmp_path / "site"
    for name, version, entry_points in (
        ("chainlet", "2.5.1", ""),
        ("tc_chainlet", "0.1", "[tc_core.adapters]\nchainlet = tc_chainlet\n"),
    ):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)
    (site / "chainlet.py").write_text(FRAMEWORK)
    (site / "tc_chainlet.py").write_text(ADAPTER)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    return site


def test_it_is_hooked_when_it_is_imported_and_shares_one_lineage_with_the_others(site, run_python):
    pytest.importorskip("langchain_core", reason="LangChain is not installed")
    said = run_python(PROGRAM)
    assert "'chainlet'" in said.splitlines()[0]
    assert said.splitlines()[-1] == "listeners []"
    with SQLiteStorage(Path("costs.db")) as store:
        found = [
            [(node.event.depth, node.event.event_type, node.event.name or node.event.model) for node in tree_of.walk()]
            for tree_of in (tree(*store.tree(run.event.event_id)) for run in reversed(store.runs()))
        ]
        assert [row[1:] for row in found[0]][-2:] == [("task", "chain"), ("llm_call", "ask")]
        total = store.totals()[()]
        assert (total.calls, total.input_tokens, total.output_tokens) == (2, 33, 7)
        inner = store.query_events({"event_type": "llm_call", "model": None})
        assert [store.get_event(event.parent_id).name for event in inner] == ["around"]


# Only the first has every framework tried out, which takes seconds and is the same whatever the version.
@pytest.mark.parametrize(
    ("version", "state", "options"),
    [
        ("2.5.1", "warning", []),
        ("2.0.9", "warning", ["--quick"]),
        ("3", "warning", ["--quick"]),
        ("2.1", "ok", ["--quick"]),
        ("2.4.17", "ok", ["--quick"]),
        ("2.3.0rc1", "ok", ["--quick"]),
    ],
)
def test_doctor_knows_it_and_warns_outside_the_versions_that_were_tested(site, version, state, options, run_command):
    metadata = site / "chainlet-2.5.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("2.5.1", version))
    findings = json.loads(run_command("doctor", "--json", *options).stdout)
    said = {(each["state"], each["said"]) for each in findings if each["subject"] == "chainlet"}
    assert said == {
        (state, f"chainlet {version}, tested from 2.1 to 2.4; hooked when chainlet is imported"),
        ("ok", "chainlet tells everything"),
    }


def test_without_the_framework_doctor_says_how_to_install_it(site, run_command, run_python):
    (site / "chainlet.py").unlink()
    findings = json.loads(run_command("doctor", "--json").stdout)
    (said,) = [each["said"] for each in findings if each["subject"] == "chainlet"]
    assert said.startswith("not installed (")
    assert "chainlet" not in run_python("import tc_core; print(tc_core.instrument('costs.db'))")
