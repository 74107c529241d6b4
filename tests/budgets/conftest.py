"""What the tests of budgets share: a moment at which all of them begin."""

from datetime import UTC, datetime

import pytest

from tc_core import BudgetTracker
from tc_core.testing import FakeClock

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)


@pytest.fixture
def today():
    """A clock that stands at noon on the fifteenth of May."""
    with FakeClock(NOON) as clock:
        yield clock


@pytest.fixture
def budgets(each_store):
    """Budgets in a store of each kind."""
    return BudgetTracker(each_store)
