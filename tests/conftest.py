"""What all tests share: no network, no telemetry, strict hooks, a folder and a recorder of their own."""

import faulthandler
import functools
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
NO_NETWORK = ROOT / "tests" / "no_network"

runpy.run_path(str(NO_NETWORK / "sitecustomize.py"))
os.environ.update(
    PYTHONPATH=os.pathsep.join(filter(None, [str(NO_NETWORK), str(ROOT), os.environ.get("PYTHONPATH")])),
    TIKTOKEN_CACHE_DIR=tempfile.mkdtemp(prefix="no-vocabulary-"),
    LANGSMITH_TRACING="false",
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_TESTING="true",
    CREWAI_DISABLE_VERSION_CHECK="true",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    TZ="UTC",
)
os.environ.pop("LANGCHAIN_TRACING_V2", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # programs that tests start would compile everything anew
hypothesis.settings.register_profile("same", derandomize=True)  # what is new is sought by --hypothesis-profile=default
hypothesis.settings.load_profile("same")
for name in [name for name in os.environ if name.startswith(("TOKEN_CALC_", "OPENAI_"))]:
    if name != "TOKEN_CALC_TEST_PG_URL":
        del os.environ[name]

from benchmarks import servers  # noqa: E402
from tc_core import SQLiteStorage, instrument, settings  # noqa: E402
from tc_core.demo.server import ModelServer  # noqa: E402
from tc_core.meter import own_prices  # noqa: E402
from tc_core.record.guard import faults  # noqa: E402
from tc_core.runtime import adapters, hash_key, recorders  # noqa: E402
from tc_core.runtime.instrument import uninstrument  # noqa: E402
from tests.ready_command import ReadyCommand  # noqa: E402

# What is installed stays the same while tests run, and each of them would have all of it read, twice.
adapters.known_adapters = functools.cache(adapters.known_adapters)


def pytest_configure(config):
    config.addinivalue_line("markers", "swallows: this test has hooks swallow errors, and looks at the counts itself")
    config.addinivalue_line("markers", "slow: needs a server, a framework, processes of its own, or real pauses")


ADAPTERS = {"crewai", "langchain", "llamaindex"}
"""Folders in which only what the frameworks themselves tell is held; what prompts say is held in tests/ledger."""

SLOW_FIXTURES = {"address", "each_store", "in_a_child", "month", "postgresql", "run_command", "run_python", "server"}
SLOW_FOLDERS = {"crewai", "faults", "hosts", "http", "langchain", "llamaindex", "pytest_plugin", "web"}
SLOW_FILES = {
    "test_benchmarks.py",
    "test_demo.py",
    "test_docs.py",
    "test_injected_failures.py",
    "test_one_graph.py",
    "test_round_trip.py",
    *("test_check.py", "test_data.py", "test_db.py", "test_forks.py", "test_postgresql.py"),  # servers and processes
    *("test_costs_views.py", "test_mail.py", "test_processes.py"),
}
SLOW_TESTS = {
    "test_a_long_history_is_judged_in_parts_with_the_same_answer",
    "test_a_label_with_too_many_values_answers_as_before",
    "test_a_prompt_of_100_000_messages_is_explained_and_its_next_turn_too",
    "test_a_report_as_markdown_is_a_table_with_its_total",
    "test_days_without_prices_are_like_their_weekday_before",
    "test_dot_has_only_the_tokens_of_its_grammar",
    "test_drivers_sum_to_the_difference_whatever_was_called",
    "test_far_more_branches_than_usual_are_found_and_usual_ones_are_not",
    "test_fifty_threads_write_and_read_at_once",
    "test_graphml_is_read_by_networkx",
    "test_growth_goes_on_and_less_and_less",
    "test_html_holds_no_element_that_is_not_ours_and_asks_for_nothing",
    "test_json_is_read_by_networkx_and_is_the_same_graph",
    "test_live_and_afterwards_agree",
    "test_many_events_are_saved_at_once",
    "test_mermaid_has_only_the_tokens_of_its_grammar",
    "test_of_several_claims_the_largest_is_what_an_event_has_wasted",
    "test_prov_refers_only_to_what_it_has_and_keeps_the_ids",
    "test_ten_thousand_turns_are_followed_in_bounded_memory",
    "test_the_answer_is_the_same_wherever_the_question_begins_and_ends",
    "test_the_last_run_is_shown_with_its_agents_and_its_critical_path",
    "test_the_next_call_of_recorded_runs_still_has_its_values_after_compression",
    "test_theta_comes_with_statsmodels",
    "test_whatever_leaves_all_that_stays_is_sound_and_the_sums_are_as_they_were",
    "test_whatever_the_conversation_the_promises_hold",
}
"""What takes most of a second of processor time by itself."""


def pytest_collection_modifyitems(items):
    """Mark what `make quick` leaves out, by what it uses: nobody has to think of it."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
        is_slow_place = folder in SLOW_FOLDERS or item.path.name in SLOW_FILES or "postgresql" in item.name
        if is_slow_place or getattr(item, "originalname", "") in SLOW_TESTS or SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """No test begins in the last half minute of an hour: what it calls today or this hour stays that until it ends."""
    left = 3600 - time.time() % 3600
    if left < 30:
        time.sleep(left)


@pytest.fixture(autouse=True)
def _own_world(request, tmp_path, monkeypatch):
    """Each test has its own folder and recorders; an error that a hook swallowed fails it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(hash_key, "_used", set())
    if request.path.parent.name in ADAPTERS:
        monkeypatch.setenv("TOKEN_CALC_LEDGER", "off")
    expects_faults = request.node.get_closest_marker("swallows") is not None
    settings.forget()
    faults.after_fork()
    faults.strict = not expects_faults
    yield
    uninstrument()
    own_prices.forget()
    settings.forget()
    for recorder in list(recorders._recorders.values()):
        recorder.close()
    recorders._recorders.clear()
    recorders._parts.clear()
    recorders._default = None
    counts, faults.strict = faults.counts, False
    faults.after_fork()
    assert expects_faults or not counts, f"hooks swallowed errors: {counts}"


@pytest.fixture
def run_python(tmp_path):
    """Run a program in a process of its own; return what it printed."""

    def run(program, *arguments, check=True, **environment):
        result = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
        if check and result.returncode:
            raise AssertionError(f"exit code {result.returncode}:\n{result.stdout}\n{result.stderr}")
        return result.stdout if check else result

    return run


@pytest.fixture
def run_command(tmp_path, tmp_path_factory, ready_command):
    """Run `token-calc` as a user does; return the finished process."""

    def run(*arguments, **environment):
        arguments, environment = [*map(str, arguments)], {**os.environ, **environment}
        if ready_command.suits(environment):
            printed = tmp_path_factory.mktemp("printed")
            return ready_command.run(arguments, folder=tmp_path, environment=environment, printed=printed, seconds=120)
        return subprocess.run(
            [sys.executable, "-m", "tc_core.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def ready_command():
    """A process that has imported the command already, and forks for each one that is run."""
    ready = ReadyCommand()
    yield ready
    ready.end()


@pytest.fixture
def in_a_child():
    """Run `work` in a forked child, which ends without any clean-up; return its exit code.

    A child that hangs prints where, in each of its threads, and is killed. It is not traced: coverage has a lock, which
    another thread may hold while we fork, and which nobody would release in the child.
    """

    def run(work):
        trace = sys.gettrace()
        sys.settrace(None)
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(60)
                faulthandler.register(signal.SIGALRM, file=2, chain=True)
                threading.settrace(None)
                work()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        sys.settrace(trace)
        deadline = time.monotonic() + 90
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.001)
        return os.waitstatus_to_exitcode(ended[1])

    return run


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL server: the one of TOKEN_CALC_TEST_PG_URL, else one of our own."""
    with servers.running(flushes=False) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def each_store(request, tmp_path):
    """An empty store of each kind that lasts."""
    if request.param == "sqlite":
        with SQLiteStorage(tmp_path / "each.db") as store:
            yield store
        return
    from tc_core import PostgreSQLStorage

    with request.getfixturevalue("postgresql").database() as url, PostgreSQLStorage(url) as store:
        yield store


@pytest.fixture(scope="session")
def month(tmp_path_factory):
    """The store of examples/a_month.py: read it, and write only into a copy."""
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    folder = tmp_path_factory.mktemp("month")
    subprocess.run(
        [sys.executable, ROOT / "examples" / "a_month.py", folder / "month.db"],
        check=True,
        capture_output=True,
        timeout=300,
        env={**os.environ, "XDG_DATA_HOME": str(folder / "data")},
    )
    return folder / "month.db"


@pytest.fixture
def server():
    """A real server on a real socket of this machine; what it counted is the truth."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def store(tmp_path):
    """A store that everything is recorded into."""
    with SQLiteStorage(tmp_path / "store.db") as store:
        instrument(store)
        yield store


@pytest.fixture
def truth(server):
    """Compare what was recorded with what the server counted."""

    def check(store, *, estimated=0):
        answered = [exchange.tokens for exchange in server.exchanges if exchange.tokens is not None]
        total = store.totals()[()]
        assert total.calls == len(server.exchanges)
        assert total.errors == len(server.exchanges) - len(answered)
        assert total.estimated == estimated
        if not estimated:
            assert total.input_tokens == sum(tokens.prompt for tokens in answered)
            assert total.output_tokens == sum(tokens.completion for tokens in answered)
            assert total.cached_tokens == sum(tokens.cached for tokens in answered)
            assert total.reasoning_tokens == sum(tokens.reasoning for tokens in answered)

    return check
