"""What the ledger's tests share: recording prompts by hand, and asking where their tokens came from."""

import pytest

from tc_core import SQLiteStorage
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

SYSTEM = Segment("system", "text", "You are a helpful agent that books flights for its users, and never lies. " * 8)
SCHEMAS = Segment("system", "tool_schema", [{"name": "search", "parameters": {"to": "string", "from": "string"}}])


def user(text):
    return Segment("user", "text", text)


def said(text):
    return Segment("assistant", "text", text)


def asked(name, **arguments):
    return Segment("assistant", "tool_call", [name, arguments])


def brought(text):
    return Segment("tool", "tool_result", text)


LONG = "Flight LH 123 leaves at 10:40 and arrives at 12:15; one stop, 4 seats left, no refund. " * 12


class Ledger:
    """A store, and calls that are recorded into it."""

    def __init__(self, store):
        self.store, self.recorder = store, recorder_for(store)
        self.analyzer = ProvenanceAnalyzer(store)

    def call(self, prompt, answer, *, tokens=None, cached=None, parent=None, model="gpt-4o", status="ok", **labels):
        """Record a call, and return its id."""
        key = object()
        id_ = self.recorder.start("llm_call", key=key, parent=parent, model=model, content=list(prompt), labels=labels)
        usage = None if tokens is None else Usage(tokens, 10, cached)
        if status == "ok":
            self.recorder.finish(key, usage=usage, output=list(answer))
        else:
            self.recorder.fail(key, status=status, error_type="Error", usage=usage)
        return id_

    def tool(self, name, text, *, parent=None, kind="tool"):
        """Record what a tool or a retriever has brought, and return its id."""
        key = object()
        id_ = self.recorder.start(kind, key=key, parent=parent, name=name)
        self.recorder.finish(key, output=[brought(text)])
        return id_

    def waterfall(self, **asked):
        return self.analyzer.waterfall(**asked)

    def relations(self):
        """Return what content has said: pairs of ids, by relation."""
        assert wait_for_parts(self.store, 60)
        found = {}
        for each in self.store.relationships(hints=True):
            assert each.source == "content"
            found.setdefault(each.relation, set()).add((each.source_id, each.target_id))
        return found


@pytest.fixture
def ledger(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield Ledger(store)


@pytest.fixture
def each_ledger(each_store):
    """A ledger in each kind of store that lasts."""
    return Ledger(each_store)


def of(waterfall):
    """Return the rows by their names."""
    return {row.name: row for row in waterfall.rows}
