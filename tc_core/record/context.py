"""What the user says about the code that is running: labels, session, workflow, and the innermost open event.

It lies in context variables, so it follows the program's flow: into tasks, and into threads whose
function went through `bind_context`.
"""

import contextvars
import copy
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast

from tc_core.model.ids import EventId
from tc_core.record.guard import attempt

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Here:
    """What holds at a point of the program: dimensions and labels by name, and the user's innermost open run."""

    values: Mapping[str, object] = field(default_factory=dict)
    innermost: Hashable | None = None
    """The run's key."""
    above: "Here | None" = None
    """What holds outside the block that made this."""
    block: object = None


_here: contextvars.ContextVar[Here] = contextvars.ContextVar("token_calculator_here", default=Here())  # noqa: B039  # frozen
here = _here.get
"""Returns what holds where it is called; it is called for every run, so nothing lies between."""


class Block(ABC):
    """Something that holds for a block of code: `with`, `async with`, or a decorator.

    Nothing about what holds is kept in the object, so that it may be entered again, and in several threads and tasks at
    once. As a decorator it opens anew for each call of a function, coroutine or generator. A generator is covered
    while it runs; between two items nothing leaks to whoever consumes it.
    """

    def _open(self) -> None:  # noqa: B027  # nothing to do for most blocks
        """Begin."""

    def _close(self, error: BaseException | None) -> None:  # noqa: B027  # the same
        """End; `error` is what the block raised."""

    @abstractmethod
    def _changed(self, before: Here) -> Here:
        """Return what holds inside the block."""

    def __enter__(self) -> Self:
        self._open()
        self._enter()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._leave()
        self._close(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:  # noqa: D102  # told above
        return cast("F", _decorated(self, function))

    def _enter(self) -> None:
        before = _here.get()
        _here.set(replace(self._changed(before), above=before, block=self))

    def _leave(self) -> None:
        here = _here.get()
        if here.block is self and here.above is not None:  # else closed in another context than it ran in
            _here.set(here.above)

    def _again(self) -> Self:
        return copy.copy(self)


class labels(Block):  # noqa: N801  # used like a function
    """Give labels to everything recorded inside; a name of a dimension (`agent_id`, ...) fills that.

    >>> with labels(user_id="u-17", feature="search"):
    ...     ...
    """

    def __init__(self, **values: object) -> None:
        super().__init__()
        self._values: Mapping[str, object] = values

    def _changed(self, before: Here) -> Here:
        return Here({**before.values, **self._values}, before.innermost)


class session(labels):  # noqa: N801  # used like a function
    """Book everything recorded inside under a session, that is a conversation or thread."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id=session_id)


class Books(Protocol):
    """What keeps reservations."""

    def rename(self, event_id: EventId, other: EventId) -> None:
        """Have what is reserved under an id be reserved under another one."""


class Reserved:
    """Something that was reserved by hand for the first call that a recorder sees in a block."""

    def __init__(self, event_id: EventId, recorder: object, books: Books) -> None:
        self.event_id, self.recorder, self.books = event_id, recorder, books
        self.budgets: frozenset[int] = frozenset()
        """Those on which it is reserved."""
        self.is_taken = False

    def take(self) -> EventId | None:
        """Return the id that the call's event takes, once."""
        is_first, self.is_taken = not self.is_taken, True
        return self.event_id if is_first else None

    def hand_over(self, event_id: EventId) -> bool:
        """Have it be reserved under the id of a call; tell whether that is the first."""
        is_first = self.take() is not None
        if is_first:
            attempt(self.books.rename, self.event_id, event_id)
        return is_first


reserved: contextvars.ContextVar[Reserved | None] = contextvars.ContextVar("token_calculator_reserved", default=None)
"""What was reserved by hand where this is asked."""


hosts: dict[str, Callable[[], Hashable | None]] = {}
"""For each framework, what tells the key of the run that it is in where this is called."""


_catch_ups: dict[str, Callable[[], object]] = {}


Note = Callable[..., object]
"""Takes note of an HTTP request of a model call: `retry`, `status`, `latency_us`, `report`, as `Recorder.attempt`."""

_callers: dict[str, Callable[[], Note | None]] = {}


def register(
    name: str,
    current: Callable[[], Hashable | None],
    *,
    catch_up: Callable[[], object] | None = None,
    caller: Callable[[], Note | None] | None = None,
) -> None:
    """Make known how a framework's innermost run is found, so that runs of others can hang under it.

    `catch_up` is for a framework that tells of its runs later, on threads of its own: it is called before a question to
    the store is answered, and waits, for a short while, until all is told. `caller` is for one that cannot set
    `requesting` where its models are asked: it returns what takes note of the requests of the model call that is open
    where it is called, or None outside of any.
    """
    hosts[name] = current
    if catch_up is not None:
        catch_up_by(name, catch_up)
    if caller is not None:
        _callers[name] = caller


def catch_up_by(name: str, catch_up: Callable[[], object]) -> None:
    """Have something called before a question to the store is answered."""
    _catch_ups[name] = catch_up


def host_runs() -> list[Hashable]:
    """Return the keys of the runs, one of a framework at most, in which this is called."""
    return [key for current in list(hosts.values()) if (key := attempt(current)) is not None]


def catch_up_hosts() -> None:
    """Have the frameworks tell what they have not told yet."""
    for each in list(_catch_ups.values()):
        attempt(each)


requesting: contextvars.ContextVar[tuple[Any, Hashable] | None] = contextvars.ContextVar(
    "token_calculator_requesting", default=None
)
"""The recorder and the key of the model call that began last here; what is sent while it is open belongs to it."""


def caller(event_type: str | None) -> Note | None:
    """Return what takes note of a request of the framework's model call that is open here, or None outside of any.

    `event_type` is what the request asks for, None where that is not known: a question to a model is no part of a call
    for embeddings, nor the other way round.
    """
    belongs = requesting.get()
    if belongs is not None:
        recorder, key = belongs
        record = recorder.record(key) if recorder.is_open(key) else None
        if record is not None and event_type in (None, record.event_type):
            return functools.partial(recorder.attempt, key)
    found = (attempt(each) for each in list(_callers.values()))
    return next((note for note in found if note is not None), None)


def cutter() -> Callable[[], Exception | None] | None:
    """Return what tells with which error the stream of the model call that is open here is cut; None for no call.

    A framework that cannot end a stream itself has the client do it, by `Recorder.cut`.
    """
    belongs = requesting.get()
    if belongs is None or not getattr(belongs[0], "cuts_streams", False):
        return None
    return functools.partial(belongs[0].cut_of, belongs[1])


def bind_context(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function run with the labels, session and open events of this place, in whatever thread.

    >>> threading.Thread(target=bind_context(work)).start()
    """
    context = contextvars.copy_context()

    @functools.wraps(function)
    def bound(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)  # a context can be entered only once at a time

    return bound


def _decorated(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def asynchronous_items(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            return _drive_async(block._again(), function(*args, **kwargs))

        return asynchronous_items
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def items(*args: Any, **kwargs: Any) -> Iterator[Any]:
            return _drive(block._again(), function(*args, **kwargs))

        return items
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            with block._again():
                return await function(*args, **kwargs)

        return asynchronous

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with block._again():
            return function(*args, **kwargs)

    return plain


def _drive(block: Block, generator: Any) -> Generator[Any, Any, Any]:
    """Run a generator so that the block holds during each of its steps, and only then."""
    block._open()
    step, argument = generator.send, None
    try:
        while True:
            block._enter()
            try:
                item = step(argument)
            except StopIteration as end:
                block._close(None)
                return end.value
            finally:
                block._leave()
            try:
                step, argument = generator.send, (yield item)
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:  # noqa: BLE001  # the generator's own to handle
                step, argument = generator.throw, error
    except BaseException as error:
        block._close(error)
        raise


async def _drive_async(block: Block, generator: Any) -> AsyncIterator[Any]:
    block._open()
    step, argument = generator.asend, None
    try:
        while True:
            block._enter()
            try:
                item = await step(argument)
            except StopAsyncIteration:
                block._close(None)
                return
            finally:
                block._leave()
            try:
                step, argument = generator.asend, (yield item)
            except GeneratorExit:
                await generator.aclose()
                raise
            except BaseException as error:  # noqa: BLE001  # the same
                step, argument = generator.athrow, error
    except BaseException as error:
        block._close(error)
        raise
