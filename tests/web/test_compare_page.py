"""The page of comparisons shows what `token-calc compare` prints, and two runs side by side."""

import json

import pytest

WEEKS = {"before": "2026-03-16..2026-03-22", "after": "2026-03-23..2026-03-29"}
ADDRESS = "/compare?before=2026-03-16..2026-03-22&after=2026-03-23..2026-03-29"


def test_the_steps_lead_from_one_cost_to_the_other_exactly(client):
    answer = client.get("/api/compare", params=WEEKS).json()
    plain = client.get("/api/compare.json", params=WEEKS).json()
    first, *parts, last = answer["steps"]
    assert first["to"] == plain["before"]["total_cost_nanos"]
    assert last["to"] == plain["after"]["total_cost_nanos"]
    assert [part["from"] for part in parts] == [first["to"], *(part["to"] for part in parts[:-1])]
    assert parts[-1]["to"] == last["to"]
    changes = next(column for column in answer["table"]["columns"] if column["label"] == "change")
    assert sum(changes["value"]) == plain["difference_nanos"]


def test_it_says_what_the_command_says(visit, run_command, month):
    page = visit(ADDRESS)
    printed = run_command("compare", *WEEKS.values(), "--store", month).stdout
    assert page.inner_text(".answer").replace("\xa0", " ") == printed.splitlines()[0]
    assert "support: 96 priced calls instead of 50" in page.inner_text(".why")
    assert "+5,976" in page.get_by_role("grid", name="What the prompts of planner have more of").inner_text()
    said = json.loads(run_command("compare", *WEEKS.values(), "--json", "--store", month).stdout)
    assert page.evaluate("fetch('/api/compare.json' + location.search).then((answer) => answer.json())") == said


def test_where_neither_has_calls_others_are_offered(visit, until):
    page = visit("/compare")
    assert page.inner_text(".answer") == "No calls this week, and none last week."
    page.get_by_role("link", name="the last two weeks with calls").click()
    page.wait_for_url("**/compare?before=2026-03-16..2026-03-22&after=2026-03-23..2026-03-29")
    until(page, "document.querySelector('.answer').textContent.includes('+$0.0385')")


def test_two_runs_side_by_side(visit, client, run_command, month):
    runs = client.get("/api/runs", params={"filter": "workflow=planner"}).json()
    later, earlier = runs["ids"][0], runs["ids"][-1]
    page = visit(f"/compare?run={later}&with={earlier}")
    printed = run_command("workflow", "planner", "--run", later, "--compare", earlier, "--store", month).stdout
    said = page.inner_text(".answer")
    assert said.startswith(f"planner: from run {earlier[-8:]} to run {later[-8:]} +$")
    money = said.split(" ")[7].rstrip(",")
    assert money in printed.splitlines()[0]
    origins = page.get_by_role("grid", name="Changes by origin of input tokens").inner_text()
    assert "system prompt" in origins


def test_a_run_is_compared_with_the_one_before_it(client):
    runs = client.get("/api/runs", params={"filter": "workflow=contract-check"}).json()["ids"]
    found = client.get("/api/compare", params={"run": runs[0]}).json()
    assert (found["run_a"], found["run_b"]) == (runs[1], runs[0])
    first = client.get("/api/compare", params={"run": runs[-1]})
    assert (first.status_code, first.json()["error"]) == (
        404,
        "There is no run of contract-check before this one: choose another one to compare it with.",
    )


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"run": "0123456789abcdef"}, "No event 0123456789abcdef is recorded: `token-calc runs` lists what is."),
        ({"before": "someday"}, "Cannot read 'someday' as a date"),
        ({"with": "0123456789abcdef"}, "The address names a run to compare with, 0123456789abcdef, and not which"),
        ({"by": "day"}, "Periods are compared by names, not by 'day'."),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(client, parameters, sentence):
    answer = client.get("/api/compare", params=parameters)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"].startswith(sentence)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(axe, serving, month, scheme):
    assert axe(f"{serving(month)}{ADDRESS}", scheme=scheme) == []


def test_it_is_useful_on_a_telephone(visit, narrow_page):
    page = visit(ADDRESS, on=narrow_page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
