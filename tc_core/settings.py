"""What can be set from outside: environment variables, read when they are needed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from tc_core.errors import ConfigurationError

DEFAULT_STORE = "token_calculator.db"
"""The store where nothing else is said, in the working directory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`storage` is a path or URL; `labels` are given to every event."""

    storage: str = DEFAULT_STORE
    labels: Mapping[str, str] = field(default_factory=dict)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    TOKEN_CALC_STORAGE is a kind (`sqlite`, `memory`), a path or a URL; TOKEN_CALC_STORAGE_PATH the path of
    kind `sqlite`; TOKEN_CALC_DEFAULT_LABELS is `name:value,name:value`. Raises ConfigurationError that names
    variable and value.
    """
    values = os.environ if environment is None else environment
    kind = values.get("TOKEN_CALC_STORAGE", "").strip()
    path = values.get("TOKEN_CALC_STORAGE_PATH", "").strip()
    storage = path or DEFAULT_STORE if kind in ("", "sqlite") else kind
    return Settings(storage, _labels(values.get("TOKEN_CALC_DEFAULT_LABELS", "")))


def _labels(text: str) -> dict[str, str]:
    labels = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = part.partition(":")
        if not separator or not name.strip():
            raise ConfigurationError(f"TOKEN_CALC_DEFAULT_LABELS: cannot read {part!r}, use name:value,name:value")
        labels[name.strip()] = value.strip()
    return labels
