import pytest

from tests.store.contract import RevisionContract, StorageContract


class TestPostgreSQL(StorageContract, RevisionContract):
    @pytest.fixture
    def store(self, postgresql):
        from tc_core import PostgreSQLStorage

        with PostgreSQLStorage(postgresql.new_database()) as store:
            yield store
