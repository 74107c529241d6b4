"""The tables of policies. No text of a prompt or an answer is in them."""

from sqlalchemy import BigInteger, Index, Integer, SmallInteger, Text
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable, leaves_by

STATES = ("on", "undone", "rolled back")
"""A state is kept as its place here. Append only."""


class PolicyRow(StoreTable, table=True):
    """A policy that is or was applied. `definition` and `previous`, what it was before that, are JSON."""

    __tablename__ = "policy"
    name: str = Field(primary_key=True, sa_type=Text)
    state: int = Field(sa_type=SmallInteger)
    definition: str = Field(sa_type=Text)
    previous: str | None = Field(default=None, sa_type=Text)
    salt: str = Field(sa_type=Text)
    """What runs are assigned by, together with their ids; another one with each definition."""
    since_us: int = Field(sa_type=BigInteger)


class PolicyChangeRow(StoreTable, table=True):
    """Who has changed which policy, when and why: rows are only added. The newest key is the version of them all."""

    __tablename__ = "policy_change"
    key: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=Text)
    at_us: int = Field(sa_type=BigInteger)
    kind: str = Field(sa_type=Text)
    by: str = Field(sa_type=Text)
    why: str | None = Field(default=None, sa_type=Text)
    details: str = Field(sa_type=Text)


class PolicyUnitRow(StoreTable, table=True):
    """A run or a session that was assigned: `arm` 1 where the policy acts, 0 where it is kept as it was."""

    __tablename__ = "policy_unit"
    __table_args__ = (Index("ix_policy_unit_outcome", "salt", "arm", "success"),)
    salt: str = Field(primary_key=True, sa_type=Text)
    unit: str = Field(primary_key=True, sa_type=Text)
    arm: int = Field(sa_type=SmallInteger)
    at_us: int = Field(sa_type=BigInteger, sa_column_kwargs=leaves_by())
    success: int | None = Field(default=None, sa_type=SmallInteger)
    """How it came out: 1 well, 0 not, None where nobody has said."""


class PolicySumRow(StoreTable, table=True):
    """What became of calls on each day (UTC), as `arm` says: 1 where the policy acted, 0 where it kept them."""

    __tablename__ = "policy_sum"
    salt: str = Field(primary_key=True, sa_type=Text)
    arm: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    day: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    calls: int = Field(sa_type=BigInteger)
    errors: int = Field(sa_type=BigInteger)
    cost_nanos: int = Field(sa_type=BigInteger)
    saved_nanos: int = Field(sa_type=BigInteger)
