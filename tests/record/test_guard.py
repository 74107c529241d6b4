import logging

import pytest

from tc_core.record.guard import MOST_KINDS, attempt, contained, faults, never_raises

pytestmark = pytest.mark.swallows


@never_raises
def hook(error=None):
    if error is not None:
        raise error
    return "fine"


def test_a_hook_that_works_returns_what_it_returns():
    assert hook() == "fine"
    assert faults.counts == {}


def test_an_error_is_swallowed_counted_and_logged_once_without_its_text(caplog):
    with caplog.at_level(logging.WARNING, logger="tc_core"):
        for _ in range(3):
            assert hook(ValueError("the prompt: CANARY")) is None
    (kind,) = faults.counts
    assert kind.endswith(".hook: ValueError")
    assert faults.counts[kind] == 3
    assert len(caplog.records) == 1
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes(error):
    with pytest.raises(error):
        hook(error())


def test_strict_mode_raises():
    faults.strict = True
    for guarded in (lambda: hook(ValueError()), lambda: attempt(int, "x"), lambda: block("x")):
        with pytest.raises(ValueError):  # noqa: PT011  # which one does not matter
            guarded()


def block(text):
    with contained("block"):
        int(text)


def test_a_reading_that_fails_gives_its_default():
    assert attempt(int, "7") == 7
    assert attempt(int, "x") is None
    assert attempt(int, "x", default=0) == 0
    block("x")
    assert faults.counts == {"builtins.int: ValueError": 2, "block: ValueError": 1}


def test_what_was_told_to_the_store_is_not_told_again():
    faults.note("a")
    assert faults.take() == {"a": 1}
    assert faults.take() == {}
    faults.give_back({"a": 1})
    faults.note("a")
    assert faults.take() == {"a": 2}
    assert faults.counts == {"a": 2}


def test_kinds_of_fault_are_bounded():
    for number in range(MOST_KINDS + 50):
        faults.note(f"kind {number}")
    assert len(faults.counts) == MOST_KINDS + 1
    assert faults.counts["other"] == 50
