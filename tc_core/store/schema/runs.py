"""How the events of a run are found."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, or_


def in_runs(event: FromClause, roots: Any) -> ColumnElement[bool]:
    """Return the condition that an event belongs to one of some runs: a root, or what hangs below it.

    `roots` are keys of rows, or a question for them. The index by root has no roots: their own keys find them.
    """
    of_root = event.c.key.in_(roots) & event.c.parent.is_(None)
    return or_(of_root, and_(event.c.root.in_(roots), event.c.parent.is_not(None)))
