"""The page of runs shows what `token-calc runs` prints, and beside each run what was found in it."""

import importlib
import json

import pytest

import tc_core


def test_the_rows_are_those_of_the_command(client, run_command, month):
    asked = {"since": "2026-03-10", "until": "2026-03-13", "sort": "cost"}
    answer = client.get("/api/runs", params=asked).json()
    command = answer["command"].split()[1:]
    printed = json.loads(run_command(*command, "--store", month, "--json").stdout)
    assert answer["ids"] == [run["event_id"] for run in printed]
    assert client.get("/api/runs.json", params=asked).json() == printed
    columns = {column["label"]: column for column in answer["table"]["columns"]}
    assert columns["cost"]["value"] == [run["cost_nanos"] for run in printed]
    assert columns["calls"]["value"] == [run["calls"] for run in printed]


def test_what_was_found_stands_beside_the_run(visit, until):
    page = visit("/runs?sort=cost")
    until(page, "![...document.querySelectorAll('.row')].some((row) => row.lastChild.textContent === '…')")
    long = page.locator(".row", has_text="planner").filter(has_text="deep chain")
    assert long.count() == 2  # both trips of the day on which flights are looked up in a loop


def test_findings_are_those_of_the_command(client, run_command, month):
    printed = json.loads(run_command("patterns", "--json", "--store", month).stdout)["patterns"]
    ids = client.get("/api/runs").json()["ids"]
    said = {}
    for place in range(0, len(ids), 40):
        said |= client.get("/api/runs/findings", params={"run": ids[place : place + 40]}).json()
    chains = [run_id for run_id, words in said.items() if "deep chain" in words["text"]]
    wanted = [pattern for pattern in printed if pattern["kind"] == "deep_chain"]
    assert len(chains) == len(wanted) == 2
    assert client.get("/api/runs/findings", params={"run": "no-such-run"}).json() == {
        "no-such-run": {"text": "", "tone": ""}
    }


def test_waste_stands_with_its_cost(client_of, tmp_path):
    with tc_core.SQLiteStorage(tmp_path / "demo.db") as store:
        tc_core.instrument(store, frameworks=["langchain"])
        importlib.import_module("tc_langchain.demo").run(say=lambda *_: None)
        tc_core.uninstrument()
        client = client_of(store)
        ids = client.get("/api/runs", params={"all": "1"}).json()["ids"]
        said = client.get("/api/runs/findings", params={"run": ids}).json().values()
        loop = next(each for each in said if "agent loop" in each["text"])
        assert loop["text"].startswith("$0.00")
        assert loop["tone"] == "doubt"


def test_a_run_is_opened_with_enter(visit):
    page = visit("/runs")
    page.get_by_role("grid", name="Runs").focus()
    page.keyboard.press("ArrowDown")
    wanted = page.locator(".row.is-at a").get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{wanted}")


def test_each_run_is_drawn_beside_those_before_it(client):
    answer = client.get("/api/runs", params={"filter": "workflow=contract-check"}).json()
    costs = next(column for column in answer["table"]["columns"] if column["label"] == "cost")["value"]
    assert answer["before"][-1] == [costs[-1]]  # the first of all has none before it
    assert answer["before"][0] == costs[11::-1]  # the latest, with the eleven before it, the oldest first


def test_runs_are_filtered_and_ordered(visit, until):
    page = visit("/runs?filter=workflow%3Dcontract-check&sort=time")
    assert page.locator(".row").count() == 20  # the weekdays of the month
    page.get_by_label("order").select_option("cost")
    page.wait_for_url("**sort=cost")
    page.keyboard.press("/")
    page.keyboard.type("nothing is called so")
    until(page, "document.querySelectorAll('.row').length === 0")
    assert "0 rows of 20 rows have" in page.inner_text("main")


def test_calls_that_stand_alone_are_counted_and_shown(visit, until):
    page = visit("/runs?limit=500")
    assert "248 model calls stand alone and are not shown." in page.inner_text("main")
    page.get_by_role("button", name="Show all").click()
    until(page, "document.querySelector('.answer').textContent.includes('in 348 runs')")
    assert page.get_by_role("grid", name="Runs").get_attribute("aria-rowcount") == "349"
    assert page.locator(".row").count() < 80


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(axe, serving, month, scheme):
    assert axe(f"{serving(month)}/runs?since=2026-03-12", scheme=scheme) == []


def test_it_is_useful_on_a_telephone(visit, narrow_page):
    page = visit("/runs", on=narrow_page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.get_by_role("columnheader", name="cost").is_visible()
