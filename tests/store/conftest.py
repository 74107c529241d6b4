"""What several tests of the store need."""

import pytest

from tc_core import PostgreSQLStorage, SQLiteStorage


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path):
    """What opens the same store again, as another process would."""
    if request.param == "sqlite":
        yield lambda: SQLiteStorage(tmp_path / "store.db")
        return
    with request.getfixturevalue("postgresql").database() as url:
        yield lambda: PostgreSQLStorage(url)
