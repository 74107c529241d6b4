"""Settings: each option good, bad and unknown, from the environment and from the file."""

import re
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from tc_core import ConfigurationError, CostTracker, instrument, settings
from tc_core.cli.init import TEMPLATE
from tc_core.record.guard import faults
from tc_core.runtime.recorders import open_storage
from tc_core.settings import file

SECRET = "s3cret:/@"

VARIABLES = {
    "STORAGE": ("sqlite:///x.db", "store", "sqlite:///x.db", None),
    "STORAGE_PATH": ("/x/costs.db", "storage.path", Path("/x/costs.db"), None),
    "RETENTION_DAYS": ("90", "storage.retention_days", 90, "-1"),
    "COLUMNS_MB": ("16", "storage.columns_mb", 16, "-1"),
    "PG_HOST": ("db.local", "storage.postgresql.host", "db.local", None),
    "PG_PORT": ("6543", "storage.postgresql.port", 6543, "many"),
    "PG_DATABASE": ("costs", "storage.postgresql.database", "costs", None),
    "PG_USER": ("me", "storage.postgresql.user", "me", None),
    "PG_PASSWORD": (SECRET, "storage.postgresql.password", SECRET, None),
    "DEFAULT_LABELS": ("environment:prod, team: a:b", "labels", {"environment": "prod", "team": "a:b"}, "environment"),
    "LEDGER": ("off", "tracking.ledger", False, "maybe"),
    "HEALTH": ("off", "tracking.health", False, "maybe"),
    "CAPTURE_CONTENT": ("on", "tracking.capture_content", True, "maybe"),
    "ENFORCE": ("true", "tracking.enforce", True, "maybe"),
    "CUT_STREAMS": ("true", "tracking.cut_streams", True, "maybe"),
    "STRICT": ("true", "tracking.strict", True, "maybe"),
    "WEBHOOK_URL": ("https://example.com/hook", "alerts.webhook_url", "https://example.com/hook", None),
    "WEBHOOK_SECRET": (SECRET, "alerts.webhook_secret", SECRET, None),
    "EMAIL_ALERTS": ("a@example.com, b@example.com", "alerts.email", ("a@example.com", "b@example.com"), None),
    "SMTP_HOST": ("mail.local", "alerts.smtp.host", "mail.local", None),
    "SMTP_PORT": ("25", "alerts.smtp.port", 25, "99999"),
    "SMTP_USER": ("me", "alerts.smtp.user", "me", None),
    "SMTP_PASSWORD": (SECRET, "alerts.smtp.password", SECRET, None),
    "SMTP_SENDER": ("tc@example.com", "alerts.smtp.sender", "tc@example.com", None),
    "PRICES": ("/x/prices.yaml", "prices", Path("/x/prices.yaml"), None),
    "HASH_KEY": (SECRET, "hash_key", SECRET, None),
}

