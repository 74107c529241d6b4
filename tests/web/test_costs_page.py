"""The page of costs shows what `token-calc costs` prints."""

import json

import pytest


def test_the_figures_are_those_of_the_command(visit, run_command, month):
    page = visit("/costs?by=agent,model&since=2026-03-01")
    printed = run_command("costs", "--by", "agent,model", "--since", "2026-03-01", "--store", month).stdout
    first = printed.splitlines()[0]
    assert page.inner_text(".answer").replace("\xa0", " ") == first
    rows = page.locator(".grid .row").all()
    shown = [[cell.strip() for cell in row.locator("[role=gridcell]").all_inner_texts()] for row in rows]
    wanted = [
        line for line in printed.splitlines()[3:] if line.startswith(("contracts", "planner", "summaries", "support"))
    ]
    assert len(shown) == len(wanted) == 5
    for cells, line in zip(shown, wanted, strict=True):
        agent, model, calls, tokens, cached, percent, output, cost = line.split()[:8]
        assert cells == [agent, model, calls, tokens, f"{cached} {percent}", output, cost, line.split()[-2] + " %"]


def test_the_bars_sum_to_the_answer(client):
    answer = client.get("/api/costs", params={"by": "agent"}).json()
    plain = client.get("/api/costs.json", params={"by": "agent"}).json()
    bars = answer["bars"]
    assert bars["unit"] == "day"
    assert len(bars["buckets"]) == 30  # 28 February to 29 March
    assert sum(sum(series["value"]) for series in bars["series"]) == plain["total_cost_nanos"]
    assert bars["ticks"][-1]["value"] >= max(map(sum, zip(*(each["value"] for each in bars["series"]), strict=True)))


@pytest.mark.parametrize(("unit", "count"), [("hour", None), ("week", 5), ("month", 2)])
def test_bars_of_other_units(client, unit, count):
    bars = client.get("/api/costs", params={"unit": unit}).json()["bars"]
    assert bars["unit"] == unit
    assert count is None or len(bars["buckets"]) == count
    total = client.get("/api/costs.json").json()["total_cost_nanos"]
    assert sum(sum(series["value"]) for series in bars["series"]) == total


def test_controls_change_the_address_and_back_undoes_it(visit, until):
    page = visit("/costs")
    page.get_by_label("by", exact=True).fill("agent")
    page.keyboard.press("Enter")
    page.wait_for_url("**/costs?by=agent")
    page.get_by_role("button", name="planner").click()
    page.wait_for_url("**/costs?by=agent&filter=agent%3Dplanner")
    until(page, "document.querySelectorAll('.grid .row').length === 1")
    page.get_by_role("button", name="take out the filter agent=planner").click()
    until(page, "document.querySelectorAll('.grid .row').length === 4")
    page.go_back()
    until(page, "document.querySelectorAll('.grid .row').length === 1")


def test_a_bar_opens_its_day(visit):
    page = visit("/costs?by=agent")
    page.get_by_role("slider", name="costs over time").focus()
    page.keyboard.press("End")
    assert page.inner_text(".tip").startswith("2026-03-29")
    page.keyboard.press("Enter")
    page.wait_for_url("**/costs?by=agent&since=2026-03-29&until=2026-03-29")


def test_a_table_is_sorted_and_walked_with_keys(visit):
    page = visit("/costs?by=agent")
    page.get_by_role("columnheader", name="calls").get_by_role("button").click()
    page.wait_for_url("**/costs?by=agent&order=-calls")
    assert page.locator(".grid .row").first.inner_text().startswith("support")
    page.locator(".grid").focus()
    page.keyboard.press("End")
    assert page.locator(".grid .row.is-at").inner_text().startswith("contracts")
    page.keyboard.press("Home")
    assert page.locator(".grid .row.is-at").inner_text().startswith("support")


def test_nothing_recorded(visit, store):
    page = visit("/costs", of=store.path)
    assert page.inner_text(".answer") == "No calls recorded."
    assert "token-calc demo" in page.inner_text(".nothing-here")


def test_unpriced_models_are_named(visit, tmp_path):
    import tc_core

    with tc_core.SQLiteStorage(tmp_path / "own.db") as store:
        tracker = tc_core.CostTracker(store)
        tracker.track_call("gpt-4o", 1000, 10)
        tracker.track_call("our-own-model", 1000, 10)
        tc_core.flush()
    page = visit("/costs", of=tmp_path / "own.db")
    assert "1 call unpriced" in page.inner_text(".answer .tone-doubt")
    assert "1 of 2 calls" in page.inner_text(".coverage")
    assert "our-own-model" in page.get_by_role("grid", name="Models with calls that have no price").inner_text()


def test_ten_thousand_labels_are_shown_row_by_row(visit, tmp_path, until):
    import tc_core

    with tc_core.SQLiteStorage(tmp_path / "many.db") as store:
        tracker = tc_core.CostTracker(store)
        for number in range(3000):
            tracker.track_call("gpt-4o", 1000 + number, 10, user=f"user {number} <b>مستخدم</b>")
        tc_core.flush()
    page = visit("/costs?by=labels.user", of=tmp_path / "many.db")
    grid = page.get_by_role("grid", name="Costs by labels.user")
    assert grid.get_attribute("aria-rowcount") == "3001"
    assert page.locator(".grid .row").count() < 80
    assert page.locator(".grid b").count() == 0
    grid.focus()
    page.keyboard.press("End")
    until(page, "document.querySelector('.row.is-at')?.textContent.includes('user 0 <b>')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(axe, serving, month, scheme):
    assert axe(f"{serving(month)}/costs?by=agent&filter=environment=production", scheme=scheme) == []


def test_shares_are_whole_on_a_telephone(visit, narrow_page):
    page = visit("/costs?by=agent", on=narrow_page)
    grid, share = page.locator(".grid").bounding_box(), page.locator(".row .share .figure").first.bounding_box()
    assert share["x"] + share["width"] <= grid["x"] + grid["width"]


def test_it_is_useful_on_a_telephone(visit, narrow_page):
    page = visit("/costs?by=agent,model", on=narrow_page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "$0.3278" in page.inner_text(".grid")


def test_the_json_is_that_of_the_command(client, run_command, month):
    printed = run_command("costs", "--json", "--store", month).stdout
    assert client.get("/api/costs.json").json() == json.loads(printed)
