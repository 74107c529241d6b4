"""The tables of budgets. With SQLite `budget_period` and `reservation` stay empty: the books are another file."""

from sqlalchemy import BigInteger, Float, Index, LargeBinary, SmallInteger, Text
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable


class BudgetRow(StoreTable, table=True):
    """A budget as it is set now. Filters, thresholds and prices are JSON; amounts nano-dollars, tokens or calls."""

    __tablename__ = "budget"
    id: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=Text, unique=True)
    amount: int = Field(sa_type=BigInteger)
    period: str = Field(sa_type=Text)
    filters: str = Field(sa_type=Text)
    hard: int = Field(sa_type=SmallInteger)
    unit: str = Field(sa_type=Text)
    tz: str = Field(sa_type=Text)
    thresholds: str = Field(sa_type=Text)
    unpriced: str = Field(sa_type=Text)
    max_override: float = Field(sa_type=Float)
    extra: int = Field(sa_type=BigInteger)
    extra_until: int = Field(sa_type=BigInteger)


class BudgetChangeRow(StoreTable, table=True):
    """Who has changed which budget, when and why: rows are only added. The newest key is the version of all budgets."""

    __tablename__ = "budget_change"
    __table_args__ = (Index("ix_budget_change_name", "name"),)
    key: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    kind: str = Field(sa_type=Text)
    by: str | None = Field(default=None, sa_type=Text)
    why: str | None = Field(default=None, sa_type=Text)
    details: str = Field(sa_type=Text)


class BudgetUsageRow(StoreTable, table=True):
    """What was booked by hand, without an event."""

    __tablename__ = "budget_usage"
    __table_args__ = (Index("ix_budget_usage_budget", "budget", "at"),)
    id: bytes = Field(primary_key=True, sa_type=LargeBinary)
    budget: int = Field(primary_key=True, sa_type=BigInteger)
    period: str = Field(sa_type=Text)
    at: int = Field(sa_type=BigInteger)
    amount: int = Field(sa_type=BigInteger)


class SettlementRow(StoreTable, table=True):
    """With SQLite: what a transaction has settled, until the books have it. `ids` and `sums` are JSON."""

    __tablename__ = "settlement"
    seq: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    ids: str = Field(sa_type=Text)
    sums: str = Field(sa_type=Text)


class BudgetPeriodRow(StoreTable, table=True):
    """One budget in one period: its limit then, what is spent, and what is reserved for calls under way."""

    __tablename__ = "budget_period"
    budget: int = Field(primary_key=True, sa_type=BigInteger)
    period: str = Field(primary_key=True, sa_type=Text)
    start_at: int | None = Field(default=None, sa_type=BigInteger)
    end_at: int | None = Field(default=None, sa_type=BigInteger)
    amount: int = Field(sa_type=BigInteger)
    extra: int = Field(sa_type=BigInteger)
    extra_until: int = Field(sa_type=BigInteger)
    spent: int = Field(sa_type=BigInteger)
    reserved: int = Field(sa_type=BigInteger)
    since_seq: int = Field(sa_type=BigInteger)
    """Settlements up to this one are in what it was opened with."""


class ReservationRow(StoreTable, table=True):
    """What a call under way may take; `state` 1: its lease ran out, and the amount stands in `spent` as an estimate."""

    __tablename__ = "reservation"
    __table_args__ = (Index("ix_reservation_expires", "expires"),)
    event: bytes = Field(primary_key=True, sa_type=LargeBinary)
    budget: int = Field(primary_key=True, sa_type=BigInteger)
    period: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    state: int = Field(sa_type=SmallInteger)
