"""Is a store sound: its file, what its rows refer to, and its roll-ups, which must be what its rows add up to."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from sqlalchemy import and_, delete, func, or_, select

from tc_core.store.engine.database import Database
from tc_core.store.engine.interning import InternedTexts
from tc_core.store.keep import rebuild
from tc_core.store.read.filters import EVENT, ORPHAN, PARENT
from tc_core.store.schema.references import references
from tc_core.store.schema.tables import (
    ArchiveFile,
    Removal,
    Spool,
    table,
)
from tc_core.store.write.bulk import BulkWriter

State = Literal["ok", "warning", "fault", "repaired"]

_FILES, _REMOVAL, _SPOOL = table(ArchiveFile), table(Removal), table(Spool)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `said` says what is wrong and what to do about it."""

    state: State
    subject: str
    said: str


class Check:
    """Examines a store; with `repair` it mends what can be mended from what the store has itself.

    `spool_files` are the names of the spool's files where they can be seen, else None. `progress` is told how many days
    of roll-ups have been looked at, and of how many.
    """

    def __init__(
        self,
        database: Database,
        interned: InternedTexts,
        writer: BulkWriter,
        *,
        repair: bool = False,
        spool_files: Collection[str] | None = None,
        progress: Callable[[int, int | None], object] = lambda _done, _total: None,
    ) -> None:
        self._database = database
        self._interned = interned
        self._writer = writer
        self._repair = repair
        self._spool_files = spool_files
        self._progress = progress

    def findings(self) -> Iterator[Finding]:
        """Yield what is found, the most important first; nothing more where the file itself is damaged."""
        with self._database.reading() as connection:
            damage = self._database.damage(connection)
        for name, said in damage:
            yield Finding(
                "fault", name, f"the table is damaged: {said}. Restore a copy, or export the days that can be read"
            )
        if damage:
            return
        yield Finding("ok", "file", "every page can be read")
        yield from self._references()
        yield from self._orphans()
        yield from self._rollups()
        yield from self._marks()
        yield from self._archive()

    def _references(self) -> Iterator[Finding]:
        lost = []
        with self._database.reading() as connection:
            for name, column, target in references():
                key = target.table.alias("referred").c[target.key]
                question = select(func.count()).select_from(column.table.outerjoin(key.table, key == column))
                count = connection.execute(question.where(column.is_not(None), key.is_(None))).scalar_one()
                if count:
                    lost.append(Finding("fault", name, f"{count:,} rows refer to what is not there"))
            count = connection.execute(_MISPLACED).scalar_one()
        if count:
            lost.append(
                Finding("fault", "event.root", f"{count:,} rows have another root or depth than their parent says")
            )
        yield from lost
        if lost:
            yield Finding("warning", "references", "export the store and import it into a new one: that mends them")
        else:
            yield Finding("ok", "references", "every row that a row refers to is there")

    def _orphans(self) -> Iterator[Finding]:
        question = (
            select(ORPHAN.c.parent_id)
            .select_from(ORPHAN.join(PARENT, PARENT.c.id == ORPHAN.c.parent_id))
            .where(PARENT.c.root != ORPHAN.c.event)
        )
        with self._database.reading() as connection:
            waiting = connection.execute(question).scalars().all()
            others = connection.execute(select(func.count()).select_from(ORPHAN)).scalar_one() - len(waiting)
        if waiting and self._repair:
            self._writer.adopt(waiting)
            yield Finding("repaired", "parents", f"{len(waiting):,} events now hang under their parents")
        elif waiting:
            yield Finding(
                "fault", "parents", f"{len(waiting):,} events wait for parents that are there: --repair joins them"
            )
        said = f"{others:,} events name a parent that was not recorded" if others else "every event has its parent"
        yield Finding("ok", "parents", said)

    def _rollups(self) -> Iterator[Finding]:
        with self._database.reading() as connection:
            days = rebuild.days(connection)
            removed = set(connection.execute(select(_REMOVAL.c.day).where(_REMOVAL.c.events > 0)).scalars())
        wrong = []
        for number, day in enumerate(days):
            self._progress(number, len(days))
            if day not in removed and not self._is_right(day):
                wrong.append(day)
        named = ", ".join(rebuild.day_name(day) for day in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        if wrong and self._repair:
            for day in wrong:
                again = partial(rebuild.rebuild, database=self._database, interned=self._interned, day=day)
                self._database.transact(again, alone=True)
            yield Finding(
                "repaired",
                "roll-ups",
                f"those of {_days(len(wrong), 'is', 'are')} made anew from their events: {named}",
            )
        elif wrong:
            said = (
                f"those of {_days(len(wrong), 'are', 'are')} not what their events add up to: --repair makes them anew "
                f"({named})"
            )
            yield Finding("fault", "roll-ups", said)
        else:
            checked = len(set(days) - removed)
            yield Finding("ok", "roll-ups", f"{_days(checked, 'is', 'are')} what their events add up to")
        if removed:
            yield Finding("ok", "roll-ups", f"{_days(len(removed), 'stands', 'stand')} for events that left the store")

    def _is_right(self, day: int) -> bool:
        with self._database.reading() as connection:
            return rebuild.is_right(connection, self._interned, day)

    def _marks(self) -> Iterator[Finding]:
        if self._spool_files is None:
            return
        with self._database.reading() as connection:
            left = sorted(set(connection.execute(select(_SPOOL.c.file)).scalars()) - set(self._spool_files))
        if not left:
            yield Finding("ok", "spool", "every mark has its file")
        elif self._database.path is None:  # the files of other hosts cannot be seen from here
            yield Finding("ok", "spool", f"{len(left):,} marks are of other hosts, or left over")
        elif self._repair:
            forget = delete(_SPOOL).where(_SPOOL.c.file.in_(left))
            self._database.transact(lambda connection: connection.execute(forget))
            yield Finding("repaired", "spool", f"{len(left):,} marks of files that are gone are forgotten")
        else:
            yield Finding("warning", "spool", f"{len(left):,} marks are of files that are gone: --repair forgets them")

    def _archive(self) -> Iterator[Finding]:
        with self._database.reading() as connection:
            files = connection.execute(select(_FILES.c.path, _FILES.c.whole)).all()
        begun = [row.path for row in files if not row.whole]
        missing = [row.path for row in files if row.whole and not Path(row.path).exists()]
        if begun:
            said = f"{len(begun):,} files were begun and not finished, so their events are still here"
            yield Finding("warning", "archive", f"{said}: run `token-calc archive` again ({begun[0]})")
        if missing:
            yield Finding(
                "warning", "archive", f"{len(missing):,} files are not where they were written ({missing[0]})"
            )
        if files and not begun and not missing:
            yield Finding("ok", "archive", f"{len(files):,} files are where they were written")


_MISPLACED = (
    select(func.count())
    .select_from(EVENT.outerjoin(PARENT, PARENT.c.key == EVENT.c.parent))
    .where(
        or_(
            and_(EVENT.c.parent.is_(None), or_(EVENT.c.root != EVENT.c.key, EVENT.c.depth != 0)),
            PARENT.c.root != EVENT.c.root,
            PARENT.c.depth + 1 != EVENT.c.depth,
        )
    )
)


def _days(number: int, verb: str, verb_of_several: str) -> str:
    return f"{number:,} day {verb}" if number == 1 else f"{number:,} days {verb_of_several}"
