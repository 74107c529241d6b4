"""Writing relations between events."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from tc_core.errors import CycleError, LineageError
from tc_core.model import ids
from tc_core.model.ports import Link
from tc_core.store.engine.database import Database, chunks
from tc_core.store.schema.tables import SEED_KEYS, RelationRow, body_key, canonical_json, table
from tc_core.store.write.places import Places

_RELATION = table(RelationRow)
_COLUMNS = ("source", "relation", "target", "origin", "confidence", "details")


class RelationWriter:
    """Writes the relations of one transaction.

    A relation closes a cycle only if its newer end is already the older end of another one. That is rare, since
    relations are told by the newer event at its end; only then the way from one end to the other is searched.
    """

    def __init__(self, connection: Connection, database: Database, places: Places) -> None:
        self._connection = connection
        self._database = database
        self._places = places
        self._rows: list[tuple[Any, ...]] = []
        self._targets: set[int] = set()

    def write(self, links: Sequence[Link]) -> dict[str, int]:
        """Write relations that were observed; return how many could not be kept, by why."""
        refused: dict[str, int] = {}
        self._look_up(links)
        for link in links:
            try:
                self._add(link)
            except LineageError as error:
                why = f"relation {link.relation}: {type(error).__name__}"
                refused[why] = refused.get(why, 0) + 1
        self._flush()
        return refused

    def relate(self, link: Link, metadata: Mapping[str, Any]) -> None:
        """Write one relation by hand; raise LineageError or CycleError where it cannot be."""
        self._look_up([link])
        details = None
        if metadata:
            body = canonical_json(metadata)
            details = body_key(body)
            self._database.insert_missing(self._connection, "metadata_body", ("id", "body"), [(details, body)])
        self._add(link, details)
        self._flush()

    def _look_up(self, links: Sequence[Link]) -> None:
        """Look up the events, and which of the newer ends are already the older end of a relation."""
        self._places.find(id_ for link in links for id_ in (link.source, link.target))
        known = {link.source for link in links} - self._places.new
        sources = [self._places[id_].key for id_ in known if id_ in self._places]
        for some in chunks(sources):
            found = select(_RELATION.c.target).where(_RELATION.c.target.in_(some)).distinct()
            self._targets.update(self._connection.execute(found).scalars())

    def _add(self, link: Link, details: int | None = None) -> None:
        for id_ in (link.source, link.target):
            if id_ not in self._places:
                raise LineageError(f"no event {ids.to_text(id_)} is recorded")
        source, target = self._places[link.source].key, self._places[link.target].key
        if source == target or (source in self._targets and self._leads_to(target, source)):
            raise CycleError(f"{link.relation} from {ids.to_text(link.source)} would close a cycle")
        relation, origin = SEED_KEYS["relation", link.relation], SEED_KEYS["relation_source", link.origin]
        self._rows.append((source, relation, target, origin, link.confidence, details))
        self._targets.add(target)

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._database.insert_missing(self._connection, "relation", _COLUMNS, rows)

    def _leads_to(self, start: int, goal: int) -> bool:
        """Tell whether relations lead from one event to another."""
        self._flush()
        seen, frontier = {start}, [start]
        while frontier:
            found = {
                target
                for some in chunks(frontier)
                for (target,) in self._connection.execute(
                    select(_RELATION.c.target).where(_RELATION.c.source.in_(some))
                )
            }
            if goal in found:
                return True
            frontier = list(found - seen)
            seen |= found
        return False