BUDGET = {"name": "b", "amount": "10"}
RULE = {"name": "r", "type": "anomaly", "threshold": "2"}
FILE = {
    "storage.backend": ("memory", "store", "memory", "mysql"),
    "storage.path": ("costs.db", "storage.path", None, {}),
    "storage.url": ("sqlite:///x.db", "store", "sqlite:///x.db", []),
    "storage.retention_days": ("90", "storage.retention_days", 90, "ninety"),
    "storage.columns_mb": ("16", "storage.columns_mb", 16, "many"),
    "storage.postgresql.host": ("db.local", "storage.postgresql.host", "db.local", []),
    "storage.postgresql.port": ("6543", "storage.postgresql.port", 6543, "99999"),
    "storage.postgresql.database": ("costs", "storage.postgresql.database", "costs", []),
    "storage.postgresql.user": ("me", "storage.postgresql.user", "me", {}),
    "storage.postgresql.password": (SECRET, "storage.postgresql.password", SECRET, {}),
    "tracking.default_labels": ({"a": "no", "b": "010"}, "labels", {"a": "no", "b": "010"}, "a:b"),
    "tracking.ledger": ("no", "tracking.ledger", False, "maybe"),
    "tracking.health": ("no", "tracking.health", False, "maybe"),
    "tracking.capture_content": ("yes", "tracking.capture_content", True, "maybe"),
    "tracking.content_retention_days": ("7", "tracking.content_retention_days", 7, "0"),
    "tracking.redaction": ("a.b:c", "tracking.redaction", "a.b:c", "nothing"),
    "tracking.enforce": ("true", "tracking.enforce", True, "maybe"),
    "tracking.cut_streams": ("true", "tracking.cut_streams", True, "maybe"),
    "tracking.strict": ("true", "tracking.strict", True, "maybe"),
    "prices": ("prices.yaml", "prices", None, {}),
    "selection.models": (
        {"m": "0.9"},
        "selection.models",
        {"m": settings.KnownModel(quality=0.9)},
        {"m": {"quality": "1.1"}},
    ),
    "budgets": ([BUDGET], "budgets", (settings.Budget(name="b", amount=Decimal(10)),), [{**BUDGET, "amount": "-1"}]),
    "policies": (
        [{"name": "p", "kind": "loop"}],
        "policies",
        (settings.Policy(name="p", kind="loop"),),
        [{"name": "p", "kind": "guess"}],
    ),
    "alerts.rules": (
        [RULE],
        "alerts.rules",
        (settings.AlertRule(name="r", type="anomaly", threshold=2.0),),
        [{**RULE, "severity": "loud"}],
    ),
    "alerts.webhook_url": ("https://example.com", "alerts.webhook_url", "https://example.com", []),
    "alerts.webhook_secret": (SECRET, "alerts.webhook_secret", SECRET, []),
    "alerts.allow_private_webhooks": ("yes", "alerts.allow_private_webhooks", True, "maybe"),
    "alerts.apprise": ([SECRET], "alerts.apprise", (SecretStr(SECRET),), SECRET),
    "alerts.email": (["a@example.com"], "alerts.email", ("a@example.com",), "a@example.com"),
    "alerts.smtp.host": ("mail.local", "alerts.smtp.host", "mail.local", []),
    "alerts.smtp.port": ("25", "alerts.smtp.port", 25, "0"),
    "alerts.smtp.user": ("me", "alerts.smtp.user", "me", {}),
    "alerts.smtp.password": (SECRET, "alerts.smtp.password", SECRET, {}),
    "alerts.smtp.sender": ("tc@example.com", "alerts.smtp.sender", "tc@example.com", []),
    "hash_key": (SECRET, "hash_key", SECRET, []),
}


def read(place):
    value = attrgetter(place)(settings.load())
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def write(**values):
    Path(settings.FILE_NAME).write_text(yaml.safe_dump(values), encoding="utf-8")
    settings.forget()  # files of one moment may look alike


def nested(place, value):
    for key in reversed(place.split(".")):
        value = {key: value}
    return value


def test_without_anything_the_store_is_a_file_in_the_working_directory():
    assert (settings.load().store, settings.load().labels) == ("token_calculator.db", {})


def test_every_variable_is_in_the_table_and_every_key():
    assert {f"TOKEN_CALC_{name}" for name in VARIABLES} == settings.VARIABLES - settings.OTHER_VARIABLES
    assert set(FILE) == set(keys(settings.Settings))


def keys(model, lead=""):
    for name, field in model.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield from keys(part, f"{lead}{name}.")
        elif name != "source":
            yield f"{lead}{name}"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable(name, monkeypatch):
    good, place, expected, bad = VARIABLES[name]
    monkeypatch.setenv(f"TOKEN_CALC_{name}", good)
    assert read(place) == expected
    monkeypatch.setenv(f"TOKEN_CALC_{name}", "")
    settings.load()
    if bad is not None:
        monkeypatch.setenv(f"TOKEN_CALC_{name}", bad)
        with pytest.raises(ConfigurationError, match=rf"TOKEN_CALC_{name}.*{re.escape(bad)}"):
            settings.load()


@pytest.mark.parametrize("place", FILE)
def test_a_key_of_the_file(place):
    good, where, expected, bad = FILE[place]
    write(**nested(place, good))
    assert read(where) == (Path.cwd() / good if expected is None else expected)
    write(**nested(place, bad))
    with pytest.raises(ConfigurationError, match=rf"{settings.FILE_NAME}: {re.escape(place)}"):
        settings.load()
    write(**nested(f"{place}x", good))
    with pytest.raises(ConfigurationError, match=rf"unknown key '{place}x', known here are .*{place.split('.')[-1]}"):
        settings.load()


@pytest.mark.parametrize(
    ("place", "both"),
    [
        ("alerts.rules", [{"name": "a", "type": "cost"}, {"name": "a", "type": "errors"}]),
        ("budgets", [{"name": "a", "amount": 1}, {"name": "a", "amount": 2}]),
    ],
)
def test_a_name_that_is_there_twice_is_refused(place, both):
    write(**nested(place, both))
    with pytest.raises(ConfigurationError, match=f"{place}: 'a' is there twice: give each a name of its own"):
        settings.load()


