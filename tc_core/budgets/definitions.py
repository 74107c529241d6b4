"""The budgets that are set, as this process knows them: read anew when their version changes."""

from collections.abc import Sequence

from tc_core.budgets import sql
from tc_core.budgets.books import Books
from tc_core.budgets.budget import Budget
from tc_core.store.sql import SqlStore


class Definitions:
    """The budgets of one store."""

    def __init__(self, store: SqlStore, books: Books) -> None:
        self._store = store
        self._books = books
        self._known: tuple[int, Sequence[Budget]] | None = None

    @property
    def version(self) -> int:
        """The version that is known, 0 for none."""
        return 0 if self._known is None else self._known[0]

    def known(self) -> Sequence[Budget]:
        """Return the budgets as they were when they were last read, for what looks at their version itself."""
        return self.refresh() if self._known is None else self._known[1]

    def current(self) -> Sequence[Budget]:
        """Return the budgets by which the books are kept now."""
        known = self._known
        if known is None or known[0] != self._books.version():
            return self.refresh()
        return known[1]

    def refresh(self) -> Sequence[Budget]:
        """Read the budgets, and have the books follow them: whoever changed them may have been killed before that."""
        with self._store.database.reading() as connection:
            version, budgets = sql.version(connection), sql.budgets(connection)
        if version != self._books.version() and (budgets or version):
            version, budgets = self._books.follow()
        self._known = version, budgets
        return budgets
