"""The waterfall of many calls at once is that of one part after the other, whatever was recorded."""

import random

import pytest

from tc_core import SQLiteStorage
from tc_core.ledger import parts, sql, sums
from tc_core.ledger.waterfall import waterfall
from tc_core.model.event import from_us
from tc_core.model.segment import Segment
from tc_core.model.usage import Usage
from tc_core.runtime.recorders import recorder_for, wait_for_parts
from tests.ledger import plain_waterfall
from tests.ledger.conftest import SCHEMAS, SYSTEM, asked, brought, said, user

CHARGED = (
    ("claude-sonnet-4-5", {"cache_read_input_tokens": 90, "server_tool_use": {"web_search_requests": 2}}),
    (
        "claude-sonnet-4-5",
        {
            "cache_read_input_tokens": 90,
            "iterations": [
                {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 3000, "output_tokens": 20},
                {"type": "message", "input_tokens": 300, "output_tokens": 5, "cache_read_input_tokens": 90},
            ],
        },
    ),
    ("claude-sonnet-4-6", {"cache_creation_input_tokens": 200, "inference_geo": "us"}),
    ("grok-4-fast-reasoning", {"num_sources_used": 3, "cost_in_usd_ticks": 10**8}),
)
"""Models, and what an answer of theirs is charged for beside its 300 and 5 tokens."""
MODELS = ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-4o-audio-preview", "deepseek-chat", "nobody-knows-1")
WORDS = ("yes", "no", "what does it cost to fly from Lübeck to Turku on a Tuesday in March, with two children? " * 3)
START_US = 1_767_225_600_000_000


def long_text(chance):
    """Return what is long enough to be quoted."""
    return " ".join(str(chance.randrange(10**6)) for _ in range(40))


def record(store, seed, calls=40):
    """Record conversations in and without sessions, with tools and without, of which some go on from others."""
    chance, recorder = random.Random(seed), recorder_for(store)
    histories = [[SYSTEM], [SCHEMAS, SYSTEM, user("hello")]]
    outputs = ["yes"]
    roots = [recorder.start("workflow", key=f"run-{number}", name="run") for number in range(3)]
    for number in range(calls):
        history = list(chance.choice(histories))
        for _ in range(chance.randrange(3)):
            text = chance.choice(
                (*WORDS, f"Consider this: {max(outputs[-5:], key=len)} and answer.", chance.choice(outputs))
            )
            history.append(chance.choice((user, said, brought, lambda each: Segment("system", "text", each)))(text))
        if chance.random() < 0.1:
            history = history[:1] + history[3:]
        answer = [chance.choice((said(long_text(chance)), said("yes"), asked("search", day=chance.randrange(3))))]
        labels = {"agent_id": chance.choice("ab")}
        if chance.random() < 0.5:
            labels["session_id"] = chance.choice("st")
        read = chance.choice((0, 5, 40, 300, chance.randrange(1, 20_000), 250_000))
        used = Usage(
            read,
            chance.randrange(900),
            chance.choice((None, 0, read // 3, read)),
            chance.choice((None, 0, read // 5, 900)),
            audio_input_tokens=chance.choice((None, None, read // 7)),
            cache_write_1h_tokens=chance.choice((None, None, read // 9)),
        )
        report = {"usage": {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 305, "cost": chance.random()}}
        model = chance.choice(MODELS)
        is_billed = chance.random() < 0.2
        if is_billed and chance.random() < 0.5:
            model, charged = chance.choice(CHARGED)
            report = {"usage": {"input_tokens": 300, "output_tokens": 5, **charged}}
        at = START_US + chance.randrange(90) * 3_600_000_000
        recorder.start(
            "llm_call",
            key=number,
            parent=chance.choice((None, "run-0", "run-1", "run-2")),
            model=model,
            content=history if chance.random() < 0.85 else None,
            labels=labels,
            at_us=at,
        )
        recorder.finish(
            number, usage=None if is_billed else used, report=report if is_billed else None, output=answer, at_us=at + 1
        )
        histories.append([*history, *answer])
        if chance.random() < 0.4:
            text = long_text(chance)
            recorder.start(chance.choice(("tool", "retrieval")), key="tool", parent="run-1", name=chance.choice("xy"))
            recorder.finish("tool", output=[brought(text)], at_us=at + 2)
            outputs.append(text)
            histories.append([*history, *answer, brought(text)])
        outputs.extend(each.body for each in answer if isinstance(each.body, str))
    for number in range(3):
        recorder.finish(f"run-{number}")
    assert wait_for_parts(store, 60)
    return roots


QUESTIONS = ({}, {"agent_id": "a"}, {"session_id": "s"}, {"model": "gpt-4o"}, {"agent_id": "nobody"})


@pytest.mark.parametrize("few", [0, 1000], ids=["node by node", "way by way"])
@pytest.mark.parametrize(("seed", "most_at_once"), [(0, 1 << 18), (1, 100), (2, 100)])
def test_it_is_that_of_one_part_after_the_other(seed, most_at_once, few, tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "FEW", few)
    monkeypatch.setattr(sums, "MOST_AT_ONCE", most_at_once)
    monkeypatch.setattr(parts, "MOST_AT_ONCE", most_at_once)
    with SQLiteStorage(tmp_path / "s.db") as store:
        roots = record(store, seed)
        half = from_us(START_US + 40 * 3_600_000_000)
        for filters in (*QUESTIONS, {"root_id": roots[0]}):
            for is_single in (False, True):
                for end in (None, int(half.timestamp() * 1_000_000)):
                    found = waterfall(store, filters, None, end, is_single=is_single)
                    expected = plain_waterfall.waterfall(store, filters, None, end, is_single=is_single)
                    assert found == expected
        everything = {row.origin_kind for row in waterfall(store).rows}
        assert everything >= {"tools", "system", "user", "answer", "tool", "format", "unexplained", "no_details"}
        with store.question() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM quoted").scalar_one() > 0


@pytest.mark.parametrize("shorter", [0, 1], ids=["where it is sent first", "where it is sent again"])
def test_what_weighs_less_for_another_model_is_judged_by_where_it_is_sent_first(shorter, ledger):
    """As if one call's process had counted the text with another tokenizer: 25 tokens, where 32 are asked for."""
    text = " ".join(["word"] * 35)
    ledger.tool("docs", text, kind="retrieval")
    for start in ("hello", "good morning"):
        ledger.call([SYSTEM, user(start), user(text)], [said("yes")], tokens=400)
    assert wait_for_parts(ledger.store, 60)
    with ledger.store.database.writing() as connection:
        nodes = connection.exec_driver_sql("SELECT node FROM prompt ORDER BY event").scalars().all()
        connection.exec_driver_sql(f"UPDATE node SET prefix = prefix - 10 WHERE id = {nodes[shorter]}")
    found = waterfall(ledger.store)
    assert found == plain_waterfall.waterfall(ledger.store)
    assert ("passages of docs" in {row.name for row in found.rows}) == (shorter == 1)


def test_a_cost_too_large_for_64_bits_within_is_split_all_the_same(ledger):
    """A million tokens for a billion dollars: their product is 10 to the 24th nano-dollars."""
    ledger.call([SYSTEM, user("hello")], [said("yes")], tokens=10**6)
    assert wait_for_parts(ledger.store, 60)
    with ledger.store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE event SET cost_nanos = {10**18}")
    found = waterfall(ledger.store)
    assert found == plain_waterfall.waterfall(ledger.store)
    assert found.total_cost_nanos > 9 * 10**17
