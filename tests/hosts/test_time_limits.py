"""Time limits by signals: the program hears of each, and nothing that was acknowledged is lost."""

import signal
import threading
from pathlib import Path

import pytest

from tc_core.foreign import foreign
from tc_core.meter import tokens
from tc_core.model import period
from tc_core.record import spool
from tc_core.record.guard import attempt, contained, faults, never_raises
from tc_core.settings import file as settings_file
from tc_core.settings import reading as settings_reading
from tc_core.store.engine import sqlite

QUESTIONS = """
import logging, random, signal, time, tc_core
logging.disable(50)
class Limit({base}): pass
struck = seen = made = 0
def strike(*_):
    global struck
    struck += 1
    raise Limit()
signal.signal(signal.SIGALRM, strike)
tracker = tc_core.CostTracker("s.db")
random.seed(1); end = time.monotonic() + 6
while time.monotonic() < end:
    try:
        tracker.track_call("gpt-4o-mini", input_tokens=1, output_tokens=1); made += 1
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00002, 0.006)); tracker.get_costs()
        stop = time.monotonic() + 0.02
        while time.monotonic() < stop: pass
    except Limit: seen += 1
    finally: signal.setitimer(signal.ITIMER_REAL, 0)
assert made > 20 and seen == struck, (made, seen, struck)
assert tracker.get_costs().total_calls == made, (tracker.get_costs().total_calls, made)
"""


@pytest.mark.parametrize("base", ["Exception", "TimeoutError"])
def test_a_limit_inside_a_question_reaches_the_program_and_costs_no_call(run_python, base):
    run_python(QUESTIONS.format(base=base))


HOOKS = """
import sys; sys.path.insert(0, ".")
import logging, random, signal, time, tc_core
from langchain_core.language_models.fake_chat_models import FakeListChatModel
logging.disable(50)
class Limit(Exception): pass
struck = seen = made = 0
def strike(signum, frame):
    global struck
    struck += 1
    raise Limit()
signal.signal(signal.SIGALRM, strike)
tc_core.instrument("s.db", frameworks=["langchain"])
model = FakeListChatModel(responses=["hi"])
model.invoke("x"); random.seed(2); end = time.monotonic() + 5
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00002, 0.0012)); model.invoke("x")
        signal.setitimer(signal.ITIMER_REAL, 0); made += 1
    except Limit: seen += 1
    finally: signal.setitimer(signal.ITIMER_REAL, 0)
assert struck > 20 and seen == struck, (seen, struck)
assert tc_core.CostTracker("s.db").get_costs().total_calls >= made + 1
"""


def test_a_limit_inside_a_hook_reaches_the_program(run_python):
    run_python(HOOKS)


class LimitError(Exception):
    pass


def strike(signum, frame):
    raise LimitError


def reading():
    signal.raise_signal(signal.SIGALRM)


def broken():
    raise LimitError


@pytest.fixture
def limit():
    before = signal.signal(signal.SIGALRM, strike)
    yield
    signal.signal(signal.SIGALRM, before)


def inside(guarded, work):
    if guarded == "hook":
        return never_raises(work)()
    if guarded == "reading":
        return attempt(work)
    with contained("a block"):
        return work()


@pytest.mark.swallows
@pytest.mark.parametrize("guarded", ["hook", "reading", "block"])
def test_what_a_handler_raises_passes_all_that_swallows_errors(limit, guarded):
    with pytest.raises(LimitError):
        inside(guarded, reading)
    assert faults.counts == {}
    assert inside(guarded, broken) is None  # the same error, raised by what we read, is contained
    assert len(faults.counts) == 1


class LateError(TimeoutError):
    """A limit that looks like an error of the file system."""


def late(*_arguments, **_options):
    def raising(signum, frame):
        raise LateError

    before = signal.signal(signal.SIGALRM, raising)
    try:
        signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)


READINGS = {
    "a time zone": ("tc_core.model.period.ZoneInfo", lambda: period.zone("Europe/Berlin")),
    "which file is there": ("os.stat", lambda: sqlite._identity(Path("store.db"))),
    "when it was written": ("pathlib.Path.stat", lambda: sqlite._state(Path("store.db"))),
    "who has died": ("os.listdir", lambda: spool.files_of_others(Path("store.db.spool"), [])),
    "the settings": ("pathlib.Path.read_text", lambda: settings_file.read(Path("token_calculator.yaml"))),
    "where the program is": ("pathlib.Path.cwd", settings_reading._working_directory),
    "a vocabulary": ("tc_core.meter.tokens._definition", lambda: tokens._encoding.__wrapped__("o200k_base")),
}


@pytest.mark.parametrize("what", READINGS)
def test_a_limit_that_looks_like_an_error_of_the_file_system_is_not_taken_for_one(what, monkeypatch):
    name, read = READINGS[what]
    monkeypatch.setattr(name, late)
    error = error_of(read)
    monkeypatch.undo()
    assert type(error) is LateError


def error_of(work):
    try:
        work()
    except BaseException as error:
        return error
    return None


def test_an_error_made_from_what_struck_is_known_by_it(limit):
    def translated():
        try:
            reading()
        except LimitError as error:
            raise RuntimeError("the database failed") from error

    assert type(foreign(error_of(translated))) is LimitError
    assert foreign(error_of(broken)) is None
    assert foreign(error_of(lambda: int("x"))) is None


def test_what_another_thread_sends_is_foreign():
    import ctypes

    def busy():
        threading.Timer(
            0.05, ctypes.pythonapi.PyThreadState_SetAsyncExc, (ctypes.c_ulong(me), ctypes.py_object(LimitError))
        ).start()
        for number in range(1 << 40):
            str(number)

    me = threading.get_ident()
    assert type(foreign(error_of(busy))) is LimitError
