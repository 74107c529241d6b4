"""The page of budgets shows what `token-calc budget` and `token-calc forecast` print."""

import json
from datetime import UTC, datetime, time, timedelta

import pytest

import tc_core


@pytest.fixture(scope="module")
def spending(tmp_path_factory):
    """Sixty days until yesterday, of 40 and, on two days of the week, 10 calls; four budgets."""
    path = tmp_path_factory.mktemp("spending") / "spending.db"
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    with tc_core.SQLiteStorage(path) as store:
        tracker = tc_core.CostTracker(store)
        for back in range(60, 0, -1):
            day = today - timedelta(days=back)
            for number in range(10 if day.weekday() > 4 else 40):
                at = day + timedelta(minutes=number)
                tracker.track_call("gpt-4o", 4000, 100, timestamp=at, agent_id=f"agent {number % 2}")
        tracker.track_call("gpt-4o", 4000, 100, agent_id="agent 1")  # $0.011, now
        tc_core.flush()
        budgets = tc_core.BudgetTracker(store)
        budgets.set_budget(1000, "year", name="roomy")
        budgets.set_budget(0.01, "day", {"agent_id": "agent 1"}, name="<b>tight</b>", hard=True, by="ann", why="a test")
    return path


def test_each_budget_stands_as_the_command_says(visit, spending, run_command):
    page = visit("/budgets", of=spending)
    printed = run_command("budget", "status", "--store", spending)
    assert page.inner_text(".answer >> nth=0") == printed.stdout.splitlines()[0] == "<b>tight</b> is over by $0.001."
    shown = page.locator(".budget")
    assert shown.count() == 2
    tight = shown.filter(has_text="tight").inner_text()
    assert "$0.011 of $0.01" in tight
    assert "110 %" in tight
    assert "hard, agent_id=agent 1" in tight
    assert page.locator(".budget .fill.over").count() == 1
    assert page.locator("main b").count() == 0


def test_the_json_is_that_of_the_command(client_of, spending, run_command):
    with tc_core.SQLiteStorage(spending) as store:
        found = client_of(store).get("/api/budgets.json").json()
    printed = json.loads(run_command("budget", "status", "--json", "--store", spending).stdout)
    assert [(each["name"], each["spent"], each["amount"]) for each in found] == [
        (each["name"], each["spent"], each["amount"]) for each in printed
    ]


def test_the_history_of_a_budget_that_never_was_is_not_found(client_of, spending):
    with tc_core.SQLiteStorage(spending) as store:
        client = client_of(store)
        assert client.get("/api/budgets/history", params={"budget": "roomy"}).status_code == 200
        unknown = client.get("/api/budgets/history", params={"budget": "romy"})
        assert client.get("/api/budgets/history").status_code == 200  # of all budgets
    assert unknown.status_code == 404
    assert "No budget 'romy' was ever set" in unknown.text


def test_a_budget_opens_its_history(visit, spending):
    page = visit("/budgets", of=spending)
    page.get_by_role("button", name="tight").click()
    page.wait_for_url("**/budgets?budget=%3Cb%3Etight%3C%2Fb%3E")
    changes = page.get_by_role("grid", name="Changes of")
    changes.wait_for()
    assert "ann" in changes.inner_text()
    assert "a test" in changes.inner_text()
    assert "agent_id=agent 1" in changes.inner_text()
    page.get_by_role("grid", name="Periods of").wait_for()


def test_the_forecast_is_that_of_the_command(visit, spending, run_command):
    page = visit("/budgets", of=spending)
    printed = run_command("forecast", "--store", spending).stdout.splitlines()
    assert page.inner_text(".part .answer").replace("\xa0", " ") == " ".join(printed[0].split())
    assert page.get_by_role("slider", name="costs of the past days").count() == 1
    page.get_by_role("button", name="How such forecasts did").click()
    grid = page.get_by_role("grid", name="Forecasts of the past")
    grid.wait_for()
    assert grid.get_by_text("in the interval").count() > 0


def test_no_budget_says_how_one_is_set(visit, store):
    page = visit("/budgets", of=store.path)
    assert page.inner_text(".answer >> nth=0") == "No budget is set."
    assert "token-calc budget set 50 month" in page.inner_text(".nothing-here")
    assert "There is nothing to forecast from." in page.inner_text("main")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(axe, serving, spending, scheme):
    assert axe(f"{serving(spending)}/budgets?backtest=1&budget=roomy", scheme=scheme) == []


def test_it_is_useful_on_a_telephone(visit, spending, narrow_page):
    page = visit("/budgets?budget=roomy", of=spending, on=narrow_page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
