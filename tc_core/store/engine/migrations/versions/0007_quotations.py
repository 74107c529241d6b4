"""Quotations: the blocks of outputs, and what larger texts have of them; and texts, where a user keeps them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "quotable",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("blocks", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_quotable_segment", "quotable", ["segment"], unique=True)
    op.create_table(
        "quoted",
        sa.Column("segment", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("source", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_quoted_source", "quoted", ["source"])
    op.create_table(
        "content",
        sa.Column("segment", KEY, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_content_day", "content", ["day"])
