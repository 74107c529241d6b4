"""What is charged beside plain tokens: of each event, and in the sums."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("event", sa.Column("charges", sa.Text))
    op.add_column("event", sa.Column("charges_nanos", sa.BigInteger))
    for name in ("rollup_hour", "rollup_day", "rollup_label", "rollup_label_day"):
        op.add_column(name, sa.Column("charges_nanos", sa.BigInteger, nullable=False, server_default=sa.text("0")))
