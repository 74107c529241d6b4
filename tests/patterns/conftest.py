"""What the tests of patterns share: calls, tools and agents recorded at times of one's own."""

from contextlib import contextmanager

import pytest

from tc_core import SQLiteStorage, flush
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts

START_US = 1_750_000_000_000_000
SYSTEM = Segment("system", "text", "You are a helpful agent that books flights for its users, and never lies. " * 100)


def clock(number):
    """The same instructions with another time in them, which weighs the same."""
    return Segment("system", "text", f"It is {10 + number % 50}:{10 + number % 50}. " + SYSTEM.body)


def user(text):
    return Segment("user", "text", text)


def said(text):
    return Segment("assistant", "text", text)


def asked(name, **arguments):
    return Segment("assistant", "tool_call", [name, arguments])


def brought(text):
    return Segment("tool", "tool_result", text)


def schemas(*names):
    return Segment("system", "tool_schema", [{"name": name, "parameters": {"to": "string"}} for name in names])


class Story:
    """Records what happens at `now_s` seconds; a call takes one second, a tool a tenth, unless told otherwise."""

    def __init__(self, store):
        self.store, self.recorder = store, recorder_for(store)
        self.now_s = 0.0
        self._innermost = None

    @property
    def at_us(self):
        return START_US + round(self.now_s * 1_000_000)

    def wait(self, seconds):
        self.now_s += seconds

    def call(self, prompt, *answer, tokens=1_000, cached=None, written=None, output=10, model="gpt-4o", **asked):
        """Record a call, and return its id; `status="error"` has it fail without usage."""
        key, takes_s = object(), asked.pop("takes_s", 1.0)
        status, billed = asked.pop("status", "ok"), asked.pop("billed", None)
        metadata, provider = asked.pop("metadata", None), asked.pop("provider", None)
        at_us = asked.pop("at_us", None) or self.at_us
        id_ = self.recorder.start(
            "llm_call",
            key=key,
            parent=self._innermost,
            model=model,
            provider=provider,
            content=list(prompt),
            labels=asked,
            at_us=at_us,
        )
        self.now_s = max(self.now_s, (at_us - START_US) / 1_000_000 + takes_s)
        if status == "ok":
            usage = Usage(tokens, output, cached, written)
            output_ = list(answer)
            end_us = at_us + round(takes_s * 1_000_000)
            self.recorder.finish(key, usage=usage, output=output_, metadata=metadata, at_us=end_us)
        else:
            usage = None if billed is None else Usage(billed, 0)
            end_us = at_us + round(takes_s * 1_000_000)
            self.recorder.fail(key, status=status, error_type="RateLimitError", usage=usage, at_us=end_us)
        return id_

    def tool(self, name, text, *, takes_s=0.1, status="ok"):
        key = object()
        id_ = self.recorder.start("tool", key=key, parent=self._innermost, name=name, at_us=self.at_us)
        self.now_s += takes_s
        if status == "ok":
            self.recorder.finish(key, output=[brought(text)], at_us=self.at_us)
        else:
            self.recorder.fail(key, error_type="ToolError", at_us=self.at_us)
        return id_

    @contextmanager
    def within(self, event_type, name, **labels):
        """What is recorded in the block hangs under an event; gives the id."""
        key, above = object(), self._innermost
        id_ = self.recorder.start(event_type, key=key, parent=above, name=name, labels=labels, at_us=self.at_us)
        self._innermost = key
        try:
            yield id_
        finally:
            self._innermost = above
            self.recorder.finish(key, at_us=self.at_us)

    def run(self, name="trip", **labels):
        return self.within("workflow", name, **labels)

    def asks_a_tool(self, history, name, text, *, pause_s=0.0, takes_s=0.1, tokens=1_000, agent_id=None, **arguments):
        """One turn of an agent: a call that asks for a tool, and the tool; returns the call's id and the history."""
        ask = asked(name, **arguments)
        labels = {} if agent_id is None else {"agent_id": agent_id}
        id_ = self.call(history, ask, tokens=tokens, **labels)
        self.wait(pause_s)
        self.tool(name, text, takes_s=takes_s)
        return id_, [*history, ask, brought(text)]

    # Questions

    @property
    def analyzer(self):
        assert wait_for_parts(self.store, 30)
        return ProvenanceAnalyzer(self.store)

    def found(self, *kinds, **asked):
        return self.analyzer.patterns(kinds or None, **asked)

    def cost(self, *event_ids):
        flush(30)
        return sum(self.store.get_event(event_id).cost_nanos for event_id in event_ids)


@pytest.fixture
def story(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as store:
        yield Story(store)


@pytest.fixture
def each_story(each_store):
    return Story(each_store)
