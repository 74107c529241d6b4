"""What a larger text quotes of an earlier output is its maker's, in the waterfall and in the lineage."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tc_core.ledger.blocks import BLOCK, Fingerprints, stream
from tc_core.ledger.quotations import LEAST_QUOTED, Quotations
from tc_core.runtime.recorders import wait_for_parts
from tests.ledger.conftest import LONG, SYSTEM, Ledger, of, said, user

KEY = bytes(range(32))
REPORT = (
    "The harbour of Lübeck handled 4,712 containers in March, a fifth more than the year before; most of them came "
    "from Turku and Gdynia. Delays were caused by ice on the Trave, by a strike of the pilots, and by a crane that "
    "had to be replaced. The port expects that the second crane will be ready in May, at a cost of 3.1 million euro."
)

WRAPPERS = {
    "as it is": lambda text: text,
    "as JSON": json.dumps,
    "behind a bar": lambda text: "\n".join(f"> {text[at : at + 60]}" for at in range(0, len(text), 60)),
    "re-wrapped": lambda text: "\n".join(text[at : at + 37] for at in range(0, len(text), 37)),
    "with other marks": lambda text: f"**{text.replace(' ', '  ').upper()}**",
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_whole_quotation_is_found_however_it_is_wrapped(wrap):
    quotations = Quotations(KEY)
    quotations.add(1, REPORT)
    text = f"Write a summary of this report for the board, in three lines: {wrap(REPORT)} Thank you."
    ((source, share),) = quotations.of(2, text)
    assert source == 1
    assert share == pytest.approx(len(stream(REPORT)) / len(stream(text)), abs=0.01)


def test_what_quotes_nothing_has_no_quotation():
    quotations = Quotations(KEY)
    quotations.add(1, REPORT)
    assert quotations.of(2, LONG) == []
    assert quotations.of(2, "") == []
    assert quotations.of(1, REPORT) == []  # itself


def test_below_96_letters_and_digits_nothing_is_said():
    quotations = Quotations(KEY)
    quotations.add(1, REPORT)
    assert quotations.of(2, LONG + REPORT[: LEAST_QUOTED - 10] + LONG) == []


def test_any_run_of_143_is_found_wherever_it_begins():
    """Three blocks less one character hold two whole blocks, whatever the place."""
    quotations, characters = Quotations(KEY), stream(REPORT).decode()
    quotations.add(1, REPORT)
    for start in range(len(characters) - 3 * BLOCK):
        run = characters[start : start + 3 * BLOCK - 1]
        text = f"zzz {run} zzz"
        ((source, share),) = quotations.of(2, text)
        assert (source, round(share * len(stream(text))) >= LEAST_QUOTED) == (1, True), start


def test_words_that_many_have_are_nobodys():
    quotations = Quotations(KEY)
    for number in range(8):
        quotations.add(number, f"{REPORT} {LONG}"[: 400 + number * 60])
    assert quotations.of(99, f"see: {REPORT[:300]}") == []


def test_two_sources_in_one_text_are_told_apart_and_counted_once():
    quotations = Quotations(KEY)
    quotations.add(1, REPORT)
    quotations.add(2, LONG)
    found = dict(quotations.of(3, f"A: {REPORT}\nB: {LONG}"))
    assert found.keys() == {1, 2}
    assert 0.95 < sum(found.values()) <= 1


@given(st.text(min_size=200, max_size=400), st.text(max_size=80), st.text(max_size=80))
@settings(deadline=None, max_examples=60)
def test_shares_are_never_more_than_the_whole(text, before, after):
    quotations = Quotations(KEY)
    quotations.add(1, text)
    quotations.add(2, text[50:] + REPORT)
    assert sum(each.share for each in quotations.of(3, before + text + REPORT + after)) <= 1


def test_what_is_stored_can_be_read_by_its_own_key_alone():
    own, other = Fingerprints(KEY), Fingerprints(bytes(32))
    prints, places = own.of_source(stream(REPORT))
    sealed = own.sealed(-5, prints, places)
    again, again_places = own.opened(-5, sealed)
    assert (again.tolist(), again_places.tolist()) == (prints.tolist(), places.tolist())
    assert other.opened(-5, sealed)[0].tolist() != prints.tolist()
    assert prints.tobytes()[:8] not in sealed
    assert own.sealed(7, prints, places) != sealed


def test_the_oldest_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr("tc_core.ledger.quotations.MOST_BLOCKS", 40)
    monkeypatch.setattr("tc_core.ledger.quotations.MOST_RECENT", 10)
    quotations = Quotations(KEY)
    texts = [" ".join(f"{number}x{word}" for word in range(90)) for number in range(30)]
    for number, text in enumerate(texts):
        quotations.add(number, text)
        assert [each.source for each in quotations.of(99, f"read: {text}")] == [number]
    assert quotations.of(99, f"read: {texts[0]}") == []


# In a store


def test_an_answer_in_a_larger_message_is_a_row_of_its_own(each_ledger):
    ledger = each_ledger
    first = ledger.call([SYSTEM, user("report on the harbour")], [said(REPORT)], tokens=180, agent_id="researcher")
    paste = user(f"Shorten this for the board, and keep all the numbers, please: {REPORT} Thank you very much!")
    second = ledger.call([user("You shorten."), paste], [said("Less ice.")], tokens=130, agent_id="writer")
    assert ledger.relations() == {"derived_from": {(second, first)}}
    rows = of(ledger.waterfall(agent_id="writer"))
    assert rows["agent researcher's answers"].tokens > 80
    assert 10 < rows["user"].tokens < 50
    assert sum(row.tokens for row in rows.values()) == 130


def test_passages_in_a_prompt_are_rows_of_their_own(ledger):
    root = ledger.recorder.start("workflow", key="run", name="rag")
    ledger.tool("shelf", REPORT, kind="retrieval", parent="run")
    ledger.call(
        [SYSTEM, user(f"Answer from this:\n{REPORT}\n\nQuestion: why?")], [said("ice")], tokens=260, parent="run"
    )
    rows = of(ledger.waterfall(event_id=root))
    assert rows["passages of shelf"].tokens > 80
    assert sum(row.tokens for row in rows.values()) == 260


def test_what_was_said_before_does_not_quote_what_came_after(ledger, run_python):
    """Also in another process, to which the older text is new."""
    ledger.call([SYSTEM, user(f"note this down, will you: {REPORT}")], [said("done")], tokens=220)
    ledger.tool("notes", REPORT)
    ledger.relations()
    run_python(
        "from tc_core import SQLiteStorage\n"
        "from tests.ledger.test_quotations import *\n"
        f"with SQLiteStorage({str(ledger.store.path)!r}) as store:\n"
        "    Ledger(store).call([SYSTEM, user(f'note this down, will you: {REPORT}')], [said('done')], tokens=220)\n"
        "    assert wait_for_parts(store, 60)\n"
    )
    assert set(of(ledger.waterfall())) == {"system prompt", "user", "message format"}


def test_another_process_finds_what_it_quotes(ledger, run_python):
    ledger.call([SYSTEM, user("report")], [said(REPORT)], tokens=220)
    ledger.relations()
    run_python(
        "from tc_core import SQLiteStorage\n"
        "from tests.ledger.test_quotations import *\n"
        f"with SQLiteStorage({str(ledger.store.path)!r}) as store:\n"
        "    Ledger(store).call([user(f'Shorten this please, will you: {REPORT}')], [said('ice')], tokens=110)\n"
        "    assert wait_for_parts(store, 60)\n"
    )
    assert of(ledger.waterfall())["answers"].tokens > 70


def test_no_text_is_stored(ledger):
    ledger.call([SYSTEM, user("report")], [said(REPORT)], tokens=220)
    assert wait_for_parts(ledger.store, 60)
    ledger.store.flush()
    everything = b"".join(path.read_bytes() for path in ledger.store.path.parent.rglob("*") if path.is_file())
    assert b"Turku" not in everything
    assert b"turkuandgdynia" not in everything


def test_quotations_are_swept_with_their_texts(ledger):
    from tc_core.ledger.sweep import Sweep
    from tc_core.store.keep import deletion

    ledger.call([SYSTEM, user("report")], [said(REPORT)], tokens=220)
    ledger.call([user(f"Shorten this please, will you: {REPORT}")], [said("ice")], tokens=110)
    ledger.relations()
    store = ledger.store
    with store.question() as connection:
        keys = connection.exec_driver_sql("SELECT key FROM event ORDER BY key").scalars().all()
        assert connection.exec_driver_sql("SELECT count(*) FROM quoted").scalar() == 1
    store.database.transact(lambda connection: deletion.remove(connection, store.database, keys[:1]))
    sweep = Sweep(store.database)
    while sweep.step():
        pass
    assert [finding for finding in store.check() if finding.state == "fault"] == []
    assert isinstance(ledger, Ledger)
