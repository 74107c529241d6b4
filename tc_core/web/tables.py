"""The table of the explorer: who has read what. Times are microseconds since 1970."""

from sqlalchemy import BigInteger, Integer, Text
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable


class ExplorerReadRow(StoreTable, table=True):
    """One question of the explorer, or one that was refused: `what` is the page, `asked` its parameters."""

    __tablename__ = "explorer_read"
    key: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    at_us: int = Field(sa_type=BigInteger)
    who: str = Field(sa_type=Text)
    what: str = Field(sa_type=Text)
    asked: str = Field(sa_type=Text)
    status: int = Field(sa_type=Integer)
