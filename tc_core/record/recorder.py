"""The recorder: what hooks call. It notes, and leaves all work to the writer.

A run is known by its host's own id (`key`). On the caller's thread its facts go into the open table, into the spool
and into the queue; strings are kept by reference. Nothing here waits for the store.
"""

from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from tc_core.meter.usage import tells_both
from tc_core.model import ids
from tc_core.model.attempt import Attempt, answered
from tc_core.model.clock import clock
from tc_core.model.event import BROKEN_OFF, CALL_TYPES, EventRecord, Status
from tc_core.model.part import Part
from tc_core.model.ports import EventSink, Link
from tc_core.model.provenance import Relation, RelationSource
from tc_core.model.scope import EMPTY_SCOPE, Scope
from tc_core.model.segment import Content
from tc_core.model.usage import Report, Usage
from tc_core.record import context
from tc_core.record.asked_parts import AskedParts
from tc_core.record.guard import attempt, faults
from tc_core.record.inside import inside, undisturbed
from tc_core.record.label_texts import label_texts
from tc_core.record.listeners import Listener
from tc_core.record.open_runs import OpenRuns
from tc_core.record.pending import LooseLink, PendingEvent
from tc_core.record.spool import Spool
from tc_core.record.told import Told
from tc_core.record.work import as_open
from tc_core.record.writer import Writer

Key = Hashable
"""A host's own id of a run."""

MOST_OPEN = 10_000
MOST_SCOPES = 1_024
LEAF_SECONDS = 3600
PARENT_SECONDS = 24 * 3600
"""After so long without an end a run is given up as abandoned; a late end still replaces that."""

_SWEEP_EVERY = 1024
_NO_LABELS: Mapping[str, object] = {}
_NO_TEXTS: Mapping[str, str | None] = {}
_NOTHING = Usage(0, 0)


