"""What the tests of selection share."""

from datetime import UTC, datetime

import pytest

from tc_core import SQLiteStorage
from tc_core.testing import FakeClock

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)


@pytest.fixture
def today():
    """A clock that stands at noon on the fifteenth of May."""
    with FakeClock(NOON) as clock:
        yield clock


@pytest.fixture
def store(tmp_path):
    """A store in a file."""
    with SQLiteStorage(tmp_path / "store.db") as store:
        yield store