@pytest.mark.parametrize(
    ("text", "said"),
    [("- 1", "must hold names and values"), ("a: [", "cannot be read"), ("storage: 5", "storage must be names")],
)
def test_a_file_that_is_none_of_ours(text, said):
    Path(settings.FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        settings.load()


def test_secrets_are_in_no_message_and_no_repr(monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_PG_PASSWORD", SECRET)
    monkeypatch.setenv("TOKEN_CALC_HASH_KEY", SECRET)
    assert SECRET not in repr(settings.load())
    write(storage={"postgresql": {"password": [SECRET]}})
    with pytest.raises(ConfigurationError) as raised:
        settings.load()
    assert SECRET not in str(raised.value)


def test_the_environment_beats_the_file_and_an_argument_beats_both(monkeypatch, tmp_path):
    write(
        storage={"backend": "sqlite", "path": "file.db", "url": "sqlite:///url.db"},
        tracking={"default_labels": {"team": "of the file"}},
    )
    assert settings.load().store == "sqlite:///url.db"
    monkeypatch.setenv("TOKEN_CALC_STORAGE_PATH", str(tmp_path / "variable.db"))
    monkeypatch.setenv("TOKEN_CALC_DEFAULT_LABELS", "team:of the environment")
    assert open_storage().path == tmp_path / "variable.db"
    assert settings.load().labels == {"team": "of the environment"}
    instrument(tmp_path / "argument.db", labels={"team": "of the argument"})
    CostTracker().track_call("gpt-4o", 1, 1)
    (event,) = CostTracker(tmp_path / "argument.db").storage.query_events()
    assert event.labels == {"team": "of the argument"}


def test_a_postgresql_url_is_put_together(monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_STORAGE", "postgresql")
    monkeypatch.setenv("TOKEN_CALC_PG_USER", "me@work")
    monkeypatch.setenv("TOKEN_CALC_PG_PASSWORD", SECRET)
    assert settings.load().store == "postgresql://me%40work:s3cret%3A%2F%40@localhost:5432/token_calculator"


def test_where_the_file_is_looked_for(monkeypatch, tmp_path):
    elsewhere, home = tmp_path / "elsewhere.yaml", tmp_path / "config"
    monkeypatch.setattr(file, "user_config_path", lambda *_names, **_options: home)
    home.mkdir()
    (home / settings.FILE_NAME).write_text("storage: {path: costs.db}")
    assert settings.load().store == str(home / "costs.db")  # relative to its file
    write(storage={"backend": "memory"})
    assert settings.load().store == "memory"
    elsewhere.write_text("storage: {path: ~/costs.db}")
    monkeypatch.setenv("TOKEN_CALC_CONFIG", str(elsewhere))
    assert settings.load().store == str(Path.home() / "costs.db")
    monkeypatch.setenv("TOKEN_CALC_CONFIG", str(tmp_path / "missing.yaml"))
    with pytest.raises(ConfigurationError, match=r"TOKEN_CALC_CONFIG: there is no file .*missing\.yaml"):
        settings.load()


def test_strict_mode_is_a_setting(monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "strict", False)
    write(tracking={"strict": True})
    instrument(tmp_path / "s.db", strict=False)
    assert not faults.strict
    instrument(tmp_path / "s.db")
    assert faults.strict


# The commands


def test_init_writes_every_setting_and_all_of_it_is_right(run_command, tmp_path):
    result = run_command("init")
    assert (result.returncode, "Wrote token_calculator.yaml" in result.stdout) == (0, True)
    written = Path(settings.FILE_NAME).read_text(encoding="utf-8")
    assert settings.load().model_copy(update={"source": None}) == settings.Settings()
    Path(settings.FILE_NAME).write_text(re.sub(r"(?m)^( *)# ( *[-a-z_]+:| *- )", r"\1\2", written), encoding="utf-8")
    settings.forget()
    loaded = settings.load()
    assert (loaded.budgets[0].name, loaded.alerts.rules[0].threshold) == ("monthly-prod", 2.0)
    assert loaded.alerts.smtp.port == 587
    assert run_command("init").returncode == 2
    assert run_command("init", "--force").returncode == 0
    for place in FILE:
        assert f"{place.rsplit('.', 1)[-1]}:" in TEMPLATE, place
    for name in VARIABLES:
        assert f"TOKEN_CALC_{name}" in TEMPLATE, name


def test_doctor_tells_of_settings(run_command):
    write(storage={"retention_days": "ninety"})
    result = run_command("doctor", "--quick")
    assert result.returncode == 1
    assert "retention_days must be a whole number, not 'ninety'" in " ".join(result.stdout.split())
    write(storage={"retention_days": "90"})
    result = run_command("doctor", "--quick", TOKEN_CALC_PGHOST="x")
    assert settings.FILE_NAME in result.stdout
    assert "TOKEN_CALC_PGHOST means nothing; did you mean TOKEN_CALC_PG_HOST?" in result.stdout