class Recorder(AskedParts):
    """Records the runs of one store; `scope` is what they are booked under unless something says otherwise."""

    def __init__(
        self,
        sink: EventSink,
        *,
        parts: Sequence[Part] = (),
        spool: Spool | None = None,
        listeners: list[Listener] | None = None,
        scope: Scope = EMPTY_SCOPE,
    ) -> None:
        super().__init__(parts)
        self.scope = scope
        self.writer = Writer(sink, parts, spool=spool, listeners=listeners)
        self.writer.may_rest = lambda: not self._open
        self.keeps_texts = self.writer.after.is_wanted
        """Whether a part reads texts: then adapters hand over all outputs, by reference."""
        self._runs = OpenRuns()
        self._open, self._ended = self._runs.open, self._runs.ended
        self._told = Told(self.writer, self._open)
        self._scopes: dict[tuple[object, ...], Scope] = {}  # so that events alike share one scope
        self._starts = 0
        self._calls: dict[str, int] = {}  # of each model, to learn from some how its tokens are counted

    def start(
        self,
        event_type: str,
        *,
        key: Key,
        event_id: str | ids.EventId | None = None,
        parent: Key | None = None,
        name: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        content: Content | None = None,
        labels: Mapping[str, object] = _NO_LABELS,
        at_us: int | None = None,
    ) -> str:
        """Note that a run begins, and return its event id.

        `event_id` is the host's id where that is a UUID (as text or its sixteen bytes). `parent` is the key of the run
        above. The run hangs under what is innermost and open here below that one, in whatever framework; without a
        parent, under the innermost of all, or is a root. `content` may be a callable, which is asked for the parts of
        the prompt only where they are needed. The same key again, while it is open, is the same run seen twice: its
        labels are laid over those it has. `at_us` says when it began, in microseconds since 1970, where the host tells
        that later.
        """
        if inside.is_busy:
            arguments = locals()
            known = self._open.get(key)
            id_ = self._new_id(key, event_id) if known is None else known.record.id
            inside.put_off.append(partial(Recorder.start, **{**arguments, "event_id": id_}))
            return ids.to_text(id_)
        began_us, started_ns = (clock.wall_ns() // 1000, clock.steady_ns()) if at_us is None else _moment(at_us)
        here, writer = context.here(), self.writer
        texts = _texts(here, labels)  # before the lock: a label may be an object whose `str` runs code of the program's
        # Hosts are asked before the lock, since one may have a lock of its own; a single one has named the parent.
        hosts = context.host_runs() if parent is None or len(context.hosts) > 1 else ()
        inside.is_busy = True
        try:
            with writer.lock:
                if key in self._open:
                    return self._seen_again(self._open[key], label_texts(labels))
                above = None if parent is None else self._runs.find(parent)
                if (hosts or here.innermost is not None) and (above is not None or parent is None):
                    above = self._runs.innermost(here, hosts, at_us, below=above)
                if above is not None:
                    base, parent_id = above.record.scope, above.record.id
                else:  # a parent that we do not know began before we were installed, or in the process that forked us
                    base, parent_id = self.scope, parent if type(parent) is bytes else None  # type: ignore[assignment]
                id_ = event_id if type(event_id) is bytes and key not in self._ended else self._new_id(key, event_id)
                scope = self._scope(base, texts) if texts else base
                record = EventRecord(id_, event_type, began_us, parent_id, scope, name, model, provider)
                self._open[key] = call = PendingEvent(key, record, above, started_ns, content)
                if above is not None and event_type in CALL_TYPES and above.record.event_type == event_type:
                    self._yield_to_inner(above)
                self._told.begins(call)
                self._starts += 1
                if not self._starts % _SWEEP_EVERY or len(self._open) > MOST_OPEN:
                    self._sweep()
        finally:
            inside.is_busy = False
            if inside.put_off:
                inside.catch_up()
        if event_type in CALL_TYPES:
            by_hand = context.reserved.get()
            if by_hand is not None and by_hand.recorder is self and not self.wants_to_admit:
                by_hand.hand_over(id_)  # else it was when the parts were asked, before or after this
        if writer.spool is not None:
            writer.wake()
        return ids.to_text(id_)

    def finish(
        self,
        key: Key,
        *,
        status: Status = "ok",
        error_type: str | None = None,
        usage: Usage | None = None,
        report: Report | None = None,
        model: str | None = None,
        output: Content | None = None,
        service_tier: str | None = None,
        is_cached: bool = False,
        at_us: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that a run has ended; `model` is the one that answered.

        `report` is what its provider says of usage, as `usage_part` has copied it, which the writer reads; `usage` are
        counts that are known already.
        `service_tier` is the kind of processing that the provider names where its price differs (`flex`, `batch`, ...).
        `is_cached` says that the host had the answer itself: nothing was sent, and nothing is paid. `at_us` says when
        it ended, where the host tells that later. `output` is the answer of a model, or what a tool or a retriever has
        brought; it may be a callable, as in `start`. `metadata` are facts of the host's in plain JSON values, never
        texts.
        """
        if inside.is_busy:
            inside.put_off.append(partial(Recorder.finish, **locals()))
            return
        ended_ns, writer = clock.steady_ns() if at_us is None else _moment(at_us)[1], self.writer
        inside.is_busy = True
        try:
            with writer.lock:
                call = self._open.get(key) or self._reopened(
                    key, status, is_told=usage is not None or report is not None
                )
                if call is None:
                    return
                record = call.record
                record.status, record.error_type = status, error_type
                record.latency_us = (ended_ns - call.started_ns) // 1000 if ended_ns > call.started_ns else 0
                if record.event_type not in CALL_TYPES:
                    usage = report = model = service_tier = None
                if record.model is None:
                    record.model = model
                elif model != record.model:
                    record.served_model = model
                if service_tier is not None:
                    record.service_tier = service_tier
                if metadata:
                    record.metadata = metadata
                if is_cached:
                    usage, report, record.cost_nanos, record.price_source = _NOTHING, None, 0, "cache"
                    call.attempt_reports = ()
                call.report = report
                if usage is not None or _is_told(call):
                    record.usage, record.usage_source = usage, "provider"
                    if self._is_sampled(record):
                        call.count_texts()
                    elif not self.keeps_texts:
                        call.content = None
                elif record.event_type in CALL_TYPES:
                    attempt(call.count_texts, output)
                if self.keeps_texts:
                    call.keep_texts(output)
                self._queue(call)
                self._cuts.pop(key, None)
                self._open.pop(key, None)  # only now: an interrupt (Ctrl-C) before leaves the run open
        finally:
            inside.is_busy = False
            if inside.put_off:
                inside.catch_up()
        writer.wake()

    def fail(
        self,
        key: Key,
        *,
        status: Status = "error",
        error_type: str | None = None,
        usage: Usage | None = None,
        report: Report | None = None,
        model: str | None = None,
        output: Content | None = None,
        at_us: int | None = None,
    ) -> None:
        """Note that a run has ended otherwise; `error_type` is the name of a type, never an error's text."""
        self.finish(
            key,
            status=status,
            error_type=error_type,
            usage=usage,
            report=report,
            model=model,
            output=output,
            at_us=at_us,
        )

    def link(
        self,
        source: Key,
        relation: Relation,
        target: Key,
        *,
        origin: RelationSource = "framework",
        confidence: float = 1.0,
    ) -> None:
        """Relate a run to an older one; both by key, or by event id."""
        if inside.is_busy:
            inside.put_off.append(partial(Recorder.link, **locals()))
            return
        with undisturbed(), self.writer.lock:
            link = Link(self._id_of(source), relation, self._id_of(target), origin, confidence)
            call = self._open.get(source)
            if call is not None:
                call.links = [*call.links, link]
                return
            self.writer.put(LooseLink(link, self._told.related(link)))
        self.writer.wake()

    def attempt(
        self, key: Key, *, retry: int, status: int | None, latency_us: int | None, report: Report | None = None
    ) -> bool:
        """Note an HTTP request of an open run; return False where there is none.

        `status` is None when no answer came. What its answer reports counts where the host hands over no report.
        """
        if inside.is_busy:
            inside.put_off.append(partial(Recorder.attempt, **locals()))
            return key in self._open
        with undisturbed(), self.writer.lock:
            call = self._open.get(key)
            if call is None:
                return False
            call.attempts = [*call.attempts, Attempt(len(call.attempts) + 1, retry, status, latency_us)]
            call.attempt_reports = [*call.attempt_reports, report]
        return True

    def place(self, record: EventRecord, labels: Mapping[str, object] = _NO_LABELS) -> PendingEvent:
        """Book an event under what holds here; one without a parent hangs under the innermost open run."""
        here = context.here()
        texts = _texts(here, labels)
        is_inside = inside.is_busy  # a hook inside another one waits for no lock
        hosts = () if record.parent_id is not None or is_inside else context.host_runs()
        with undisturbed(), nullcontext() if is_inside else self.writer.lock:
            innermost = self._open.get(here.innermost)
            if record.parent_id is None:
                above = self._runs.innermost(here, hosts)
            else:  # one that names the block it stands in, as a parent
                above = innermost if innermost is not None and innermost.record.id == record.parent_id else None
            if above is not None:
                record.parent_id = above.record.id
            record.scope = self._scope(self.scope if above is None else above.record.scope, texts)
        return PendingEvent(record.id, record, above)

    def add(self, call: PendingEvent) -> None:
        """Record an event that is whole."""
        if inside.is_busy:
            inside.put_off.append(partial(Recorder.add, **locals()))
            return
        with undisturbed(), self.writer.lock:
            self._queue(call)
        self.writer.wake()

    def forget(self, key: Key) -> None:
        """Take back a run that has begun, and of which nothing was done: it is no event, and no call."""
        with undisturbed(), self.writer.lock:
            call = self._open.pop(key, None)
            if call is None:
                return
            self._told.is_none(call)
        self.withdraw(call.record.id)

    def scope_here(self, parent: Key | None, labels: Mapping[str, object] = _NO_LABELS) -> Scope:
        """Return the dimensions and labels that a call would get here, under a run."""
        return self.place_here(parent, labels)[0]

    def place_here(
        self, parent: Key | None, labels: Mapping[str, object] = _NO_LABELS
    ) -> tuple[Scope, ids.EventId | None]:
        """Return the dimensions and labels that a call would get here, and the id of the run that it is part of.

        That is what `start` would do with the same parent; None where the call would be a run of its own.
        """
        here = context.here()
        texts, is_inside = _texts(here, labels), inside.is_busy
        hosts = () if is_inside or (parent is not None and len(context.hosts) < 2) else context.host_runs()
        with undisturbed(), nullcontext() if is_inside else self.writer.lock:
            above = None if parent is None else self._runs.find(parent)
            if (hosts or here.innermost is not None) and (above is not None or parent is None):
                above = self._runs.innermost(here, hosts, below=above)
            base = self.scope if above is None else above.record.scope
            scope = self._scope(base, texts) if texts else base
        while above is not None and above.parent is not None:
            above = above.parent
        return scope, None if above is None else above.record.id

    def is_open(self, key: Key) -> bool:
        """Tell whether a run has begun and not ended."""
        return key in self._open

    def record(self, key: Key) -> EventRecord | None:
        """Return what is known of a run that is open, or ended a short while ago."""
        call = self._runs.find(key)
        return None if call is None else call.record

    def innermost(self) -> Key | None:
        """Return the key of the innermost run that is open where this is called, in whatever framework."""
        here, hosts = context.here(), context.host_runs()
        with undisturbed(), self.writer.lock:
            found = self._runs.innermost(here, hosts)
        return None if found is None else found.key

    def line(self, key: Key) -> list[EventRecord]:
        """Return an open run and what it hangs under here, the highest first, each as it was at its start."""
        with undisturbed(), self.writer.lock:
            found, line = self._open.get(key), list[EventRecord]()
            while found is not None:
                line.append(as_open(found.record))
                found = found.parent
        return line[::-1]

    # Life

    def drain(self, timeout: float = 5.0) -> bool:
        """Bring the store up to date; return whether that was possible within `timeout` seconds."""
        if not self.writer.is_own_thread:
            context.catch_up_hosts()
        return self.writer.drain(timeout)

    def stop(self, timeout: float = 5.0) -> bool:
        """Drain, and while nothing is open keep neither a thread nor a file; return whether all is written."""
        context.catch_up_hosts()
        return self.writer.drain(timeout) if self._open else self.writer.stop(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Give up what is open, and rest: the process ends."""
        context.catch_up_hosts()
        with undisturbed(), self.writer.lock:
            for key in list(self._open):
                self._give_up(key)
        return self.stop(timeout)

    def after_fork(self) -> None:
        """In a child process: nothing is open, nothing queued."""
        self._runs.clear()
        self._told.clear()
        self.writer.after_fork()

    # Starting

    def _new_id(self, key: Key, event_id: str | ids.EventId | None) -> ids.EventId:
        if event_id is None:
            return ids.new_id()
        if key in self._ended:
            faults.note("a run id was used again")
            return ids.new_id()
        return ids.from_text(event_id) if isinstance(event_id, str) else event_id

    def _seen_again(self, call: PendingEvent, texts: Mapping[str, str | None]) -> str:
        if texts:
            call.record.scope = call.record.scope.extended(texts)
        return ids.to_text(call.record.id)

    def _scope(self, base: Scope, texts: Mapping[str, str | None]) -> Scope:
        """Return a scope with labels laid over it."""
        said = (base, *texts, *texts.values())
        scope = self._scopes.get(said)
        if scope is None:
            if len(self._scopes) >= MOST_SCOPES:
                self._scopes.clear()
            scope = self._scopes[said] = base.extended(texts)
        return scope

    def _id_of(self, key: Key) -> ids.EventId:
        call = self._runs.find(key)
        if call is not None:
            return call.record.id
        return key if isinstance(key, bytes) else ids.from_text(str(key))

    def _yield_to_inner(self, call: PendingEvent) -> None:
        """Make a call that asks for another one inside itself a step around it: only the inner one sends a request."""
        record = call.record
        if record.status != "open":
            return
        record.event_type, record.name, record.model, call.content = "task", record.name or record.model, None, None
        self._told.begins(call)

    # Ending

    def _is_sampled(self, record: EventRecord) -> bool:
        """Tell whether the texts of a call are kept although its tokens are known: ever fewer of each model."""
        if record.event_type != "llm_call" or record.model is None:
            return False
        if len(self._calls) > MOST_SCOPES:
            self._calls.clear()
        number = self._calls[record.model] = self._calls.get(record.model, 0) + 1
        return not number & (number - 1)  # 1, 2, 4, 8, ...

    def _reopened(self, key: Key, status: Status, *, is_told: bool) -> PendingEvent | None:
        """Return a run again whose end says more than what was noted, or None when there is nothing to add."""
        call = self._ended.get(key)
        if call is None:
            faults.note("an end without a start")
            return None
        record = call.record
        knows_more = record.status == "abandoned" or (is_told and record.usage_source != "provider")
        goes_further = record.status in BROKEN_OFF and status not in BROKEN_OFF
        if not (knows_more or goes_further):
            return None  # the same end, seen through a second handler
        content = call.content  # first: the writer, which may be at work on it, forgets it only after counting
        again = replace(record, status="open", error_type=None, cost_nanos=None, price_source=None, price_date=None)
        if again.usage_source != "provider":
            again.usage = again.usage_source = None
        return PendingEvent(
            key,
            again,
            started_ns=call.started_ns,
            content=content,
            input_characters=call.input_characters,
            is_again=True,
        )

    def _queue(self, call: PendingEvent) -> None:
        """Spool a run that has ended, queue it for the writer, and remember it for a while."""
        self._told.ends(call)
        self.writer.put(call)
        self._runs.remember(call)

    # Giving up

    def _sweep(self) -> None:
        """Give up runs that have been open too long, and the oldest when there are too many."""
        now_ns = clock.steady_ns()
        for key, call in list(self._open.items()):
            limit = LEAF_SECONDS if call.record.event_type in CALL_TYPES else PARENT_SECONDS
            if now_ns - call.started_ns > limit * 1_000_000_000:
                self._give_up(key)
        if len(self._open) > MOST_OPEN:  # some more than must be, so that it is not to be done for each
            leaves = (key for key, call in self._open.items() if call.record.event_type in CALL_TYPES)
            for key in list(islice(leaves, MOST_OPEN // 100 + 1)) or [next(iter(self._open))]:
                self._give_up(key)

    def _give_up(self, key: Key) -> None:
        call = self._open.pop(key)
        call.record.status, call.content, call.output = "abandoned", None, None
        self._queue(call)


def _texts(here: context.Here, labels: Mapping[str, object]) -> Mapping[str, str | None]:
    """Return the texts of what holds here, with labels laid over it."""
    if here.values:  # what a host leaves open does not take away what holds here
        labels = {**here.values, **{name: value for name, value in labels.items() if value is not None}}
    return label_texts(labels) if labels else _NO_TEXTS


def _is_told(call: PendingEvent) -> bool:
    """Tell at a glance whether a call's own report, or those of all requests that were answered, have both counts."""
    if call.report is not None:
        return tells_both(call.report)
    parts = [part for each, part in zip(call.attempts, call.attempt_reports, strict=True) if answered(each)]
    return bool(parts) and all(part is not None and tells_both(part) for part in parts)


def _moment(at_us: int) -> tuple[int, int]:
    """Return a moment gone by, as microseconds since 1970 and as nanoseconds of the steady clock."""
    return at_us, clock.steady_ns() - max(clock.wall_ns() // 1000 - at_us, 0) * 1000
