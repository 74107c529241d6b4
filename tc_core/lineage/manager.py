"""TokenManager: usage with its provenance, recorded by hand, and what is asked of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from tc_core.errors import LineageError, ProvenanceError, StorageError
from tc_core.lineage.tree import tree
from tc_core.model import money
from tc_core.model.event import TrackingEvent
from tc_core.model.totals import Totals
from tc_core.model.usage import Usage
from tc_core.runtime.by_hand import CostRecord, record_call
from tc_core.runtime.recorders import open_storage
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

_DIMENSIONS = ("workflow_id", "session_id", "agent_id", "agent_type", "task_type", "intent", "environment")
_LABELS = ("conversation_id", "signal_type", "purpose", "prompt_template_id", "prompt_version", "system_version")
_TEXTS = ("input_hash", "output_hash")
_LISTS = ("signal_trail", "code_references", "document_references", "tags")
_REQUIRED = ("agent_id", "agent_type", "task_type", "intent")
_ASIDE = "provenance"
"""Where in an event's metadata lies what is neither a dimension nor a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProvenance:
    """Where one request comes from and what it was for: every field of the seed document.

    `request_id` is the id of the event, `parent_request_id` that of the one that caused it; `root_request_id` and
    `depth` follow from these and are filled when it is read. Raises ProvenanceError that names all faults at once.
    """

    request_id: str
    agent_id: str
    agent_type: str
    task_type: str
    intent: str
    id: str | None = None
    usage_id: str | None = None
    timestamp: datetime | None = None
    parent_request_id: str | None = None
    root_request_id: str | None = None
    depth: int = 0
    workflow_id: str | None = None
    session_id: str | None = None
    conversation_id: str | None = None
    signal_type: str = "unknown"
    signal_trail: Sequence[str] = ()
    purpose: str | None = None
    prompt_template_id: str | None = None
    prompt_version: str | None = None
    input_hash: str | None = None
    output_hash: str | None = None
    code_references: Sequence[str] = ()
    document_references: Sequence[str] = ()
    system_version: str | None = None
    environment: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [*_faults({each.name: getattr(self, each.name) for each in fields(self)})]
        if faults:
            raise ProvenanceError(faults)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            plain[each.name] = list(value) if each.name in _LISTS else value
        plain["timestamp"] = None if self.timestamp is None else self.timestamp.isoformat()
        return plain | {"metadata": dict(self.metadata)}


class TokenManager:
    """Tracks usage with its provenance, and answers from the whole history.

    `storage` is a store, a path or a URL; without it the default store is used. Raises StorageError for a storage of
    the user's own, which knows no lineage.
    """

    def __init__(self, storage: StorageBackend | str | Path | None = None) -> None:
        store = open_storage(storage)
        if not isinstance(store, SqlStore):
            raise StorageError(f"provenance is kept in SQLite and PostgreSQL, not in a {type(store).__name__}")
        self.storage = store

    def track_usage(self, usage: Mapping[str, Any]) -> CostRecord:
        """Record one request: `request_id`, `model`, `prompt_tokens`, `completion_tokens` and `provenance`.

        `provenance` is a mapping with the fields of `TokenProvenance`, of which agent, its type, the type of the task
        and the intent are required. `provider`, `user_id`, `project_id`, `team`, `feature` and `metadata` are optional.
        A parent may come later. Raises ProvenanceError that names all faults at once, and ValueError for tokens that no
        call can have.
        """
        given = usage.get("provenance")
        faults = [f"{name} is missing" for name in ("request_id", "model") if not usage.get(name)]
        faults += [
            f"{name} is no count" for name in ("prompt_tokens", "completion_tokens") if type(usage.get(name)) is not int
        ]
        if not isinstance(given, Mapping):
            raise ProvenanceError([*faults, "provenance is missing"])
        known = {each.name for each in fields(TokenProvenance)}
        faults += [f"{name!r} is no field of a provenance" for name in given if name not in known]
        said = {name: value for name, value in given.items() if name in known} | {"request_id": usage.get("request_id")}
        faults += [*_faults({**dict.fromkeys(_REQUIRED), **said})]
        if faults:
            raise ProvenanceError(list(dict.fromkeys(faults)))
        provenance = TokenProvenance(**said)
        labels = {name: getattr(provenance, name) for name in (*_DIMENSIONS, *_LABELS)}
        labels |= {name: usage.get(name) for name in ("user_id", "project_id", "team", "feature")}
        aside: dict[str, Any] = {name: list(getattr(provenance, name)) for name in _LISTS if getattr(provenance, name)}
        aside |= {name: getattr(provenance, name) for name in (*_TEXTS, "usage_id", "id") if getattr(provenance, name)}
        if provenance.metadata:
            aside["metadata"] = dict(provenance.metadata)
        return record_call(
            self.storage,
            usage["model"],
            Usage(usage["prompt_tokens"], usage["completion_tokens"]),
            provider=usage.get("provider"),
            event_id=provenance.request_id,
            parent_id=provenance.parent_request_id,
            timestamp=provenance.timestamp,
            metadata={**(usage.get("metadata") or {}), **({_ASIDE: aside} if aside else {})},
            latency_ms=usage.get("latency_ms"),
            status="ok",
            labels={name: value for name, value in labels.items() if value is not None},
        )

    def get_provenance(self, request_id: str) -> TokenProvenance:
        """Return what is known of a request; raise LineageError for one that is not recorded."""
        return _provenance(self._event(request_id))

    def get_lineage(self, request_id: str) -> dict[str, Any]:
        """Return the whole tree from the root, as `token-calc tree --json` has it; LineageError for an unknown id."""
        event = self._event(request_id)
        return tree(*self.storage.tree(event.root_id or event.event_id)).to_dict()

    def get_workflow_usage(self, workflow_id: str) -> dict[str, Any]:
        """Return tokens and cost of a workflow, in all and by agent and task; LineageError for an unknown one."""
        filters = {"workflow_id": workflow_id}
        return {"workflow_id": workflow_id, **self._sums(filters, f"workflow {workflow_id!r}", "agent_id", "task_type")}

    def analyze_task_costs(self, task_type: str) -> dict[str, Any]:
        """Return what a type of task costs, in all and by agent, model and intent; LineageError for an unknown one."""
        filters = {"task_type": task_type}
        sums = self._sums(filters, f"task {task_type!r}", "agent_id", "model", "intent")
        cost, calls = sums["total_cost"], sums["calls"]
        return {"task_type": task_type, **sums, "average_cost": None if cost is None else cost / calls}

    def costs_by(self, what: str, **filters: str) -> dict[str, dict[str, Any]]:
        """Return the tokens and the cost of the requests that name each value of `what`, the dearest first.

        `what` is `tags`, `signal_trail`, `code_references` or `document_references`; a request that names several
        counts for each of them. Raises ValueError for anything else.
        """
        if what not in _LISTS:
            raise ValueError(f"what must be one of {', '.join(_LISTS)}, not {what!r}")
        found: dict[str, list[TrackingEvent]] = {}
        for event in self.storage.query_events(filters):
            for value in dict.fromkeys(_aside(event).get(what) or ()):
                found.setdefault(value, []).append(event)
        sums = {
            value: _plain(
                len(events),
                sum(event.total_tokens or 0 for event in events),
                [event.cost_nanos for event in events if event.cost_nanos is not None],
            )
            for value, events in found.items()
        }
        return dict(sorted(sums.items(), key=lambda item: (-(item[1]["total_cost"] or 0), item[0])))

    def _event(self, request_id: str) -> TrackingEvent:
        event = self.storage.get_event(request_id) if request_id else None
        if event is None:
            raise LineageError(f"no request {request_id!r} is recorded")
        return event

    def _sums(self, filters: dict[str, str], named: str, *groups: str) -> dict[str, Any]:
        whole = self.storage.totals((), filters).get(())
        if whole is None or not whole.calls:
            raise LineageError(f"no call of {named} is recorded")
        found = _of_totals(whole)
        for group in groups:
            totals = self.storage.totals([group], filters)
            found[f"by_{group.removesuffix('_id').removesuffix('_type')}"] = {
                key or "": _of_totals(each) for (key,), each in totals.items() if each.calls
            }
        return found


