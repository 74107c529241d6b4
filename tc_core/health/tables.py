"""The table of health: the signals of a conversation as they were at each call. No text."""

from sqlalchemy import Integer, SmallInteger
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable, refers_to

STATES = ("healthy", "context_rot", "hallucination_risk")
"""A state is kept as its place here. Append only."""


class ContextHealth(StoreTable, table=True):
    """How the conversation of a model call fared, in thousandths; `usage` is None where no window is known."""

    __tablename__ = "context_health"
    event: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("event.key", autoincrement=False))
    state: int = Field(sa_type=SmallInteger)
    messages: int = Field(sa_type=Integer)
    tokens: int = Field(sa_type=Integer)
    usage: int | None = Field(default=None, sa_type=SmallInteger)
    rot: int = Field(sa_type=SmallInteger)
    repetition: int = Field(sa_type=SmallInteger)
    topic_coherence: int = Field(sa_type=SmallInteger)
    injection_risk: int = Field(sa_type=SmallInteger)
    staleness: int = Field(sa_type=SmallInteger)
    overhead_share: int = Field(sa_type=SmallInteger)
