"""The page of findings shows what the commands print, and policies, which it can change where a token is set."""

import json
import shutil

import pytest

from tc_core import PolicyManager, SQLiteStorage
from tc_core.model import written
from tc_core.web.api import findings
from tc_core.web.security import Access


def test_the_answers_are_those_of_the_commands(client, run_command, month):
    asked = {"since": "2026-03-01"}
    for what, command in (("", "patterns"), ("/savings", "recommend"), ("/anomalies", "anomalies")):
        answer = client.get(f"/api/findings{what}", params=asked).json()
        printed = run_command(command, "--since", "2026-03-01", *(["--top", "20"] if command == "recommend" else ()),
                              "--store", month).stdout  # fmt: skip
        assert "".join(text for text, _ in answer["sentence"]) == printed.splitlines()[0]
    assert client.get("/api/findings.json", params=asked).json() == json.loads(
        run_command("patterns", "--since", "2026-03-01", "--json", "--store", month).stdout
    )


def test_conversations_at_risk_come_first(client):
    answer = client.get("/api/findings/conversations").json()
    states = next(column for column in answer["table"]["columns"] if column["label"] == "state")["text"]
    assert states[:16] == ["hallucination risk"] * 16
    assert set(states[16:]) == {"healthy"}
    assert answer["sentence"][0][0] == "224 conversations, 16 at risk."
    assert answer["rest"] == "and 24 more that fare better"


def test_one_kind_of_one_run(client):
    found = client.get("/api/findings.json", params={"kind": "deep_chain"}).json()
    assert [each["kind"] for each in found["patterns"]] == ["deep_chain"] * 2
    run = client.get("/api/findings.json", params={"run": found["patterns"][0]["event_ids"][0]}).json()
    assert 0 < run["spent_nanos"] < found["spent_nanos"]
    assert client.get("/api/findings", params={"kind": "beauty"}).status_code == 400
    assert client.get("/api/findings", params={"run": "nowhere"}).json()["error"].startswith("No event nowhere is")


def test_a_large_store_opens_on_its_last_run(client, monkeypatch):
    monkeypatch.setattr(findings, "MOST_CALLS", 599)
    answer = client.get("/api/findings").json()
    assert answer["sentence"][0][0] == "In the last run: "
    assert answer["notes"] == [
        "The store has 600 calls, so this is about the last run alone: choose a time, an agent or a run."
    ]
    assert not client.get("/api/findings", params={"agent": "planner"}).json()["notes"]


def test_too_much_at_once_is_refused(client, monkeypatch):
    monkeypatch.setattr(findings, "MOST_EVENTS", 100)
    answer = client.get("/api/findings", params={"since": "2026-03-01"})
    assert answer.status_code == 400
    assert "events are too many to look through at once: choose a shorter time" in answer.json()["error"]
    assert client.get("/api/findings", params={"run": "last"}).status_code == 200


def test_a_pattern_says_what_to_do(visit, until):
    page = visit("/findings?since=2026-03-01&kind=deep_chain")
    table = page.get_by_role("grid", name="Patterns")
    table.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until(page, "new URLSearchParams(location.search).get('open') === '1'")
    detail = page.locator("[aria-label='the selected pattern']")
    assert "Look where it stopped coming nearer to its goal" in detail.inner_text()
    assert "token-calc tree " in detail.inner_text()
    until(page, "document.body.innerText.includes('could have been saved, in')")
    until(page, "document.body.innerText.includes('220 conversations, 16 at risk')")
    until(page, "document.body.innerText.includes('No policy is on.')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(serving, month, scheme, request):
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    axe = request.getfixturevalue("axe")
    assert axe(f"{serving(month)}/findings?since=2026-03-01&open=0&odd.open=0", scheme=scheme) == []


def test_it_is_of_use_on_a_telephone(visit, narrow_page, until):
    page = visit("/findings?since=2026-03-01", on=narrow_page)
    until(page, "document.body.innerText.includes('16 at risk')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# Policies

APPLY = "/api/findings/policies/apply"


MARCH = {"since": "2026-03-01"}
ROUTE = "route-planner-gpt-4o-mini"


def test_policies_are_shown_and_tried_without_a_token(client, month):
    with SQLiteStorage(month) as store:
        proposed = PolicyManager(store).proposals(start_date="2026-03-01")
    answer = client.get("/api/findings/policies", params=MARCH).json()
    assert answer["sentence"][0][0].startswith(f"No policy is on.  {ROUTE} would have saved $0.")
    assert answer["names"] == [each.policy.name for each in proposed]
    assert answer["names"][0] == ROUTE
    assert not any(answer["is_on"])
    assert not answer["may_change"]
    tried = client.get("/api/findings/policies/dry-run", params={**MARCH, "name": ROUTE}).json()
    saved, cost = written.usd(proposed[0].saved_nanos), written.usd(proposed[0].cost_nanos)
    assert tried["sentence"][0][0].startswith(f"{saved} of {cost} would have been saved since 2026-03-01.")
    assert f"policies apply {ROUTE}" in tried["commands"]["apply"]
    assert client.get("/api/findings/policies/dry-run").status_code == 400
    assert client.post(f"{APPLY}?name={ROUTE}", headers={"x-token-calc": "change"}).status_code == 405
    assert not any(client.get("/api/findings/policies", params=MARCH).json()["is_on"])


def test_policies_are_applied_and_undone_with_a_token(client_of, month, tmp_path):
    shutil.copy(month, tmp_path / "month.db")
    mine = {"authorization": "Bearer a-long-secret-token"}
    change = {**mine, "x-token-calc": "change"}
    meant = f"name={ROUTE}&since=2026-03-01"
    with SQLiteStorage(tmp_path / "month.db") as store:
        client, manager = client_of(store, access=Access(token="a-long-secret-token")), PolicyManager(store)
        assert client.post(f"{APPLY}?{meant}", headers=mine).status_code == 403
        assert client.post(f"{APPLY}?{meant}", headers={"x-token-calc": "change"}).status_code == 401
        assert client.get(f"{APPLY}?{meant}", headers=mine).status_code == 404
        assert not manager.log()
        applied = client.post(f"{APPLY}?{meant}&why=a+try", headers=change).json()
        assert applied == {"said": f"{ROUTE} is on: gpt-4o to gpt-4o-mini, agent planner."}
        assert [(each.policy.name, each.is_on) for each in manager.list()] == [(ROUTE, True)]
        undone = client.post(f"/api/findings/policies/undo?name={ROUTE}", headers=change).json()
        assert undone == {"said": f"{ROUTE} is off again."}
        assert not any(each.is_on for each in manager.list())
        by = "explorer, testclient with the token"
        assert [(each.name, each.kind, each.by, each.why) for each in manager.log()] == [
            (ROUTE, "applied", by, "a try"),
            (ROUTE, "undone", by, None),
        ]
        shown = client.get("/api/findings/policies", params=MARCH, headers=mine).json()
        assert shown["log"]["rows"] == 2
