"""The view `events` has status, provider, cached tokens and latency: it is made anew after every migration."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
