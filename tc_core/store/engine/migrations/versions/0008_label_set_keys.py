"""Small keys for label sets, which are found by a hash of their text.

Events stay as they are, so that this takes as long as there are label sets: the key of an older one is the hash of its
text, and goes on being both.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("label_set", sa.Column("hash", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE label_set SET hash = id")
    op.create_index("ix_label_set_hash", "label_set", ["hash"], unique=True)
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE label_set_id_seq OWNED BY label_set.id")
        op.execute("ALTER TABLE label_set ALTER COLUMN id SET DEFAULT nextval('label_set_id_seq')")
