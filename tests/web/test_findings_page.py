"""The page of findings shows what the commands print, and policies where there are some."""

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

import tc_core
from tc_core.web.api import findings, policies
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
    assert "Look where it stopped to come nearer to its goal" in detail.inner_text()
    assert "token-calc tree " in detail.inner_text()
    until(page, "document.body.innerText.includes('could have been saved, in')")
    until(page, "document.body.innerText.includes('220 conversations, 16 at risk')")
    assert page.get_by_role("heading", name="Policies").count() == 0


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


ROUTE = SimpleNamespace(name="route-it", said="gpt-4o to gpt-4o-mini")
CACHE = SimpleNamespace(name="cache-it", said="exact duplicates")
TRIED = SimpleNamespace(
    policy=CACHE,
    calls=10,
    acts=4,
    cost_nanos=300_000_000,
    saved_nanos=90_000_000,
    notes=("2 of 10 calls have no price",),
)


def status(policy, *, is_on):
    acted = SimpleNamespace(calls=7, saved_nanos=120_000_000)
    return SimpleNamespace(policy=policy, state="on" if is_on else "undone", is_on=is_on, acted=acted)


class Manager:
    """Stands for PolicyManager where this version has none: what it was told is in `told`."""

    told: ClassVar = []

    def __init__(self, store):
        assert isinstance(store, tc_core.SQLiteStorage)

    def list(self):
        return [status(ROUTE, is_on=True)]

    def proposals(self, **asked):
        return [TRIED]

    def dry_run(self, name, **asked):
        return TRIED

    def hosts(self, policy):
        return {"langchain": "does it"}

    def log(self):
        return []

    def apply(self, name, **asked):
        self.told.append(("apply", name, asked["by"], asked["why"]))
        return status(CACHE, is_on=True)

    def undo(self, name, **asked):
        self.told.append(("undo", name, asked["by"], asked["why"]))
        return status(ROUTE, is_on=False)


@pytest.fixture
def manager(monkeypatch):
    module = ModuleType("standing_in")
    module.PolicyManager = Manager
    monkeypatch.setitem(sys.modules, "standing_in", module)
    monkeypatch.setattr(policies, "MODULE", "standing_in")
    monkeypatch.setattr(Manager, "told", [])
    return Manager


def test_nothing_is_said_of_policies_where_there_are_none(client, monkeypatch):
    monkeypatch.setattr(policies, "MODULE", "tc_core.no_such_branch.manager")
    assert client.get("/api/findings/policies").json() == {"is_there": False}
    assert client.get("/api/findings/policies/dry-run", params={"name": "x"}).status_code == 400


def test_policies_are_shown_and_tried_without_a_token(client, manager):
    answer = client.get("/api/findings/policies").json()
    assert answer["sentence"][0][0] == (
        "1 policy on: $0.120 saved.  cache-it would have saved $0.0900 of $0.300 in the last 30 days."
    )
    assert answer["names"] == ["route-it", "cache-it"]
    assert answer["is_on"] == [True, False]
    assert not answer["may_change"]
    tried = client.get("/api/findings/policies/dry-run", params={"name": "cache-it"}).json()
    assert tried["sentence"][0][0].startswith("$0.0900 of $0.300 would have been saved in the last")
    assert tried["commands"]["apply"] == "token-calc policies apply cache-it"
    assert (
        client.post("/api/findings/policies/apply?name=cache-it", headers={"x-token-calc": "change"}).status_code == 405
    )
    assert manager.told == []


def test_policies_are_applied_and_undone_with_a_token(client_of, store, manager):
    client = client_of(store, access=Access(token="a-long-secret-token"))
    mine = {"authorization": "Bearer a-long-secret-token"}
    change = {**mine, "x-token-calc": "change"}
    assert client.post("/api/findings/policies/apply?name=cache-it", headers=mine).status_code == 403
    assert (
        client.post("/api/findings/policies/apply?name=cache-it", headers={"x-token-calc": "change"}).status_code == 401
    )
    assert client.get("/api/findings/policies/apply?name=cache-it", headers=mine).status_code == 404
    assert manager.told == []
    applied = client.post(f"{APPLY}?name=cache-it&why=a+try", headers=change)
    assert applied.json() == {"said": "cache-it is on: exact duplicates."}
    assert (
        client.post("/api/findings/policies/undo?name=route-it", headers=change).json()["said"]
        == "route-it is off again."
    )
    by = "explorer, testclient with the token"
    assert manager.told == [("apply", "cache-it", by, "a try"), ("undo", "route-it", by, None)]
