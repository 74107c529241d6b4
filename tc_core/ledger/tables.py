"""The ledger's tables. Ids are made from content: every process and every replay gives the same rows the same ones."""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, SmallInteger, text
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable, refers_to


class SegmentRow(StoreTable, table=True):
    """One content, once, whoever sends it: the two halves of its hash, and its tokens."""

    __tablename__ = "segment"
    id: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    tail: int = Field(sa_type=BigInteger)
    tokens: int = Field(sa_type=Integer)


class NodeRow(StoreTable, table=True):
    """One place in prompts: a segment behind all that comes before it. `prefix` is what the way to it weighs."""

    __tablename__ = "node"
    id: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs={"autoincrement": False})
    parent: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("node.id"))
    segment: int = Field(sa_type=BigInteger, sa_column_kwargs=refers_to("segment.id"))
    what: int = Field(sa_type=SmallInteger)
    depth: int = Field(sa_type=Integer)
    prefix: int = Field(sa_type=Integer)


class PromptRow(StoreTable, table=True):
    """Where the prompt of a call ends in the tree, and where its answer does."""

    __tablename__ = "prompt"
    __table_args__ = (
        Index("ix_prompt_node", "node", "event"),
        Index(
            "ix_prompt_out",
            "out_node",
            "event",
            sqlite_where=text("out_node IS NOT NULL"),
            postgresql_where=text("out_node IS NOT NULL"),
        ),
    )
    event: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("event.key", autoincrement=False))
    node: int = Field(sa_type=BigInteger, sa_column_kwargs=refers_to("node.id"))
    out_node: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("node.id"))


class ProducedRow(StoreTable, table=True):
    """Which events brought a content into being: what a model, a tool or a retriever has put out."""

    __tablename__ = "produced"
    __table_args__ = (Index("ix_produced_event", "event"), {"sqlite_with_rowid": False})
    segment: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=refers_to("segment.id", autoincrement=False)
    )
    event: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=refers_to("event.key", autoincrement=False)
    )


class QuotableRow(StoreTable, table=True):
    """The blocks of an output by which it is found where a larger text quotes it; encrypted, and no text."""

    __tablename__ = "quotable"
    __table_args__ = (Index("ix_quotable_segment", "segment", unique=True),)
    key: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    segment: int = Field(sa_type=BigInteger, sa_column_kwargs=refers_to("segment.id"))
    blocks: bytes = Field(sa_type=LargeBinary)


class ContentRow(StoreTable, table=True):
    """What a segment says, where a user keeps that; `day` is when it was last sent, in days since 1970."""

    __tablename__ = "content"
    __table_args__ = (Index("ix_content_day", "day"),)
    segment: int = Field(primary_key=True, sa_type=KEY, sa_column_kwargs=refers_to("segment.id", autoincrement=False))
    day: int = Field(sa_type=Integer)
    text: bytes = Field(sa_type=LargeBinary)


class QuotedRow(StoreTable, table=True):
    """What a content quotes of another one, an earlier output, and how many of its tokens that is."""

    __tablename__ = "quoted"
    __table_args__ = (Index("ix_quoted_source", "source"), {"sqlite_with_rowid": False})
    segment: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=refers_to("segment.id", autoincrement=False)
    )
    source: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=refers_to("segment.id", autoincrement=False)
    )
    tokens: int = Field(sa_type=Integer)
