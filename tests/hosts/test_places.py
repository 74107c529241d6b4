"""Wherever a program goes, and whatever its user lacks, what `instrument()` has read holds on."""

import os

import pytest

from tests.hosts.models import MODEL

ELSEWHERE = """
import os
from pathlib import Path

import tc_core
from tc_core.meter import own_prices

Path("token_calculator.yaml").write_text("prices: own.yaml\\ntracking: {default_labels: {team: ours}}\\n")
Path("own.yaml").write_text("- {model: mine, input: 1.0, output: 2.0}\\n")
Path("job").mkdir()
Path("job/token_calculator.yaml").write_text("storage: {path: wrong.db}\\nprices: none.yaml\\n")
"""

AFTER_INSTRUMENT = """
tc_core.instrument()
model = Model(model_name="mine")
nightly = tc_core.workflow("nightly", storage="s.db")
model.invoke("x")
os.chdir("job")
os.environ["TOKEN_CALC_STORAGE_PATH"] = "wrong.db"
own_prices.forget()
model.invoke("x")
with tc_core.workflow("w"):
    model.invoke("x")
with nightly:
    pass
report = tc_core.CostTracker().get_costs(group_by=["team"])
assert (report.total_calls, report.unpriced_calls) == (3, 0), report
assert [group.key["team"] for group in report.groups] == ["ours"]
assert not Path("wrong.db").exists() and not Path("token_calculator.db").exists() and not Path("s.db").exists()
assert tc_core.CostTracker("../token_calculator.db").get_costs().total_calls == 3
assert len(tc_core.CostTracker("../s.db").storage.query_events()) == 1
del os.environ["TOKEN_CALC_STORAGE_PATH"]
Path("none.yaml").write_text("")
tc_core.instrument()
assert str(tc_core.CostTracker().storage.path) == str(Path("wrong.db").absolute())
"""

AFTER_A_TRACKER = """
tracker = tc_core.CostTracker()
os.chdir("job")
assert tc_core.CostTracker().storage is tracker.storage
assert tracker.track_call("mine", 1_000_000, 0).cost == 1.0
"""

GONE_FILES = """
tc_core.instrument()
model = Model(model_name="mine")
model.invoke("x")
tc_core.flush()
Path("own.yaml").unlink()
Path("token_calculator.yaml").unlink()
own_prices._known = (0.0, own_prices._known[1])  # a second later
model.invoke("x")
assert tc_core.CostTracker().get_costs().unpriced_calls == 0
"""

GONE_FOLDER = """
import os, tempfile
import tc_core

here = os.getcwd()
gone = tempfile.mkdtemp()
os.chdir(gone)
os.rmdir(gone)
for wrong in (None, "s.db"):
    try:
        tc_core.instrument(wrong)
    except (tc_core.StorageError, tc_core.ConfigurationError) as error:
        assert "working directory" in str(error), error
    else:
        raise AssertionError("a store in no folder")
tc_core.instrument(os.path.join(here, "s.db"))
with tc_core.workflow("w"):
    Model().invoke("x")
assert tc_core.CostTracker().get_costs().total_calls == 1
tc_core.uninstrument()
"""

GOES_WHILE_RECORDING = """
import os, tempfile
import tc_core

here, gone = os.getcwd(), tempfile.mkdtemp()
tc_core.instrument("s.db")
os.chdir(gone)
os.rmdir(gone)
with tc_core.workflow("w"):
    Model().invoke("x")
assert tc_core.CostTracker().get_costs().total_calls == 1
"""

BECOMES_NOBODY = """
import os, tempfile
import tc_core, tc_core.adapter
from tc_core.record.guard import faults

tc_core.instrument(os.path.join(tempfile.mkdtemp(), "warm.db"))  # all is imported before it cannot be read any more
Model().invoke("x")
assert tc_core.CostTracker().get_costs().total_calls == 1
tc_core.uninstrument()
for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
    os.environ.pop(name, None)
folder = tempfile.mkdtemp()
os.chdir(folder)
def become_nobody(mode):
    os.chown(folder, 54321, 54321)
    os.chmod(folder, mode)
    os.setgid(54321)
    os.setuid(54321)
"""

NOBODY = """
become_nobody(0o755)
tc_core.instrument()
with tc_core.workflow("w"):
    Model().invoke("x")
assert tc_core.CostTracker().get_costs().total_calls == 1
assert tc_core.adapter.short_id("x") == tc_core.adapter.short_id("x")
assert not os.path.exists("~"), os.listdir()
assert tc_core.CostTracker("token_calculator.db").storage.path.parent == __import__("pathlib").Path(folder)
try:
    tc_core.CostTracker("~/s.db")
except tc_core.StorageError as error:
    assert "home" in str(error), error
else:
    raise AssertionError("a store in no home")
"""

READ_ONLY = """
tc_core.CostTracker("kept.db").track_call("gpt-4o", 1, 1)
tc_core.flush()
become_nobody(0o555)
for where in (None, "s.db", "none/s.db", "kept.db"):
    try:
        tc_core.instrument(where)
    except tc_core.StorageError as error:
        assert ".db" in str(error), error
    else:
        raise AssertionError("a store in a folder that cannot be written")
assert Model().invoke("x").content == "hi"
tc_core.uninstrument()
"""

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


AFTERS = {"instrument": AFTER_INSTRUMENT, "tracker": AFTER_A_TRACKER, "gone": GONE_FILES}


@pytest.mark.parametrize("after", AFTERS)
def test_where_the_program_goes_changes_nothing(run_python, after):
    run_python(MODEL + ELSEWHERE + AFTERS[after])


@pytest.mark.parametrize("program", [GONE_FOLDER, GOES_WHILE_RECORDING], ids=["before", "while"])
def test_a_working_directory_that_is_gone(run_python, program):
    run_python(MODEL + program)


@needs_root
def test_a_user_without_name_and_home_is_recorded(run_python):
    run_python(MODEL + BECOMES_NOBODY + NOBODY)


@needs_root
def test_a_folder_that_cannot_be_written_is_one_clear_error_of_instrument(run_python):
    run_python(MODEL + BECOMES_NOBODY + READ_ONLY)
