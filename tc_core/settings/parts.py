"""What can be set: the parts of the settings file, as values."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

DEFAULT_STORE = "token_calculator.db"
"""The store where nothing else is said, in the working directory."""

Count = Annotated[int, Field(gt=0)]

MOST_DAYS = 36_500
"""A hundred years: more is taken for a mistake."""

Days = Annotated[int, Field(gt=0, le=MOST_DAYS)]
Text = Annotated[str, Field(min_length=1)]
Filters = dict[str, str | tuple[str | None, ...] | None]
"""Names and values as reports take them: several, beginnings (`gpt-4*`), what is left out (`model!`), None for none."""
Severity = Literal["info", "warning", "critical"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PostgreSQL(_Part):
    """How to reach a PostgreSQL server, where no URL says it."""

    host: Text = "localhost"
    port: Annotated[int, Field(gt=0, lt=65_536)] = 5432
    database: Text = "token_calculator"
    user: Text | None = None
    password: SecretStr | None = None

    @property
    def url(self) -> str:
        """The address as a URL, password and all."""
        password = "" if self.password is None else f":{quote(self.password.get_secret_value(), safe='')}"
        user = "" if self.user is None else f"{quote(self.user, safe='')}{password}@"
        database = quote(self.database, safe="")
        if self.host.startswith("/"):  # the folder of a socket
            return f"postgresql://{user}/{database}?host={quote(self.host, safe='')}&port={self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{user}{host}:{self.port}/{database}"


class Storage(_Part):
    """Where events are kept, and for how long."""

    backend: Literal["sqlite", "postgresql", "memory"] = "sqlite"
    path: Path | None = None
    """The file of backend `sqlite`; in the settings file relative to that."""
    url: SecretStr | None = None
    """A URL or path, which then says all."""
    postgresql: PostgreSQL = PostgreSQL()
    retention_days: Days | None = None
    columns_mb: Annotated[int, Field(ge=0)] = 64
    """How much memory a program may use to answer questions for several labels quickly; 0 for none."""


class Tracking(_Part):
    """What holds for everything that is recorded."""

    default_labels: dict[str, str] = Field(default_factory=dict)
    ledger: bool = True
    """Whether prompts are read for where their tokens come from; no text is kept."""
    health: bool = True
    """Whether prompts are read for how conversations fare; no text is kept."""
    capture_content: bool = False
    """Whether the texts of prompts and answers are kept, redacted first."""
    content_retention_days: Days = 30
    """For how long after they were last sent."""
    redaction: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    """The function that texts pass before they are kept, as `module:name`."""
    enforce: bool = False
    """Whether hard budgets stop calls before they are made."""
    cut_streams: bool = False
    """Whether they also cut streamed answers that get longer than there is room for, where they stop calls."""
    strict: bool = False
    """Whether hooks raise the errors that they otherwise count and swallow."""


class _Named(_Part):
    name: Text


def _with_own_names(found: tuple[_Named, ...]) -> tuple[_Named, ...]:
    """Refuse a name that is there twice: one of the two would silently not hold."""
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice: give each a name of its own")
    return found


class AlertRule(_Named):
    """When to tell somebody: what `type` means, and what else it needs, is in docs/alerts.md."""

    type: Text
    threshold: Annotated[float, Field(gt=0)] | None = None
    """What the figure of the type is held against; without it the type's own."""
    severity: Severity = "warning"
    channels: tuple[Text, ...] = ("console",)
    cooldown: Annotated[int, Field(ge=0)] = 300
    budget: Text | None = None
    """The budget that it is about; without it each."""
    filters: Filters = Field(default_factory=dict)
    """Which calls count, by dimensions or labels."""
    by: tuple[Text, ...] = ()
    """The dimensions or labels that have an alert each."""
    window: Text | None = None
    """How far back it looks: 30m, 1h, 7d."""
    hysteresis: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """By how much the figure must fall below the threshold, as a share of it, before the alert is over."""


class Smtp(_Part):
    """The server that takes mail."""

    host: Text | None = None
    port: Annotated[int, Field(gt=0, lt=65_536)] = 587
    user: Text | None = None
    password: SecretStr | None = None
    sender: Text | None = None


class Alerts(_Part):
    """Who is told, how, and of what."""

    rules: tuple[AlertRule, ...] = ()
    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    """What webhooks are signed with."""
    allow_private_webhooks: bool = False
    """Whether webhooks may go to this machine and its network, and without TLS."""
    email: tuple[Text, ...] = ()
    smtp: Smtp = Smtp()
    apprise: tuple[SecretStr, ...] = ()
    """URLs of other services, as the library apprise writes them."""

    _told_apart = field_validator("rules")(_with_own_names)


class Budget(_Named):
    """How much may be spent in each period: US dollars, or the tokens or calls that `unit` says."""

    amount: Annotated[Decimal, Field(gt=0)]
    period: Text = "monthly"
    filters: Filters = Field(default_factory=dict)
    hard: bool = False
    unit: Literal["usd", "tokens", "calls"] = "usd"
    tz: Text = "UTC"
    thresholds: tuple[float | Text, ...] = ()
    """Shares of the amount, such as 0.8 or "80%", whose passing is logged."""
    unpriced: Text = "refuse"


class KnownModel(_Part):
    """What the user knows of a model, or of all models of a provider: a number alone is its quality."""

    quality: Annotated[float, Field(ge=0, le=1)] | None = None
    regions: tuple[Text, ...] | None = None
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    context: Count | None = None
    longest_output: Count | None = None
    modalities: tuple[Literal["text", "image", "audio", "video", "pdf"], ...] | None = None
    tools: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_quality(cls, said: object) -> object:
        return {"quality": said} if isinstance(said, (str, int, float)) else said


class Selection(_Part):
    """What helps to choose models."""

    models: dict[str, KnownModel] = Field(default_factory=dict)
    """What the user knows of models, by their names; docs/selection.md has an example."""


class Policy(_Named):
    """What is done with calls before they are made: docs/selection.md says what each kind takes."""

    kind: Literal["route", "trim", "cache", "loop"]
    filters: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Which calls it is about, by dimensions, labels, model or provider."""
    model: Text | None = None
    to: Text | None = None
    floor: float | None = None
    margin: float | None = None
    unit: Literal["run", "session"] | None = None
    at: float | None = None
    ttl_s: float | None = None
    most: int | None = None
    temperature: Literal["zero", "unset"] | None = None
    rounds: int | None = None
    apply: bool = False
    """Whether a program that begins to record applies it; without that `token-calc policies apply` does."""


class Settings(_Part):
    """All settings, as the file has them; `source` is the file, or None."""

    storage: Storage = Storage()
    tracking: Tracking = Tracking()
    alerts: Alerts = Alerts()
    budgets: tuple[Budget, ...] = ()
    selection: Selection = Selection()
    policies: tuple[Policy, ...] = ()
    prices: Path | None = None
    """A file with prices of one's own."""
    hash_key: SecretStr | None = None
    source: Path | None = None

    _told_apart = field_validator("budgets", "policies")(_with_own_names)

    @property
    def store(self) -> str:
        """The store as a path or URL."""
        storage = self.storage
        if storage.url is not None:
            return storage.url.get_secret_value()
        if storage.backend == "postgresql":
            return storage.postgresql.url
        return "memory" if storage.backend == "memory" else str(storage.path or DEFAULT_STORE)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of every event."""
        return self.tracking.default_labels
