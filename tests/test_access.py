"""Files are private to the user, and passwords are nowhere to be read."""

import json
import logging
import os
import stat
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tc_core import CostTracker, create_storage
from tc_core.cli.common import shown
from tc_core.errors import ConfigurationError, StorageError
from tc_core.runtime.doctor import _store
from tc_core.runtime.recorders import spool_folder
from tc_core.store.keep.archive import taking_turns

SECRET = "hunter2"

RECORD = """
import os, signal, sys, tc_core
from tc_core.adapter import short_id
os.umask(0)
tracker = tc_core.CostTracker(sys.argv[1])
short_id("a text")
tracker.track_call("gpt-4o", 1, 1)
tracker.storage.flush()
tracker.track_call("gpt-4o", 1, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_files_are_private_whatever_the_umask(run_python, tmp_path):
    run_python(RECORD, "s.db", check=False)
    modes = modes_in(tmp_path)
    assert modes.keys() >= {"s.db", "s.db-wal", "s.db-shm", "s.db.spool", "token-calculator", "hash.key"}
    assert [mode for name, mode in modes.items() if name.endswith(".spool")] == ["0o700", "0o600"]
    assert {name: mode for name, mode in modes.items() if mode not in ("0o600", "0o700")} == {}


def test_files_that_wait_for_a_server_are_private_whatever_the_umask(run_python, tmp_path):
    run_python(RECORD.replace("tracker.storage.flush()", ""), "postgresql://127.0.0.1:9/db", check=False)
    modes = modes_in(tmp_path)
    assert [mode for name, mode in modes.items() if name.endswith(".spool")] == ["0o700", "0o600"]
    assert {name: mode for name, mode in modes.items() if mode not in ("0o600", "0o700")} == {}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_settings_file_is_private_since_passwords_come_into_it(run_command, tmp_path):
    before = os.umask(0)
    try:
        assert run_command("init").returncode == 0
    finally:
        os.umask(before)
    assert modes_in(tmp_path)["token_calculator.yaml"] == "0o600"


def test_the_lock_of_an_archive_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        with taking_turns(tmp_path / "archive"):
            modes = modes_in(tmp_path)
    finally:
        os.umask(before)
    assert sorted(modes.values()) == ["0o600", "0o700"]


def modes_in(folder):
    """Return the modes of all that is below a folder, by name; the user's data directory itself is not ours."""
    found = sorted(path for path in folder.rglob("*") if path != folder / "data")
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in found}


odd = st.text(alphabet="ab:@/?#&=%[] +;\\'\"ü\n*", max_size=6)
secrets = st.builds("{}{}{}".format, odd, st.just(SECRET), odd)
users = st.sampled_from(["", "u", "u%40x", "u@x", "u/x", "ü"])
hosts = st.sampled_from(["127.0.0.1", "localhost", "[::1]", "[::1", "", "%2Ftmp%2Fno-socket", "127.0.0.1,localhost"])
ports = st.sampled_from([":9", ":9,9", ":99999", ":x", ":-1"])
databases = st.sampled_from(["", "/", "/db", "/a%40b", "/a b"])
names = st.sampled_from(
    [
        "password",
        "sslpassword",
        "PASSWORD",
        "pass%77ord",
        "pasword",
        "passwd",
        "oauth_client_secret",
        "scram_client_key",
    ]
)
harmless = st.sampled_from(
    ["", "sslmode=disable", "connect_timeout=x", "no_such_option=1", "port=9&port=9", "%ZZ", "a"]
)


@st.composite
def urls(draw):
    """A URL with a secret where secrets are: some well-formed, some as people write them who know of no %XX."""
    scheme = draw(st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "PostgreSQL", " postgresql"]))
    separator = draw(st.sampled_from(["://", "://", "://", ":/", ":"]))
    password = draw(secrets)
    login = f"{draw(users)}:{draw(st.sampled_from([password, quote(password, safe='')]))}@"
    options = f"{draw(harmless)}&{draw(names)}={quote(draw(secrets), safe='')}"
    login, options = draw(st.sampled_from([(login, options), (login, ""), ("", options)]))
    return f"{scheme}{separator}{login}{draw(hosts)}{draw(ports)}{draw(databases)}{options and '?'}{options}"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=urls())
