"""The chains that are open: what hangs under what, and what follows on a failure.

LangChain makes a run of every step of a chain. Only graphs, nodes, agents and roots are recorded; the others are
known here while they are open, so that what lies below them finds the recorded run above.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tc_core.adapter import Meter, Recorder, Segment
from tc_langchain import host

RunKey = bytes
"""The sixteen bytes of a run id."""

MOST_CHAINS = 10_000

FALLBACKS = "RunnableWithFallbacks"


@dataclass(slots=True, eq=False)
class Chain:
    """An open chain."""

    recorded: RunKey | None
    """The nearest recorded run: itself, or one above."""
    above: "Chain | None"
    is_recorded: bool = False
    is_fallbacks: bool = False
    is_agent_model: bool = False
    """Whether middlewares of an agent may ask a model again here."""
    failed: RunKey | None = None
    """The model call inside that failed last, and that nothing has followed yet."""
    repeats: RunKey | None = None
    """The failed model call that this chain, as a whole, tries again."""
    task: str | None = None
    """What a graph calls this step of it, in each of its attempts; None for what is no node."""
    failed_tasks: "dict[str, Chain] | None" = None
    """The nodes below that have failed, by their tasks."""


@dataclass(slots=True, eq=False)
class ToolCall:
    """A tool that a model has asked for: by which model call, and the run of it that failed last."""

    asked_by: RunKey
    failed: RunKey | None = None


@dataclass(slots=True, eq=False)
class Watched:
    """A stream that may be cut: what watches it, and the texts that have come."""

    meter: Meter
    pieces: list[str] = field(default_factory=list)


class Runs:
    """The open chains of one recorder, shared by all its handlers."""

    _of: ClassVar["WeakKeyDictionary[Recorder, Runs]"] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.chains: OrderedDict[RunKey, Chain] = OrderedDict()
        self.tool_calls: OrderedDict[str, ToolCall] = OrderedDict()
        """The tool calls that models have asked for and that have not succeeded yet, by their ids."""
        self.batched: set[RunKey] = set()
        """Runs of completion models that were asked several prompts at once."""
        self.streamed: dict[RunKey, Mapping[str, Any]] = {}
        """What the last chunk of an open stream reports; empty where chunks report parts, which LangChain adds up."""
        self.asked: dict[RunKey, Mapping[str, Any]] = {}
        """What the requests of open calls ask for that changes their price, where they do."""
        self.watched: dict[RunKey, Watched] = {}
        """The streams of open calls that may be cut."""
        self.cut: dict[RunKey, Sequence[Segment]] = {}
        """What had come of streams that are cut: LangChain hands on all but the last piece, or nothing."""
        self._batch = threading.local()

    @classmethod
    def of(cls, recorder: Recorder) -> "Runs":
        """Return the open chains of a recorder."""
        return cls._of.setdefault(recorder, cls())

    @classmethod
    def recorded(cls, key: RunKey) -> RunKey:
        """Return the nearest recorded run of any recorder: the run itself, or one above."""
        found = (runs.chains.get(key) for runs in list(cls._of.values()))
        return next((chain.recorded for chain in found if chain is not None and chain.recorded is not None), key)

    def parent(self, above_key: RunKey | None) -> RunKey | None:
        """Return the key of the recorded run above a run."""
        if above_key is None:
            return None
        chain = self.chains.get(above_key)
        return above_key if chain is None else chain.recorded

    def open(self, key: RunKey, above_key: RunKey | None, *, name: str | None, repeats: bool) -> Chain:
        """Note that a chain begins, or return it when another handler has; `is_recorded` is for the caller to set."""
        known = self.chains.get(key)
        if known is not None:
            return known
        above = None if above_key is None else self.chains.get(above_key)
        chain = Chain(
            recorded=self.parent(above_key),
            above=above,
            is_fallbacks=name == FALLBACKS,
            repeats=above.failed if repeats and above is not None else None,
        )
        self.chains[key] = chain
        if len(self.chains) > MOST_CHAINS:
            self.chains.popitem(last=False)
        return chain

    def tried_again(self, chain: Chain, task: str) -> RunKey | None:
        """Note that a node begins; return the failed run of it that it tries again, as a retry policy has it do."""
        chain.task = task
        failed = chain.above.failed_tasks if chain.above is not None else None
        before = failed.pop(task, None) if failed else None
        if before is None:
            return None
        chain.repeats = before.failed
        return before.recorded

    def has_failed(self, key: RunKey) -> None:
        """Note that a chain has failed."""
        chain = self.chains.get(key)
        if chain is not None and chain.task is not None and chain.above is not None:
            chain.above.failed_tasks = {**(chain.above.failed_tasks or {}), chain.task: chain}

    def close(self, key: RunKey) -> bool:
        """Note that a chain has ended; return whether it was recorded."""
        chain = self.chains.pop(key, None)
        return chain is not None and chain.is_recorded

    def asked_for(self, tool_call_ids: Sequence[str], key: RunKey) -> None:
        """Note that a model call asks for tools."""
        for each in tool_call_ids:
            self.tool_calls[each] = ToolCall(key)
        while len(self.tool_calls) > MOST_CHAINS:
            self.tool_calls.popitem(last=False)

    def begin_batched(self, key: RunKey) -> None:
        """Note that one of several prompts begins; all of them do before the first ends."""
        self.batched.add(key)
        self._batch.is_counted = False

    def is_counted(self, key: RunKey, *, is_told: bool) -> bool:
        """Tell whether one of several prompts is counted already: LangChain gives the usage of all to the first.

        The ends of a batch come one after another on one thread, the first first.
        """
        if key not in self.batched:
            return False
        self.batched.discard(key)
        if is_told:
            self._batch.is_counted = True
            return False
        return getattr(self._batch, "is_counted", False)

    def failed(self, key: RunKey, above_key: RunKey | None) -> None:
        """Note that a model call has failed."""
        chain = None if above_key is None else self.chains.get(above_key)
        while chain is not None:
            chain.failed = key
            chain = None if chain.is_recorded and not chain.is_fallbacks else chain.above

    def repeated(self, above_key: RunKey | None, *, repeats: bool) -> RunKey | None:
        """Return the failed call that a model call which begins now tries again."""
        chain = None if above_key is None else self.chains.get(above_key)
        if chain is not None and repeats:
            failed, chain.failed = chain.failed, None
            return failed
        while chain is not None:
            if chain.repeats is not None:
                repeated, chain.repeats = chain.repeats, None
                return repeated
            chain = chain.above
        return None

    def replaced(self, above_key: RunKey | None) -> RunKey | None:
        """Return the failed call in whose place a model call begins now, as a fallback."""
        chain = None if above_key is None else self.chains.get(above_key)
        while chain is not None:
            if chain.is_fallbacks and chain.failed is not None:
                failed, chain.failed = chain.failed, None
                return failed
            chain = chain.above
        return None

    def followed(self, above_key: RunKey | None) -> RunKey | None:
        """Return the failed call after which a middleware of an agent asks a model again."""
        chain = None if above_key is None else self.chains.get(above_key)
        if chain is None or not chain.is_agent_model:
            return None
        failed, chain.failed = chain.failed, None
        return failed


_config = host.CURRENT.find()


def current() -> RunKey | None:
    """Return the key of the recorded run in which this is called, or None outside of any.

    LangChain hands the run down in a context variable, which is not public: the only place where we read it.
    """
    config = None if _config is None else _config.get()
    callbacks = None if config is None else config.get("callbacks")
    run_id = getattr(callbacks, "parent_run_id", None)
    return None if run_id is None else Runs.recorded(run_id.bytes)
