"""What one transaction changes of events, for the parts that keep sums of their own in it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from tc_core.model.event import EventRecord
from tc_core.model.part import Booked, Change
from tc_core.model.scope import DIMENSIONS, Scope
from tc_core.model.usage import Usage
from tc_core.store.engine.interning import InternedTexts, Term
from tc_core.store.write import rows

_NO_USAGE = Usage()
_TEXTS = ("event_type", "status", "provider", "model", *DIMENSIONS)

Labels = Mapping[str, str]


class _Revision(NamedTuple):
    row: Row[Any]
    before: rows.Values
    after: rows.Values
    labels: Labels
    new_labels: Labels


class EventChanges:
    """Gathers what is inserted and revised; texts are looked up only when somebody asks for the changes."""

    def __init__(self) -> None:
        self._new: list[EventRecord] = []
        self._revised: list[_Revision] = []

    def insert(self, records: Iterable[EventRecord]) -> None:
        """Note new events."""
        self._new.extend(records)

    def revise(
        self, row: Row[Any], before: rows.Values, after: rows.Values, labels: Labels, new_labels: Labels
    ) -> None:
        """Note that a row's columns have changed; both are columns of `rows.REVISED`."""
        self._revised.append(_Revision(row, before, after, labels, new_labels))

    def found(self, connection: Connection, interned: InternedTexts, made: Mapping[Term, int]) -> list[Change]:
        """Return all changes; `made` are the keys that this transaction has looked up or made itself."""
        changes = [Change(record.id, record.at_us, None, _of_record(record)) for record in self._new]
        if self._revised:
            texts = self._texts(connection, interned, made)
            changes += [
                Change(
                    each.row.id,
                    each.row.at,
                    _of_row(each.before, each.labels, texts),
                    _of_row(each.after, each.new_labels, texts),
                )
                for each in self._revised
            ]
        return [change for change in changes if change.before != change.after]

    def _texts(self, connection: Connection, interned: InternedTexts, made: Mapping[Term, int]) -> dict[int, str]:
        places = [rows.REVISED.index(name) for name in _TEXTS]
        wanted = {each[place] for row in self._revised for each in (row.before, row.after) for place in places} - {None}
        own = {key: value for (_, value), key in made.items() if key in wanted}  # not committed: no cache may have them
        known = interned.values(connection, wanted - own.keys())
        return {key: own[key] if key in own else known[key] for key in wanted}


def _of_record(record: EventRecord) -> Booked | None:
    if record.status == "open":
        return None
    return Booked(
        record.event_type,
        record.status,
        record.provider,
        record.model,
        record.scope,
        record.usage or _NO_USAGE,
        record.cost_nanos,
        record.latency_us,
        record.charges_nanos,
    )


def _of_row(values: rows.Values, labels: Labels, texts: Mapping[int, str]) -> Booked | None:
    column = dict(zip(rows.REVISED, values, strict=True))
    text = {name: None if column[name] is None else texts[column[name]] for name in _TEXTS}
    status = text["status"]
    if status is None or status == "open":
        return None
    return Booked(
        text["event_type"] or "",
        status,
        text["provider"],
        text["model"],
        Scope.of([text[name] for name in DIMENSIONS], labels),
        Usage(*(column[name] for name in rows.USAGE_COLUMNS)),
        column["cost_nanos"],
        column["latency_us"],
        column["charges_nanos"],
    )
