"""Context health: the signals of a conversation at each call."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "context_health",
        sa.Column("event", KEY, primary_key=True, autoincrement=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("usage", sa.SmallInteger),
        sa.Column("rot", sa.SmallInteger, nullable=False),
        sa.Column("repetition", sa.SmallInteger, nullable=False),
        sa.Column("topic_coherence", sa.SmallInteger, nullable=False),
        sa.Column("injection_risk", sa.SmallInteger, nullable=False),
        sa.Column("staleness", sa.SmallInteger, nullable=False),
        sa.Column("overhead_share", sa.SmallInteger, nullable=False),
    )