def _faults(said: Mapping[str, Any]) -> Iterable[str]:
    for name in ("request_id", *_REQUIRED):
        if said.get(name) in (None, ""):
            yield f"{name} is missing"
    for name, value in said.items():
        check = _CHECKS.get(name, _is_text)
        if value is not None and not (check(value) or (value == "" and name in ("request_id", *_REQUIRED))):
            yield f"{name} cannot be {value!r:.60}"
    parent = said.get("parent_request_id")
    if parent is not None and parent == said.get("request_id"):
        yield "parent_request_id is the request itself"
    if parent is None and type(said.get("depth")) is int and said["depth"] > 0:
        yield "a request without a parent has the depth 0"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_LISTS, _is_list),
    "timestamp": lambda value: isinstance(value, datetime),
    "depth": lambda value: type(value) is int and value >= 0,
    "metadata": lambda value: isinstance(value, Mapping),
}


def _aside(event: TrackingEvent) -> Mapping[str, Any]:
    found = event.metadata.get(_ASIDE)
    return found if isinstance(found, Mapping) else {}


def _provenance(event: TrackingEvent) -> TokenProvenance:
    """Return an event as a provenance; what a framework has recorded lacks some of it, which is `unknown`."""
    aside = _aside(event)
    further: dict[str, Any] = {
        **{name: getattr(event, name) for name in _DIMENSIONS if name not in _REQUIRED},
        **{name: event.labels[name] for name in _LABELS if event.labels.get(name)},
        **{name: aside[name] for name in (*_TEXTS, *_LISTS, "metadata") if name in aside},
    }
    return TokenProvenance(
        request_id=event.event_id,
        id=aside.get("id") or event.event_id,
        usage_id=aside.get("usage_id") or event.event_id,
        timestamp=event.timestamp,
        parent_request_id=event.parent_id,
        root_request_id=event.root_id or event.event_id,
        depth=event.depth,
        agent_id=event.agent_id or "unknown",
        agent_type=event.agent_type or "unknown",
        task_type=event.task_type or "unknown",
        intent=event.intent or "unknown",
        **further,
    )


def _of_totals(totals: Totals) -> dict[str, Any]:
    cost = totals.known_cost_nanos
    return _plain(totals.calls, totals.input_tokens + totals.output_tokens, [] if cost is None else [cost])


def _plain(calls: int, tokens: int, nanos: Sequence[int]) -> dict[str, Any]:
    return {"calls": calls, "total_tokens": tokens, "total_cost": money.to_dollars(sum(nanos)) if nanos else None}
