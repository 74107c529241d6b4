"""What can be set from outside: environment variables, and the file `token_calculator.yaml`.

An argument in the program beats the environment, which beats the file.

A program may go anywhere: the first reading fixes the folder from which relative paths are meant, and which file is
read. After `instrument()` nothing that a setting says changes any more, until that is called again.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import yaml
from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tc_core.errors import ConfigurationError

PREFIX = "TOKEN_CALC_"
FILE_NAME = "token_calculator.yaml"
DEFAULT_STORE = "token_calculator.db"
"""The store where nothing else is said, in the working directory."""

BACKENDS = ("sqlite", "postgresql", "memory")
_KINDS = {**{name: name for name in BACKENDS}, "postgres": "postgresql"}
OTHER_VARIABLES = frozenset(
    {"TOKEN_CALC_CONFIG", "TOKEN_CALC_DEBUG", "TOKEN_CALC_SERVE_TOKEN", "TOKEN_CALC_STORAGE_KEY"}
)
"""Variables that are read elsewhere."""

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


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where the settings were read, and what they said."""

    folder: Path | None
    """The working directory of that time, None where it was gone."""
    wanted: str | None
    """What TOKEN_CALC_CONFIG said."""
    file: Path | None
    settings: Settings
    is_fixed: bool = False


_reading: _Reading | None = None


def load() -> Settings:
    """Return what environment and file say, or what they said when `fix` was called.

    The file is what TOKEN_CALC_CONFIG names, else `token_calculator.yaml` in the working directory, else in the
    user's configuration directory; the first reading chooses it. Raises ConfigurationError that names variable or file,
    key and value.
    """
    global _reading
    known = _reading
    if known is not None and known.is_fixed:
        return known.settings
    found = _read_again(known)
    if _reading is known:  # else another thread has fixed them meanwhile
        _reading = found
    return found.settings


def fix() -> None:
    """Read the settings anew, from where the program is now, and have them hold until `forget` or `fix` is called."""
    global _reading
    _reading = replace(_read_again(None), is_fixed=True)


def forget() -> None:
    """Have the next reading be the first one."""
    global _reading
    _reading = None
    _load.cache_clear()


def absolute(path: str | Path) -> Path:
    """Return a path of the settings, with `~` and what is relative made whole by where they were read.

    Raises ConfigurationError where that cannot be: without a home, or in a folder that was gone.
    """
    found = _known_place(path)
    if found is None:
        raise ConfigurationError(f"{path}: there is no home or working directory to begin from: name the whole path")
    return found


def user_folder(find: Callable[..., Path], name: str) -> Path | None:
    """Return a folder of the user's that platformdirs finds, as an absolute path; None for a user without a home."""
    try:
        return _known_place(find(name, appauthor=False))
    except RuntimeError:
        return None


def _known_place(path: str | Path) -> Path | None:
    if not Path(path).is_absolute():
        load()
    return _whole(path, None if _reading is None else _reading.folder)


def _read_again(known: _Reading | None) -> _Reading:
    """Read the settings where they were read before, else from where the program is."""
    said = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(PREFIX)))
    wanted = dict(said).get("TOKEN_CALC_CONFIG")
    folder = _working_directory() if known is None else known.folder
    file = known.file if known is not None and known.wanted == wanted else _file(wanted, folder)
    try:
        changed_ns = None if file is None else file.stat().st_mtime_ns
    except OSError as error:
        if known is None or known.file != file:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
        return known  # a file that has gone said what it said
    return _Reading(folder, wanted, file, _load(said, file, changed_ns))


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None


