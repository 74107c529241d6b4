"""The tables of A/B tests. Units are keyed hashes, times are microseconds since 1970."""

from sqlalchemy import BigInteger, Float, LargeBinary, SmallInteger, Text
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable, refers_to


class AbTestRow(StoreTable, table=True):
    """One test as it was set up, and when and how it was stopped; `hash_key` is the id of the key of its units."""

    __tablename__ = "ab_test"
    id: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    name: str = Field(sa_type=Text, unique=True)
    model_a: str = Field(sa_type=Text)
    model_b: str = Field(sa_type=Text)
    unit: str = Field(sa_type=Text)
    split: float = Field(sa_type=Float)
    low: float | None = Field(default=None, sa_type=Float)
    high: float | None = Field(default=None, sa_type=Float)
    agent_id: str | None = Field(default=None, sa_type=Text)
    salt: bytes = Field(sa_type=LargeBinary)
    hash_key: str = Field(sa_type=Text)
    start_us: int = Field(sa_type=BigInteger)
    end_us: int = Field(sa_type=BigInteger)
    stopped_us: int | None = Field(default=None, sa_type=BigInteger)
    keep: str | None = Field(default=None, sa_type=Text)


class AbUnitRow(StoreTable, table=True):
    """A session, user or run that was assigned to an arm (0 is a, 1 is b), and how it came out once that is known."""

    __tablename__ = "ab_unit"
    __table_args__ = ({"sqlite_with_rowid": False},)
    test: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("ab_test.id", autoincrement=False))
    unit: bytes = Field(primary_key=True, sa_type=LargeBinary(16))
    arm: int = Field(sa_type=SmallInteger)
    at_us: int = Field(sa_type=BigInteger)
    value: float | None = Field(default=None, sa_type=Float)
    value_us: int | None = Field(default=None, sa_type=BigInteger)
