import itertools
import os
import uuid

import pytest

from tc_core.model import ids


def test_new_ids_are_version_7_and_in_order_of_time():
    made = [ids.new_id() for _ in range(2000)]
    assert all(uuid.UUID(bytes=each).version == 7 for each in made)
    assert all(uuid.UUID(bytes=each).variant == uuid.RFC_4122 for each in made)
    # The clock ticks in nanoseconds and the id keeps quarters of a microsecond, so equal ticks are rare.
    in_order = sum(a < b for a, b in itertools.pairwise(made))
    assert in_order > 1950
    assert len(set(made)) == len(made)


def test_text_and_bytes_are_the_same_id():
    text = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert ids.to_text(ids.from_text(text)) == text
    assert ids.from_text(text) == uuid.UUID(text).bytes


def test_any_other_text_gets_an_id_of_version_8_that_is_always_the_same():
    first = ids.from_text("req_123")
    assert first == ids.from_text("req_123")
    assert first != ids.from_text("req_124")
    assert uuid.UUID(bytes=first).version == 8
    assert uuid.UUID(bytes=first).variant == uuid.RFC_4122


@pytest.mark.parametrize(
    ("text", "is_external"),
    [
        pytest.param("01890a5d-ac96-774b-bcce-b302099a8057", False, id="canonical"),
        pytest.param("01890A5D-AC96-774B-BCCE-B302099A8057", True, id="upper-case-must-be-kept"),
        pytest.param("req_123", True, id="own"),
        pytest.param("\ud800", True, id="lone-surrogate"),
    ],
)
def test_an_id_is_external_when_its_bytes_do_not_spell_it(text, is_external):
    ids.from_text(text)
    assert ids.is_external(text) is is_external


def test_an_empty_id_is_refused():
    with pytest.raises(ValueError, match="must not be empty"):
        ids.from_text("")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_other_ids(in_a_child):
    read, write = os.pipe()
    assert in_a_child(lambda: os.write(write, b"".join(ids.new_id()[8:] for _ in range(50)))) == 0
    own = {ids.new_id()[8:] for _ in range(50)}
    theirs = os.read(read, 400)
    assert own.isdisjoint(theirs[place : place + 8] for place in range(0, 400, 8))