def unknown_variables() -> list[str]:
    """Return variables that look like ours and mean nothing."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in VARIABLES)


@lru_cache(maxsize=16)
def _load(_said: tuple[tuple[str, str], ...], path: Path | None, _changed_ns: int | None) -> Settings:
    values: dict[str, Any] = {} if path is None else _read(path)
    if path is not None:
        values["source"] = str(path)
    problem = _first_problem(values)
    if problem is not None:
        name = ".".join(map(str, problem["loc"]))
        raise ConfigurationError(f"{path}: {explained(problem, name, _known_keys(problem['loc']))}")
    _lay_over(values, _environment())
    return Settings.model_validate(values)


def _file(wanted: str | None, start: Path | None) -> Path | None:
    if wanted:
        path = _whole(wanted, start)
        if path is None or not os.path.isfile(path):  # noqa: PTH113  # also where we may not look
            raise ConfigurationError(f"TOKEN_CALC_CONFIG: there is no file {path or wanted}")
        return path
    folders = [start]
    with suppress(RuntimeError):  # a user without a home
        folders.append(_whole(user_config_path("token_calculator", appauthor=False), start))
    paths = (folder / FILE_NAME for folder in folders if folder is not None)
    return next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113  # the same


def _whole(path: str | Path, start: Path | None) -> Path | None:
    """Return a path that does not depend on where the program is; None without the home or the folder it needs."""
    try:
        found = Path(path).expanduser()
    except RuntimeError:  # "~", and nobody knows this user's home
        return None
    if found.is_absolute():
        return found
    return None if start is None else start / found


def _read(path: Path) -> dict[str, Any]:
    """Read the file; scalars stay the text that they are written as, so that a label `no` is not False."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506  # makes nothing but text
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if values in (None, ""):
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} must hold names and values, not {_short(values)}")
    values = {key: value for key, value in values.items() if value != ""}  # a part of which all is commented out
    for keys in (("storage", "path"), ("prices",)):
        *above, last = keys
        part = _part(values, above)
        if part is not None and isinstance(part.get(last), str) and part[last]:
            part[last] = str(_whole(part[last], path.parent) or part[last])
    return values


def _part(values: dict[str, Any], keys: list[str]) -> dict[str, Any] | None:
    part: Any = values
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else None


def _first_problem(values: Mapping[str, Any]) -> ErrorDetails | None:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        problems = error.errors()
        return next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    return None


def _environment() -> dict[str, Any]:
    try:
        return Environment().model_dump(exclude_none=True)
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"{PREFIX}{str(problem['loc'][0]).upper()}"
        raise ConfigurationError(explained(problem, name, ())) from error


def _lay_over(values: dict[str, Any], environment: dict[str, Any]) -> None:
    storage = environment.pop("storage", None)
    kind = None if storage is None else _KINDS.get(storage.lower())
    if storage is not None or "storage_path" in environment:
        _set(values, "storage.url", None)
    if kind is not None:
        _set(values, "storage.backend", kind)
    elif storage is not None:
        _set(values, "storage.url", storage)
    elif "storage_path" in environment:
        _set(values, "storage.backend", "sqlite")
    for name, value in environment.items():
        _set(values, _PLACES[name], value)


def _set(values: dict[str, Any], place: str, value: object) -> None:
    *above, last = place.split(".")
    for key in above:
        values = values.setdefault(key, {})
    values[last] = value


def explained(problem: ErrorDetails, name: str, known_keys: Iterable[str]) -> str:
    """Say what is wrong with a value, and what would be right; values that may be secret are not shown."""
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"unknown key {name!r}, known here are {', '.join(sorted(known_keys))}"
    if kind == "missing":
        return f"{name} is missing"
    said = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{name}: {said}"
    wanted = next((words for prefix, words in _WANTED.items() if kind.startswith(prefix)), None)
    wanted = wanted or said.removeprefix("Input should be ").removeprefix("Decimal input should be ")
    is_secret = any(word in name.lower() for word in ("password", "secret", "key", "url", "apprise"))
    return f"{name} must be {wanted}" + ("" if is_secret else f", not {_short(problem['input'])}")


_WANTED = {
    "int_": "a whole number",
    "float_": "a number",
    "decimal_": "a number",
    "bool_": "true or false",
    "string_pattern": "a function as module:name",
    "string_too_short": "a text that is not empty",
    "string_": "a text",
    "tuple_": "a list",
    "model_": "names and values",
    "dict_": "names and values",
    "path_": "a path",
}
"""What a value must be, by how the type of pydantic's error begins."""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known_keys(place: tuple[int | str, ...]) -> Iterator[str]:
    """Yield the keys that the file may have beside an unknown one."""
    model: type[BaseModel] = Settings
    for step in place[:-1]:
        if isinstance(step, str):
            found = model.model_fields[step].annotation
            nested = getattr(found, "__args__", (found,))
            model = next(each for each in nested if isinstance(each, type) and issubclass(each, BaseModel))
    yield from (name for name in model.model_fields if name != "source")
