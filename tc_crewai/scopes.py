"""What is known of runs that are open: CrewAI's scopes, by the id of the event that began each.

CrewAI hands events to us in a pool of threads, so that an end may come before its start and a child before its parent.
Each scope is found by ids that the events themselves carry. A tree is forgotten as a whole, some time after its root
has ended: what began inside it may be handled later than its end.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

from tc_core.adapter import Recorder, Report
from tc_crewai.history import History

MOST_SCOPES = 10_000
MOST_OVER = 100
MOST_EARLY = 1_000
MOST_WAITING = 100
"""How many ends and requests wait for one start."""
MOST_FAILED = 100
EARLY_SECONDS = 30.0

EarlyKey = str | tuple[str | None, tuple[str | None, ...]]
"""What came too early waits under the id of its start or its call, else under the start's type and identity."""

_EXECUTIONS = frozenset({"crew_kickoff_started", "flow_started"})
"""What keeps CrewAI's state of an execution alive while it runs; when that is gone, nothing more will be told."""


@dataclass(slots=True, eq=False)
class Admitted:
    """A model call that was let through, under an id for each store."""

    ids: Mapping[Recorder, bytes]
    agent_id: str | None = None
    is_made: bool = False


@dataclass(slots=True, eq=False)
class Scope:
    """A span of CrewAI's, recorded or only known for what lies below it."""

    key: str
    """The id of the event that began it: the key of the run."""
    type: str
    above: "Scope | None"
    identity: tuple[str | None, ...]
    """What its start and its end have in common: the ids of task and agent first."""
    call_id: str | None = None
    began_us: int = 0
    event_type: str | None = None
    """What it is recorded as; None for what is not recorded."""
    recorders: tuple[Recorder, ...] = ()
    is_open: bool = False
    asked: list[Any] | None = None
    """The tool, and its arguments, that a model call runs by itself."""
    has_run_a_tool: bool = False
    """Whether an end of it has told what that tool brought."""
    bodies: list[Report | None] = field(default_factory=list)
    """Of a model call: what each answer to its HTTP requests says of usage."""
    request: tuple[object, ...] | None = None
    """What tells whether a later model call asks the same."""
    is_source_known: bool = True
    """Whether the event came from its source; one out of CrewAI's record does not say who emitted it."""
    embedder: Any = None
    admitted: Admitted | None = None
    """Of a model call: under which ids it was let through."""
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """What cannot be told before the source is known."""
    agents: dict[str, list["Scope"]] = field(default_factory=dict)
    """Of a task: the runs of each agent, in the order in which they began."""
    history: History | None = None
    """What has happened directly inside it, where that matters."""
    # of a root only
    members: "dict[str, Scope] | None" = None
    state: "ref[Any] | None" = None

    @property
    def recorded(self) -> "Scope | None":
        """The nearest recorded scope: itself, or one above."""
        scope: Scope | None = self
        while scope is not None and scope.event_type is None:
            scope = scope.above
        return scope

    @property
    def root(self) -> "Scope":
        """The scope above all."""
        scope = self
        while scope.above is not None:
            scope = scope.above
        return scope

    def within(self, type_: str) -> "Scope | None":
        """Return the nearest scope of a type: itself, or one above."""
        scope: Scope | None = self
        while scope is not None and scope.type != type_:
            scope = scope.above
        return scope


