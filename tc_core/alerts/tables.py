"""The tables of alerts. Times are microseconds since 1970; those of the outbox are real, also under a set clock."""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field

from tc_core.store.schema.tables import KEY, StoreTable, refers_to


class AlertStateRow(StoreTable, table=True):
    """How a rule stands for one key, such as an agent; `version` decides which of several processes changes it."""

    __tablename__ = "alert_state"
    rule: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    version: int = Field(sa_type=Integer)
    is_firing: int = Field(sa_type=Integer)
    is_told: int = Field(sa_type=Integer)
    since_us: int | None = Field(default=None, sa_type=BigInteger)
    told_us: int | None = Field(default=None, sa_type=BigInteger)
    alert: int | None = Field(default=None, sa_type=BigInteger, sa_column_kwargs=refers_to("alert.key"))


class AlertRow(StoreTable, table=True):
    """One alert that was fired, and what became of it."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("ix_alert_id", "id", unique=True),
        Index("ix_alert_event", "event", "rule"),
        Index("ix_alert_fired", "fired_us"),
    )
    key: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    id: str = Field(sa_type=Text)
    rule: str = Field(sa_type=Text)
    severity: str = Field(sa_type=Text)
    message: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    event: str | None = Field(default=None, sa_type=Text)
    value: str | None = Field(default=None, sa_type=Text)
    fired_us: int = Field(sa_type=BigInteger)
    resolved_us: int | None = Field(default=None, sa_type=BigInteger)
    acknowledged_us: int | None = Field(default=None, sa_type=BigInteger)
    acknowledged_by: str | None = Field(default=None, sa_type=Text)


class AlertSilenceRow(StoreTable, table=True):
    """Until when a rule says nothing."""

    __tablename__ = "alert_silence"
    rule: str = Field(primary_key=True, sa_type=Text)
    until_us: int = Field(sa_type=BigInteger)
    by: str | None = Field(default=None, sa_type=Text)
    why: str | None = Field(default=None, sa_type=Text)


class AlertOutboxRow(StoreTable, table=True):
    """What is to be sent over one channel; `body` is made once, so that each attempt sends the same bytes."""

    __tablename__ = "alert_outbox"
    __table_args__ = (
        Index("ix_alert_outbox_id", "id", unique=True),
        Index("ix_alert_outbox_alert", "alert"),
        Index(
            "ix_alert_outbox_due",
            "due_us",
            sqlite_where=text("ended_us IS NULL"),
            postgresql_where=text("ended_us IS NULL"),
        ),
    )
    key: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    id: str = Field(sa_type=Text)
    alert: int = Field(sa_type=BigInteger, sa_column_kwargs=refers_to("alert.key"))
    channel: str = Field(sa_type=Text)
    body: bytes = Field(sa_type=LargeBinary)
    home: str = Field(sa_type=Text)
    made_us: int = Field(sa_type=BigInteger)
    due_us: int = Field(sa_type=BigInteger)
    lease_us: int = Field(sa_type=BigInteger)
    attempts: int = Field(sa_type=Integer)
    ended_us: int | None = Field(default=None, sa_type=BigInteger)
    is_delivered: int = Field(sa_type=Integer)


class AlertDeliveryRow(StoreTable, table=True):
    """One attempt to send something, and what came of it."""

    __tablename__ = "alert_delivery"
    __table_args__ = (Index("ix_alert_delivery_outbox", "outbox"),)
    key: int | None = Field(default=None, primary_key=True, sa_type=KEY)
    outbox: int = Field(sa_type=BigInteger, sa_column_kwargs=refers_to("alert_outbox.key"))
    at_us: int = Field(sa_type=BigInteger)
    took_us: int = Field(sa_type=BigInteger)
    fault: str | None = Field(default=None, sa_type=Text)
