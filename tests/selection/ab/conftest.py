"""What the tests of A/B tests share: chance that is the same each time, and a moment at which all of them begin."""

from datetime import UTC, datetime
from itertools import count

import pytest

from tc_core import InMemoryStorage, instrument, settings
from tc_core.selection import ab_setup
from tc_core.testing import FakeClock

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _same_chance(monkeypatch):
    """Who gets which hangs on a key and on a salt of each test: the same ones in each run."""
    salts = count()
    monkeypatch.setattr(ab_setup, "_salt", lambda: next(salts).to_bytes(16))
    monkeypatch.setenv("TOKEN_CALC_HASH_KEY", "the key of these tests")
    settings.forget()


@pytest.fixture
def store():
    """A store that everything is recorded into; it lies in memory, where that is no matter."""
    with InMemoryStorage() as store:
        instrument(store)
        yield store


@pytest.fixture
def today():
    """A clock that stands at noon on the fifteenth of May."""
    with FakeClock(NOON) as clock:
        yield clock
