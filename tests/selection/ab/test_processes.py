"""Tests that several processes share."""

import subprocess
import sys

import pytest

from tc_core import ABTestError, create_ab_test, open_ab_test
from tc_core.store.storages import create_storage

pytestmark = pytest.mark.slow

CREATE = """
import sys
import tc_core
from tc_core.store.storages import create_storage
store = create_storage(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    test = tc_core.create_ab_test(store, "gpt-4o", sys.argv[2], 14, name="support")
    print("made", [test.arm(number) for number in range(8)])
    for number in range(10):
        test.assign(f"shared-{number}")
        test.record_outcome(f"{sys.argv[3]}", 1) if test.assign(sys.argv[3]) else None
except tc_core.ABTestError as error:
    print("refused", error)
"""


@pytest.fixture
def address(each_store):
    each_store.close()
    return str(each_store.path) if each_store.path is not None else each_store._url


def at_once(address, *models):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, address, model, f"own-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, model in enumerate(models)
    ]
    assert [each.stdout.readline() for each in started] == ["ready\n"] * len(models)
    for each in started:
        each.stdin.write("go\n")
        each.stdin.flush()
    return [each.communicate(timeout=60)[0].strip() for each in started]


def test_several_that_set_up_the_same_test_at_once_get_one(address):
    said = at_once(address, *["gpt-4o-mini"] * 3)
    assert said[0].startswith("made ")
    assert set(said) == {said[0]}
    with create_storage(address) as store:
        results = open_ab_test(store, "support").results()
        assert (results.a.assigned + results.b.assigned, results.outcomes) == (13, 3)


def test_of_two_that_set_up_different_tests_of_one_name_one_is_refused(address):
    said = sorted(at_once(address, "gpt-4o-mini", "gpt-4.1"))
    assert said[0].startswith("made ")
    assert said[1].startswith("refused there is a test 'support' already, with model_b ")


def test_a_program_sees_within_some_seconds_that_it_was_stopped_elsewhere(address, today):
    with create_storage(address) as store, create_storage(address) as other:
        test = create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14, name="support")
        test.assign("s1")
        open_ab_test(other, "support").stop(keep="b")
        assert not test.record_outcome("s1")  # an outcome looks at once
        today.advance(seconds=11)
        assert {test.assign(number) for number in range(10)} == {"gpt-4o-mini"}


def test_a_store_that_is_only_read_answers(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    with create_storage(path) as store:
        create_ab_test(store, "gpt-4o", "gpt-4o-mini", 14, name="support").assign("s1")
    monkeypatch.setattr("tc_core.store.storages._is_read_only", lambda path: True)
    from tc_core.runtime import recorders

    recorders._recorders.clear()
    recorders._parts.clear()
    with create_storage(path) as store:
        test = open_ab_test(store, "support")
        assert test.results().a.assigned + test.results().b.assigned == 1
        with pytest.raises(Exception, match="can only be read"):
            test.stop()
        with pytest.raises(ABTestError, match="there is no A/B test"):
            open_ab_test(store, "another")
