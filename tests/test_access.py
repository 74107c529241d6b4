"""Files are private to the user, and passwords are nowhere to be read."""

import logging
import os
import stat
import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tc_core import create_storage
from tc_core.cli.common import shown
from tc_core.runtime.recorders import spool_folder

SECRET = "hunter2"

RECORD = """
import os, signal, tc_core
os.umask(0)
tracker = tc_core.CostTracker("s.db")
tracker.track_call("gpt-4o", 1, 1)
tracker.storage.flush()
tracker.track_call("gpt-4o", 1, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_files_are_private_whatever_the_umask(run_python, tmp_path):
    run_python(RECORD, check=False)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if "data" not in path.parts}
    assert {path.name for path in modes} >= {"s.db", "s.db-wal", "s.db-shm", "s.db.spool"}
    assert any(path.suffix == ".spool" and path.is_file() for path in modes)
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


users = st.sampled_from(["", "u", "u%40x", "ü"])
secrets = st.sampled_from([SECRET, f"%2F{SECRET}", f"{SECRET}%", f"a:{SECRET}", f"{SECRET}#"])
hosts = st.sampled_from(["127.0.0.1", "localhost", "[::1]", "[::1", ""])
ports = st.sampled_from(["", ":9", ":99999", ":x", ":-1"])
queries = st.sampled_from(
    ["", f"?password={SECRET}", f"?sslpassword={SECRET}&sslmode=disable", "?connect_timeout=x", "?no_such_option=1"]
)


@st.composite
def urls(draw):
    scheme = draw(st.sampled_from(["postgresql", "postgres", "postgresql+psycopg"]))
    login = f"{draw(users)}:{draw(secrets)}@" if draw(st.booleans()) else ""
    return f"{scheme}://{login}{draw(hosts)}{draw(ports) or ':9'}/db{draw(queries)}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=urls())
def test_a_password_is_in_no_message_and_no_name(url, caplog, tmp_path):
    caplog.clear()
    said = [shown(url)]
    with caplog.at_level(logging.DEBUG):
        try:
            store = create_storage(url)
            said += [repr(store), store.identity, str(spool_folder(store))]
            store.query_events()
        except Exception as error:
            said.append("".join(traceback.format_exception(error)))
    lines = [line for text in said for line in text.splitlines() if "def test_" not in line]
    assert not [line for line in [*lines, *caplog.text.splitlines()] if SECRET in line]


@pytest.mark.parametrize("command", [("costs",), ("doctor",), ("db", "stats"), ("runs", "--debug")])
def test_a_password_is_in_no_output(run_command, command):
    result = run_command(*command, "--store", f"postgresql://u:{SECRET}@127.0.0.1:9/db?sslpassword={SECRET}")
    assert SECRET not in result.stdout + result.stderr


def test_a_password_is_in_no_hint(run_command, postgresql):
    from sqlalchemy.engine import make_url

    with postgresql.database() as url:
        with_password = make_url(url).set(password=SECRET).render_as_string(hide_password=False)
        result = run_command("costs", "--store", with_password)
    assert "Next: token-calc" in result.stdout
    assert SECRET not in result.stdout + result.stderr
    assert os.environ.get("TOKEN_CALC_STORAGE") is None
