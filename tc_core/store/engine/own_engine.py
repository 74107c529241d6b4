"""Engines that no listener of the host hears of.

SQLAlchemy has listeners on its classes: what a host puts on `Engine` or `Pool`, before or after, is for its own
databases, and would be called for each connection and each statement of ours.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import Pool


class _OwnConnection(Connection):
    _sa_propagate_class_events = False


class _OwnEngine(Engine):
    _sa_propagate_class_events = False
    _connection_cls = _OwnConnection


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


@cache
def _deaf(kind: type) -> Any:
    """Return a class that is like another one, but has only the listeners of its own objects."""
    said = {"_sa_propagate_class_events": False, "__module__": __name__}
    if (caches := getattr(kind, "supports_statement_cache", None)) is not None:
        said["supports_statement_cache"] = caches  # which each dialect has to say for itself
    return type(kind.__name__, (kind,), said)
