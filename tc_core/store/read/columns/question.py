"""A question for sums, put to the columns that are kept: which columns it needs, and what of their numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from tc_core.model.event import CALL_TYPES
from tc_core.model.ports import Filters
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.read.columns.keeper import ColumnKeeper, DoubtError, Span
from tc_core.store.read.filters import ID_COLUMNS, TIME_GROUPS, as_list, is_label, label_name, spans_of
from tc_core.store.schema.days import US_PER_DAY, US_PER_HOUR

if TYPE_CHECKING:
    from tc_core.store.read.columns.answers import Condition, Group


class ColumnQuestion:
    """One question, as `Summing` has it."""

    def __init__(
        self, connection: Connection, interned: InternedTexts, group_by: Sequence[str], filters: Filters
    ) -> None:
        self._connection = connection
        self._interned = interned
        self._group_by = group_by
        self._filters = filters
        names = {*group_by, *filters} - set(TIME_GROUPS)
        self._labels = sorted({label_name(name) for name in names if is_label(name)})
        self._columns = {"labels" if is_label(name) else name for name in names}

    @property
    def _is_known(self) -> bool:
        """Whether columns have what is asked for: they have events that count where no other types are named."""
        if self._columns & ID_COLUMNS.keys():
            return False
        if "event_type" in self._filters:
            return set(as_list(self._filters["event_type"])) <= CALL_TYPES
        return "event_type" not in self._group_by

    def answer(self, keeper: ColumnKeeper, span: Span) -> list[tuple[Any, ...]] | None:
        """Return rows like those of the database, the groups' values and the sums; None where it is to be asked."""
        if not self._is_known:
            return None
        kept = keeper.of(self._connection, self._columns, self._labels, span)
        if kept is None:
            return None
        from tc_core.store.read.columns.answers import sums

        try:
            return sums(kept, [self._group(name) for name in self._group_by], self._conditions(span))
        except DoubtError:
            return None

    def _group(self, name: str) -> "Group":
        from tc_core.store.read.columns.answers import ByColumn, ByLabel, ByTime

        if name in TIME_GROUPS:
            return ByTime(US_PER_HOUR if name == "hour" else US_PER_DAY)
        return ByLabel(label_name(name)) if is_label(name) else ByColumn(name)

    def _conditions(self, span: Span) -> "list[Condition]":
        from tc_core.store.read.columns.answers import During, OneOf, WithLabel

        conditions: list[Condition] = [] if span == (None, None) else [During((span,))]
        for name, value in self._filters.items():
            wanted = as_list(value)
            if name in TIME_GROUPS:
                conditions.append(During(tuple(spans_of(name, wanted))))
            elif is_label(name):
                conditions.append(WithLabel(label_name(name), frozenset(wanted)))
            else:
                texts = [text for text in wanted if text is not None]
                none = [0] if None in wanted else []
                known = self._interned.find(self._connection, name, texts)
                conditions.append(OneOf(name, frozenset([*known, *none])))
        return conditions
