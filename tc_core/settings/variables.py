"""The environment variables, and where in the settings file each has its counterpart."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tc_core.errors import ConfigurationError
from tc_core.settings.explaining import explained
from tc_core.settings.parts import Days, Text

PREFIX = "TOKEN_CALC_"
BACKENDS = ("sqlite", "postgresql", "memory")
_KINDS = {**{name: name for name in BACKENDS}, "postgres": "postgresql"}
OTHER_VARIABLES = frozenset(
    {"TOKEN_CALC_CONFIG", "TOKEN_CALC_DEBUG", "TOKEN_CALC_SERVE_TOKEN", "TOKEN_CALC_STORAGE_KEY"}
)
"""Variables that are read elsewhere."""


class Environment(BaseSettings):
    """The environment variables, each `TOKEN_CALC_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    storage: Text | None = None
    storage_path: Path | None = None
    retention_days: Days | None = None
    columns_mb: Annotated[int, Field(ge=0)] | None = None
    pg_host: Text | None = None
    pg_port: Annotated[int, Field(gt=0, lt=65_536)] | None = None
    pg_database: Text | None = None
    pg_user: Text | None = None
    pg_password: SecretStr | None = None
    default_labels: Annotated[dict[str, str] | None, NoDecode] = None
    ledger: bool | None = None
    health: bool | None = None
    capture_content: bool | None = None
    enforce: bool | None = None
    cut_streams: bool | None = None
    strict: bool | None = None
    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    email_alerts: Annotated[tuple[Text, ...] | None, NoDecode] = None
    smtp_host: Text | None = None
    smtp_port: Annotated[int, Field(gt=0, lt=65_536)] | None = None
    smtp_user: Text | None = None
    smtp_password: SecretStr | None = None
    smtp_sender: Text | None = None
    prices: Path | None = None
    hash_key: SecretStr | None = None

    @field_validator("default_labels", mode="before")
    @classmethod
    def _read_labels(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        labels = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, separator, value = part.partition(":")
            if not separator or not name.strip():
                raise ValueError(f"cannot read {part!r}, use name:value,name:value")
            labels[name.strip()] = value.strip()
        return labels

    @field_validator("email_alerts", mode="before")
    @classmethod
    def _read_list(cls, text: object) -> object:
        return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


_PLACES = {
    "storage_path": "storage.path",
    "retention_days": "storage.retention_days",
    "columns_mb": "storage.columns_mb",
    "pg_host": "storage.postgresql.host",
    "pg_port": "storage.postgresql.port",
    "pg_database": "storage.postgresql.database",
    "pg_user": "storage.postgresql.user",
    "pg_password": "storage.postgresql.password",
    "default_labels": "tracking.default_labels",
    "ledger": "tracking.ledger",
    "health": "tracking.health",
    "capture_content": "tracking.capture_content",
    "enforce": "tracking.enforce",
    "cut_streams": "tracking.cut_streams",
    "strict": "tracking.strict",
    "webhook_url": "alerts.webhook_url",
    "webhook_secret": "alerts.webhook_secret",
    "email_alerts": "alerts.email",
    "smtp_host": "alerts.smtp.host",
    "smtp_port": "alerts.smtp.port",
    "smtp_user": "alerts.smtp.user",
    "smtp_password": "alerts.smtp.password",
    "smtp_sender": "alerts.smtp.sender",
    "prices": "prices",
    "hash_key": "hash_key",
}
"""Where in the file a variable has its counterpart; TOKEN_CALC_STORAGE may be a backend, a URL or a path."""

VARIABLES = frozenset({f"{PREFIX}{name.upper()}" for name in Environment.model_fields} | OTHER_VARIABLES)
"""The names of all variables that mean something."""


def unknown_variables() -> list[str]:
    """Return variables that look like ours and mean nothing."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in VARIABLES)


def environment() -> dict[str, Any]:
    """Return what the variables say, by their names; raise ConfigurationError for a value that cannot be."""
    try:
        return Environment().model_dump(exclude_none=True)
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"{PREFIX}{str(problem['loc'][0]).upper()}"
        raise ConfigurationError(explained(problem, name, ())) from error


def lay_over(values: dict[str, Any], said: dict[str, Any]) -> None:
    """Put what variables say in the place of what the file says."""
    storage = said.pop("storage", None)
    kind = None if storage is None else _KINDS.get(storage.lower())
    if storage is not None or "storage_path" in said:
        _set(values, "storage.url", None)
    if kind is not None:
        _set(values, "storage.backend", kind)
    elif storage is not None:
        _set(values, "storage.url", storage)
    elif "storage_path" in said:
        _set(values, "storage.backend", "sqlite")
    for name, value in said.items():
        _set(values, _PLACES[name], value)


def _set(values: dict[str, Any], place: str, value: object) -> None:
    *above, last = place.split(".")
    for key in above:
        values = values.setdefault(key, {})
    values[last] = value