class Scopes:
    """The scopes of all open trees, and what came too early for them."""

    def __init__(self) -> None:
        self.by_key: OrderedDict[str, Scope] = OrderedDict()
        self.idle: OrderedDict[str, Scope] = OrderedDict()
        """Those that are not open: the first to go where there are too many."""
        self.over: OrderedDict[str, Scope] = OrderedDict()
        """Roots of trees in which nothing is open any more."""
        self.calls: dict[str, Scope] = {}
        self.tasks: dict[str, Scope] = {}
        self.open: dict[str, Scope] = {}
        self.early: OrderedDict[EarlyKey, tuple[float, list[Any]]] = OrderedDict()
        """Ends and requests that wait for their start, and when they came."""
        self.missing: OrderedDict[str, None] = OrderedDict()
        """Parents that were waited for in vain: they began before we listened."""
        self.gone: deque[Scope] = deque()
        """Roots whose execution is over: nothing of them will be told any more."""
        self.failed: OrderedDict[tuple[object, ...], tuple[str, int]] = OrderedDict()
        """Model calls outside of any run that have failed, by what they asked; and when."""
        self.roles: OrderedDict[str, str] = OrderedDict()
        """The role of each agent, by the agent's id."""
        self.refusals: OrderedDict[str, str] = OrderedDict()
        """The types of the errors by which parts have refused model calls, by the keys of these."""

        self.cut: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """Of streams that were cut: the type of the error, and what had come, by the ids of their calls."""
        self.admitted: deque[Admitted] = deque(maxlen=MOST_EARLY)
        """Model calls of agents that were let through, and have not begun."""
        self.admitted_as: OrderedDict[str, Admitted] = OrderedDict()
        """Model calls that were let through once they had begun, by their keys."""
        self.tripped: OrderedDict[str, Exception] = OrderedDict()
        """What calls of a run were refused with, by the key of its root."""

    def put_admitted(self, key: str, admitted: Admitted) -> None:
        """Note that a call was let through whose start may not have been handled yet."""
        self.admitted_as[key] = admitted
        if len(self.admitted_as) > MOST_EARLY:
            self.admitted_as.popitem(last=False)

    def take_admitted(self, scope: "Scope", here: Admitted | None) -> Admitted | None:
        """Return what a call that begins was let through as: by its key, by the context, or by its agent."""
        found = self.admitted_as.pop(scope.key, None)
        if found is not None:
            return found
        if here is None or here.is_made:
            agent_id = scope.identity[1] if len(scope.identity) > 1 else None
            waiting = (each for each in self.admitted if agent_id is not None and each.agent_id == agent_id)
            here = next((each for each in waiting if not each.is_made), None)
        if here is not None:
            here.is_made = True
            if here in self.admitted:
                self.admitted.remove(here)
        return here

    def trip(self, key: str, refusal: Exception) -> None:
        """Note that calls of a run are refused from now on."""
        self.tripped[key] = refusal
        if len(self.tripped) > MOST_FAILED:
            self.tripped.popitem(last=False)

    def note_refusal(self, key: str, error_type: str) -> None:
        """Note that a model call is refused, whose start may not have been handled yet."""
        self.refusals[key] = error_type
        if len(self.refusals) > MOST_EARLY:
            self.refusals.popitem(last=False)

    def note_cut(self, call_id: str, error_type: str, said: str) -> None:
        """Note that a stream was cut, whose call may not have been handled yet."""
        self.cut[call_id] = (error_type, said)
        if len(self.cut) > MOST_FAILED:
            self.cut.popitem(last=False)

    def add(self, scope: Scope, state: Any) -> None:
        """Take a scope in."""
        self.by_key[scope.key] = scope
        root = scope.root
        if root.members is None:
            root.members = {}
            if state is not None and scope.type in _EXECUTIONS:
                gone = self.gone
                root.state = ref(state, lambda _: gone.append(root))
        root.members[scope.key] = scope
        if scope.call_id is not None:
            self.calls[scope.call_id] = scope
        if scope.type == "task_started" and scope.identity[0] is not None:
            self.tasks[scope.identity[0]] = scope
        if scope.is_open:
            self.open[scope.key] = scope
            self.over.pop(root.key, None)
        else:
            self.idle[scope.key] = scope
        while len(self.by_key) > MOST_SCOPES:
            self.remove(next(iter((self.idle or self.by_key).values())))

    def close(self, scope: Scope) -> None:
        """Note that a scope has ended; where nothing of its tree is open any more, that may be forgotten."""
        scope.is_open = False
        if self.open.pop(scope.key, None) is not None:
            self.idle[scope.key] = scope
        root = scope.root
        if root.is_open or any(each.is_open for each in (root.members or {}).values()):
            return
        self.over[root.key] = root
        while len(self.over) > MOST_OVER:
            self.forget_tree(next(iter(self.over.values())))

    def forget_over(self) -> None:
        """Forget the trees in which nothing is open: all that was emitted is handled."""
        while self.over:
            self.forget_tree(next(iter(self.over.values())))

    def forget_tree(self, root: Scope) -> None:
        """Forget a root and all below it."""
        members, root.members, root.state = root.members or {}, None, None
        self.over.pop(root.key, None)
        for scope in members.values():
            self.remove(scope)

    def remove(self, scope: Scope) -> None:
        """Forget one scope."""
        for table in (self.open, self.idle, self.by_key, scope.root.members):
            if table is not None:
                table.pop(scope.key, None)
        if scope.call_id is not None and self.calls.get(scope.call_id) is scope:
            del self.calls[scope.call_id]
        task_id = scope.identity[0] if scope.type == "task_started" else None
        if task_id is not None and self.tasks.get(task_id) is scope:
            del self.tasks[task_id]

    def put_early(self, key: EarlyKey, now: float, item: Any) -> None:
        """Keep what came before its start."""
        waiting = self.early.get(key)
        items = [] if waiting is None else waiting[1]
        items.append(item)
        self.early[key] = (now, items[-MOST_WAITING:])
        self.early.move_to_end(key)
        while self.early and (len(self.early) > MOST_EARLY or self._is_stale(now)):
            self.early.popitem(last=False)

    def take_early(self, *keys: EarlyKey | None) -> list[Any]:
        """Return what came before its start."""
        found = [self.early.pop(key) for key in keys if key is not None and key in self.early]
        return [item for _, items in found for item in items]

    def note_missing(self, key: str) -> None:
        """Note that a scope was waited for in vain."""
        self.missing[key] = None
        if len(self.missing) > MOST_EARLY:
            self.missing.popitem(last=False)

    def remember_failed(self, request: tuple[object, ...], key: str, at_us: int) -> None:
        """Note that a model call outside of any run has failed."""
        self.failed[request] = (key, at_us)
        if len(self.failed) > MOST_FAILED:
            self.failed.popitem(last=False)

    def learn_role(self, agent_key: str | None, role: str | None) -> None:
        """Remember the role of an agent, since some events tell only the one with inputs filled in."""
        if agent_key is None or role is None:
            return
        self.roles[agent_key] = role
        self.roles.move_to_end(agent_key)
        if len(self.roles) > MOST_EARLY:
            self.roles.popitem(last=False)

    def find_open(self, type_: str, identity: tuple[str | None, ...]) -> Scope | None:
        """Return the open scope of a type that began last and is about the same."""
        found = (each for each in reversed(self.open.values()) if each.type == type_ and each.identity == identity)
        return next(found, None)

    def find_agent(self, task_id: str, agent_id: str | None) -> Scope | None:
        """Return the open run of an agent in a task, else the open task."""
        for each in reversed(self.open.values()):
            if each.type == "agent_execution_started" and each.identity[:2] == (task_id, agent_id):
                return each
        task = self.tasks.get(task_id)
        return task if task is not None and task.is_open else None

    def find_crew(self, state: Any) -> Scope | None:
        """Return the crew of an execution, if it is the only one that is open or was a short while ago."""
        if state is None:
            return None
        crews = [each for each in self.by_key.values() if each.type == "crew_kickoff_started"]
        found = [crew for crew in crews if (of := crew.root.state) is not None and of() is state]
        found = [crew for crew in found if crew.is_open] or found
        return found[0] if len(found) == 1 else None

    def _is_stale(self, now: float) -> bool:
        return now - next(iter(self.early.values()))[0] > EARLY_SECONDS


Sinks = Mapping[Recorder, Mapping[str, object]]
"""The recorders to tell, each with the labels that its listeners give."""
