"""What sets a price beside the model, and the requests that a call took."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("event", sa.Column("service_tier", sa.Integer))
    op.add_column("event", sa.Column("cache_write_1h_tokens", sa.BigInteger))
    op.create_table(
        "attempt",
        sa.Column("event", KEY, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("retry", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("latency_us", sa.BigInteger),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
    )
