"""The page of the waterfall: the command's figures, and pictures that sum to them exactly."""

import json

import pytest

from tc_core import ProvenanceAnalyzer
from tc_core.store.storages import SQLiteStorage
from tests.patterns.conftest import SYSTEM, Story, clock, said, schemas, user


def test_it_says_what_the_command_says(visit, run_command, month):
    page = visit("/waterfall?agent=planner")
    printed = run_command("waterfall", "--agent", "planner", "--store", month).stdout.splitlines()
    assert page.inner_text(".answer").split() == printed[0].split()
    grid = page.get_by_role("grid", name="Origins")
    first = printed[3].split()
    assert first[0] == "tool"
    shown = grid.locator(".row").first.inner_text().split()
    assert shown[:7] == first[:7]


def test_it_opens_on_the_last_run(client, run_command, month):
    found = client.get("/api/waterfall").json()
    printed = json.loads(run_command("waterfall", "last", "--json", "--store", month).stdout)
    assert client.get("/api/waterfall.json").json() == printed
    assert found["command"].startswith("token-calc waterfall last")
    assert sum(tile["first"] + tile["again"] for tile in found["tiles"]) == printed["total_tokens"]


def test_bands_sum_on_both_sides_of_each_node(client):
    found = client.get("/api/waterfall", params={"agent": "planner"}).json()
    total = client.get("/api/waterfall.json", params={"agent": "planner"}).json()["total_tokens"]
    links = found["flows"]["links"]
    assert sum(link["value"] for link in links if link["source"].startswith("o")) == total
    for middle in ("first sent", "sent again"):
        into = sum(link["value"] for link in links if link["target"] == middle)
        assert into == sum(link["value"] for link in links if link["source"] == middle) > 0


def test_a_context_sums_to_what_was_billed_in_the_order_sent(month):
    with SQLiteStorage(month) as store:
        call = store.query_events({"event_type": "llm_call", "agent_id": "planner"}, limit=3)[-1]
        parts = ProvenanceAnalyzer(store).context(call.event_id)
        tool = store.query_events({"event_type": "tool"}, limit=1)[0]
        assert ProvenanceAnalyzer(store).context(tool.event_id) == ()
    assert sum(part.tokens for part in parts) == call.input_tokens
    assert [part.origin_kind for part in parts][:3] == ["tools", "system", "user"]
    assert parts[-1].origin_kind == "format"
    assert [part.is_resent for part in parts if part.name == "system prompt"] == [True]


def test_keys_choose_the_call_whose_context_is_shown(visit, until):
    page = visit("/waterfall?run=planner")
    page.wait_for_selector(".parts")
    before = page.inner_text("section:has(.parts) > p")
    page.get_by_role("slider", name="the call whose context is shown").focus()
    page.keyboard.press("Home")
    until(page, "new URLSearchParams(location.search).get('context') !== null")
    until(page, f"document.querySelector('section:has(.parts) > p').textContent !== {json.dumps(before)}")
    page.get_by_role("link", name="The call in its run").click()
    page.wait_for_selector(".tree .row.is-at")
    assert "gpt-4o" in page.inner_text(".tree .row.is-at")


def test_the_pictures_are_drawn(visit, until):
    page = visit("/waterfall?agent=planner")
    page.wait_for_selector(".flows text")
    assert page.locator(".tiles rect").count() >= 6
    page.get_by_label("as large as").select_option("cost")
    until(page, "document.querySelector('.tiles svg').getAttribute('aria-label').includes('by cost')")
    assert "Name one run above" in page.inner_text("main")


def test_a_cache_break_is_told_with_its_cause(visit, tmp_path):
    path = tmp_path / "breaks.db"
    with SQLiteStorage(path) as store:
        story = Story(store)
        question = user("Which trains go from Berlin to Lisbon on the fifth of March, and what do they cost?")
        history = [schemas("search", "book"), SYSTEM, question]
        with story.run():
            for turn in range(5):
                prompt = [history[0], clock(turn), *history[2:]]
                answer = said(f"Answer {turn}: " + "by way of Paris. " * 12)
                story.call(prompt, answer, tokens=sum(len(str(part.body)) // 4 + 4 for part in prompt), cached=0)
                history = [*history, answer, user(f"And question {turn}, of which more could be said than is here?")]
        store.flush()
    page = visit("/waterfall", of=path)
    grid = page.get_by_role("grid", name="Cache breaks")
    grid.wait_for()
    assert "gpt-4o" in grid.inner_text()
    grid.get_by_role("link").first.click()
    page.wait_for_selector(".tree .row.is-at")


def test_nothing_recorded_and_no_input_are_said(visit, store, tmp_path):
    page = visit("/waterfall", of=store.path)
    assert "No run is recorded yet" in page.inner_text(".failed")
    page.errors.clear()  # the browser's own line about the 404
    page = visit("/waterfall?agent=nobody", of=store.path)
    assert page.inner_text(".answer") == "No model call with input tokens is recorded there."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(axe, serving, month, scheme):
    assert axe(f"{serving(month)}/waterfall?run=planner", scheme=scheme, ready=".parts") == []


def test_it_is_useful_on_a_telephone(visit, narrow_page):
    page = visit("/waterfall?run=planner", on=narrow_page)
    page.wait_for_selector(".flows text")
    page.wait_for_selector(".parts")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
