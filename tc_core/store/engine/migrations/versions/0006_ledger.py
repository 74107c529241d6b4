"""The prompt ledger: segments, the tree of prompts, and who has put out what."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "segment",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("tail", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
    )
    op.create_table(
        "node",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("parent", sa.BigInteger),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("what", sa.SmallInteger, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("prefix", sa.Integer, nullable=False),
    )
    op.create_table(
        "prompt",
        sa.Column("event", KEY, primary_key=True, autoincrement=False),
        sa.Column("node", sa.BigInteger, nullable=False),
        sa.Column("out_node", sa.BigInteger),
    )
    op.create_index("ix_prompt_node", "prompt", ["node", "event"])
    op.create_index(
        "ix_prompt_out",
        "prompt",
        ["out_node", "event"],
        sqlite_where=sa.text("out_node IS NOT NULL"),
        postgresql_where=sa.text("out_node IS NOT NULL"),
    )
    op.create_table(
        "produced",
        sa.Column("segment", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_produced_event", "produced", ["event"])
