"""Engines that no listener of the host hears of.

SQLAlchemy has listeners on its classes: what a host puts on `Engine` or `Pool`, before or after, is for its own
databases, and would be called for each connection and each statement of ours.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry, Pool, QueuePool

from tc_core.foreign import foreign

_MOST_IDLE = 5


class _Swallowed(threading.local):
    error: BaseException | None = None


_swallowed = _Swallowed()


def raise_swallowed() -> None:
    """Raise the host's exception that struck on this thread where the pool of SQLAlchemy goes on without a word."""
    error, _swallowed.error = _swallowed.error, None
    if error is not None:
        raise error


class _PoolLog:
    """The log of a pool, which is told of whatever the pool swallows, and keeps what is the host's."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def error(self, *said: Any, **options: Any) -> None:
        error = sys.exc_info()[1]
        struck = None if error is None else foreign(error)
        if struck is None:
            self._log.error(*said, **options)
        else:
            _swallowed.error = struck

    exception = error


class _OwnConnection(Connection):
    _sa_propagate_class_events = False


class _OwnEngine(Engine):
    _sa_propagate_class_events = False
    _connection_cls = _OwnConnection


class OwnQueuePool(QueuePool):
    """A pool that does not swallow what is the host's."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger: Any = _PoolLog(self.logger)


class StackPool(Pool):
    """A pool without a limit, and without a lock: a signal's exception could leave one locked for good."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger: Any = _PoolLog(self.logger)
        self._idle: deque[ConnectionPoolEntry] = deque()
        self._is_disposed = False
        self._made: WeakValueDictionary[int, ConnectionPoolEntry] = WeakValueDictionary()

    def checkedin(self) -> int:
        """Return how many connections nobody uses."""
        return len(self._idle)

    def status(self) -> str:
        """Return what SQLAlchemy's log says of it."""
        return f"{type(self).__name__} with {len(self._idle)} idle connections"

    def recreate(self) -> "StackPool":
        """Return a new one like it, which knows the connections that this one has given out."""
        other = type(self)(self._creator, echo=self.echo, dialect=self._dialect, _dispatch=self.dispatch)
        other._made = self._made
        return other

    def is_open(self, name: str, value: object) -> bool:
        """Tell whether a connection is open, idle or in use, whose `info` has this value."""
        made = (each() for each in self._made.valuerefs())
        return any(each and each.dbapi_connection and each.info.get(name) == value for each in made)

    def dispose(self) -> None:
        """Close what nobody uses now, and what is in use when it is given back: nobody asks this pool again."""
        self._is_disposed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return self._idle.pop()
        except IndexError:
            record = self._create_connection()
            self._made[id(record)] = record
            return record

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if len(self._idle) >= _MOST_IDLE:
            record.close()
            return
        self._idle.append(record)
        if self._is_disposed:
            self.dispose()


def own_engine(
    url: str | URL, poolclass: type[Pool], on_connect: Callable[[Any, Any], object], **options: Any
) -> Engine:
    """Make an engine that hears of no listener on a class of SQLAlchemy's, whenever that is put there.

    `on_connect` is called with each new connection of the driver's.
    """
    engine = create_engine(url, poolclass=_deaf(poolclass), hide_parameters=True, **options)
    for each, kind in ((engine, _OwnEngine), (engine.dialect, _deaf(type(engine.dialect)))):
        each.__class__ = kind
        vars(each).pop("dispatch", None)  # made from the class before
        vars(each)["_has_events"] = False  # else what a host has put on the class says that there are some
    event.listen(engine, "connect", on_connect)
    return engine


_deaf_classes: dict[Any, Any] = {}


def _deaf(kind: Any) -> Any:
    """Return a class that is like another one, but has only the listeners of its own objects."""
    if kind in _deaf_classes:
        return _deaf_classes[kind]
    said = {"_sa_propagate_class_events": False, "__module__": __name__}
    if (caches := getattr(kind, "supports_statement_cache", None)) is not None:
        said["supports_statement_cache"] = caches  # which each dialect has to say for itself
    return _deaf_classes.setdefault(kind, type(kind.__name__, (kind,), said))
