"""What all pages share: menu, address, keys, copies, themes, errors."""

import json

import pytest

from tc_core import SQLiteStorage
from tc_core.web import static_files, vendor
from tc_core.web.pages import PAGES
from tc_core.web.security import Access, is_loopback


def test_the_libraries_are_what_the_manifest_says():
    assert vendor.differing() == []
    for library in vendor.manifest():
        assert library["licence"] in {"Apache-2.0", "BSD-3-Clause", "ISC", "MIT"}
        assert any(name.endswith(".LICENSE") for name in library["files"])


def test_the_code_shipped_is_small():
    sent = {
        name: len(file.compressed) for name, file in static_files.read_all().items() if not name.endswith("LICENSE")
    }
    assert sum(sent.values()) <= 150_000, sent


def test_nothing_is_asked_of_another_place():
    for name, file in static_files.read_all().items():
        if name.startswith("vendor/") or name.endswith(".svg"):
            continue
        assert b"http://" not in file.body, name
        assert b"https://" not in file.body, name
        assert b"innerHTML" not in file.body, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_has_a_module(page):
    assert f"pages/{page.name}.js" in static_files.read_all()


def test_headers_are_strict(client):
    for path in ("/", "/costs", "/api/costs", "/static/app.js", "/api/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "require-trusted-types-for 'script'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8321"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"host": "localhost:8321"}, 200),
        ({"host": "[::1]:8321"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
    ],
)
def test_another_site_is_refused(client, headers, status):
    assert client.get("/api/shell", headers=headers).status_code == status


def test_it_only_reads(client):
    assert client.post("/api/costs", json={}).status_code == 405
    assert client.get("/api/costs", params={"by": "x" * 9000}).status_code == 414
    assert client.request("GET", "/api/costs", content=b"much").status_code == 413


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"since": "someday"}, "Cannot read 'someday' as a date: use 2024-01-31"),
        ({"filter": "nonsense"}, "Cannot read the filter 'nonsense': use --filter NAME=VALUE."),
        ({"sort": "beauty"}, "Sort=beauty is none of cost, calls, tokens, errors, time."),
        ({"by": "x" * 601}, "By is longer than 600 characters: shorten it."),
    ],
)
def test_what_cannot_be_read_is_one_sentence(client, parameters, sentence):
    answer = client.get("/api/costs", params=parameters)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


def test_loopback():
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.5", "host")] == [
        *(True, True, True),
        *(False, False, False),
    ]


def test_a_token_is_asked_for_where_one_is_set(client_of, store):
    client = client_of(store, access=Access("0.0.0.0", "se-cret"))
    assert client.get("/api/shell").status_code == 401
    assert client.get("/api/shell?token=wrong").status_code == 401
    assert client.get("/api/shell", headers={"authorization": "Bearer se-cret"}).status_code == 200
    opened = client.get("/costs?by=agent&token=se-cret", follow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, "/costs?by=agent")
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert client.get("/api/shell").status_code == 200


def test_other_machines_need_a_token(run_command, store):
    said = run_command("serve", "--no-open", "--host", "0.0.0.0", "--store", store.path)
    assert said.returncode == 2
    assert said.stderr.startswith("0.0.0.0 can be reached from other machines: set TOKEN_CALC_SERVE_TOKEN")


def test_a_port_in_use_is_said(run_command, serving, month):
    port = serving(month).rpartition(":")[2]
    said = run_command("serve", "--no-open", "--port", port, "--store", month)
    assert said.returncode == 2
    assert said.stderr.startswith(f"port {port} is in use, maybe by another explorer: use --port {int(port) + 1}")


def test_a_store_that_is_gone_is_said(client_of, tmp_path):
    with SQLiteStorage(tmp_path / "store.db") as store:  # nothing records into it, which would make it anew
        client = client_of(store)
        assert client.get("/api/costs").status_code == 200
        store.path.rename(store.path.with_name("elsewhere.db"))
        answer = client.get("/api/costs")
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "The store store.db is not there any more: put it back, or serve another one.",
    )


def test_the_menu_goes_to_each_page(visit, until):
    page = visit("/")
    assert page.title() == "Costs · Token Calculator"
    for each in PAGES:
        page.get_by_role("link", name=each.title, exact=True).click()
        until(page, f"document.title === '{each.title} · Token Calculator'")
        assert page.url.split("?")[0].endswith(f"/{each.name}")


def test_an_unknown_page_says_which_there_are(visit, page, serving, month):
    page.goto(f"{serving(month)}/nowhere")
    page.wait_for_selector("h1")
    assert "There is no page “nowhere”. There are: Costs" in page.inner_text("main")
    page.errors.clear()  # the browser's own line about the 404


def test_an_error_stands_where_the_answer_would(visit):
    page = visit("/costs?since=someday")
    assert "Cannot read 'someday' as a date" in page.inner_text(".failed")
    page.errors.clear()  # the browser's own line about the 400
    page.get_by_role("button", name="Without filters").click()
    page.wait_for_selector(".answer")
    assert "600 calls" in page.inner_text(".answer")


def test_keys(visit, until):
    page = visit("/costs?by=agent,model")
    page.keyboard.press("/")
    page.keyboard.type("plan")
    until(page, "new URLSearchParams(location.search).get('q') === 'plan'")
    assert page.locator(".grid .row").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("c")
    until(page, "document.querySelector('.said').textContent === 'Copied the command.'")
    assert page.evaluate("navigator.clipboard.readText()").startswith("token-calc costs --by agent,model --store ")


def test_a_view_is_copied_as_csv_and_json(visit, run_command, month, until):
    page = visit("/costs?by=agent")
    for form in ("CSV", "JSON"):
        page.get_by_role("button", name=form, exact=True).click()
        until(page, f"document.querySelector('.said').textContent === 'Copied {form}.'")
        copied = page.evaluate("navigator.clipboard.readText()")
        printed = run_command("costs", "--by", "agent", f"--{form.lower()}", "--store", month).stdout
        assert (json.loads(copied) == json.loads(printed)) if form == "JSON" else (copied == printed)


def test_a_page_is_saved_as_one_file(visit, tmp_path, browser):
    page = visit("/costs?by=agent")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    path = tmp_path / "saved.html"
    saved.value.save_as(path)
    text = path.read_text()
    assert "<script" not in text
    assert "http://127" not in text
    asked = []
    alone = browser.new_page()
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(path.as_uri())
    assert "600 calls" in alone.inner_text(".answer")
    assert alone.locator(".grid .row").count() == 4
    assert asked == [path.as_uri()]
    alone.close()


def test_what_is_new_is_said_and_not_drawn(visit, tmp_path, month, until):
    import shutil

    import tc_core

    copy = tmp_path / "growing.db"
    shutil.copy(month, copy)
    page = visit("/costs", of=copy)
    with tc_core.SQLiteStorage(copy) as store:
        tc_core.CostTracker(store).track_call("gpt-4o", 1000, 10)
        tc_core.flush()
    page.wait_for_selector(".fresh")
    assert "1 new call since this was asked." in page.inner_text(".fresh")
    assert "600 calls" in page.inner_text(".answer")
    page.keyboard.press("r")
    until(page, "document.querySelector('.answer').textContent.includes('601 calls')")