@example(url=f"postgresql://u:p@{SECRET}@127.0.0.1:9/db")
@example(url=f"postgresql://u/x:{SECRET}@127.0.0.1:9/db")
@example(url=f"postgresql://u:p@a/{SECRET}@127.0.0.1:9/db")
@example(url=f"postgresql://127.0.0.1:9/db?PASSWORD={SECRET}")
@example(url=f"postgresql://:{SECRET}@127.0.0.1:9/db?port=9&port=9")
@example(url=f"postgresql://127.0.0.1:9/db?oauth_client_secret={SECRET}")
@example(url=f"postgresql:/u:{SECRET}@127.0.0.1:9/db")
@example(url=f"postgresql:u:{SECRET}@127.0.0.1:9/db")
@example(url=f"postgresql:/:{SECRET}://@127.0.0.1:9/db")
def test_a_password_is_in_no_message_and_no_name(url, caplog, tmp_path):
    caplog.clear()
    said = []
    with caplog.at_level(logging.DEBUG):
        for tell in (told_by_the_store, shown, told_by_doctor):
            try:
                said += [*tell(url)]
            except (ConfigurationError, StorageError) as error:
                said += traceback.format_exception(error)
    assert SECRET not in "\n".join([*said, *map(str, tmp_path.rglob("*")), caplog.text])


def told_by_the_store(url):
    store = create_storage(url)
    yield from (repr(store), store.identity, str(spool_folder(store)))
    store.query_events()


def told_by_doctor(url):
    return [finding.said for finding in _store(url)]


@pytest.mark.parametrize("separator", ["://", ":/"])
def test_the_address_of_a_server_does_not_become_the_name_of_a_file(separator, tmp_path, monkeypatch):
    address = Path(f"postgresql{separator}u:{SECRET}@127.0.0.1:9/db")
    monkeypatch.setenv("TOKEN_CALC_STORAGE_PATH", str(address))
    for storage in (address, tmp_path / address, None):
        with pytest.raises(ConfigurationError, match="address of a server") as refused:
            CostTracker(storage)
        assert SECRET not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_an_address_is_shown_with_all_that_it_takes_to_connect_but_the_secrets():
    options = "sslmode=require&sslrootcert=%2Fca.pem"
    url = f"postgres://u%40x:{SECRET}@127.0.0.1:9/db?{options}&sslpassword={SECRET}"
    assert shown(url) == f"postgresql://u%40x@127.0.0.1:9/db?{options}"


def test_a_path_is_shown_as_it_is():
    assert [shown(where) for where in ("s.db", "sqlite:///s.db", "memory")] == ["s.db", "sqlite:///s.db", "memory"]


@pytest.mark.parametrize("command", [("costs",), ("doctor", "--quick"), ("db", "stats"), ("runs", "--debug")])
def test_a_password_is_in_no_output(run_command, command):
    result = run_command(*command, "--store", f"postgresql://u:{SECRET}@127.0.0.1:9/db?sslpassword={SECRET}")
    assert SECRET not in result.stdout + result.stderr


def test_a_password_is_not_shown_by_the_demo(run_command, postgresql):
    from sqlalchemy.engine import make_url

    with postgresql.database() as url:
        with_password = make_url(url).set(password=SECRET).render_as_string(hide_password=False)
        shown = run_command("demo", "--store", with_password)
        as_json = run_command("demo", "--store", with_password, "--json")
    assert shown.stdout.count("postgresql://") == 9  # where it records, and what to try next
    assert json.loads(as_json.stdout)["store"].startswith("postgresql://")
    assert SECRET not in shown.stdout + shown.stderr + as_json.stdout + as_json.stderr


def test_a_password_is_in_no_hint(run_command, postgresql):
    from sqlalchemy.engine import make_url

    with postgresql.database() as url:
        with_password = make_url(url).set(password=SECRET).render_as_string(hide_password=False)
        result = run_command("costs", "--store", with_password)
    assert "Next: token-calc" in result.stdout
    assert SECRET not in result.stdout + result.stderr
    assert os.environ.get("TOKEN_CALC_STORAGE") is None
