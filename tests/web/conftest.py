"""Pages in a real browser, on stores that are served as a user serves them. Errors of the console fail the test."""

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra ui is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from starlette.testclient import TestClient  # noqa: E402

from tc_core.store.storages import SQLiteStorage  # noqa: E402
from tc_core.web.app import build  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
READY = "main[aria-busy='false'] .answer, .failed, main[aria-busy='false'] .nothing-here"
"""There once a page has its answer."""


def _executable():
    found = os.environ.get("TOKEN_CALC_TEST_BROWSER") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
    )
    if found is None and os.environ.get("CI"):
        pytest.fail("no Chromium or Chrome was found, and the explorer's tests need one: apt-get install chromium")
    if found is None:
        pytest.skip("no Chromium or Chrome was found, so the explorer's pages are not looked at")
    return found


@pytest.fixture(scope="module")
def browser():
    """An installed Chromium or Chrome; one for each file of tests, since its event loop is in the way of others'."""
    executable = _executable()
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=[*QUIET, "--disable-component-update"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def serving():
    """Serve a store in a process of its own, as `token-calc serve` does; return its address."""
    running = {}

    def serve(store, *arguments, **environment):
        key = (str(store), arguments, tuple(environment.items()))
        if key not in running:
            command = [sys.executable, "-m", "tc_core.cli", "serve", "--no-open", "--port", "0", "--store", str(store)]
            process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
            )
            line = process.stdout.readline()
            running[key] = process, re.search(r"http://\S+", line)[0]
        return running[key][1].rstrip("/")

    yield serve
    for process, _ in running.values():
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def page(browser):
    """A page of 1,280 x 900 pixels, whose errors fail the test; `page.errors` are those so far."""
    yield from _page(browser, width=1280, height=900)


@pytest.fixture
def narrow_page(browser):
    """A page as wide as a telephone."""
    yield from _page(browser, width=390, height=800)


def _page(browser, *, width, height):
    context = browser.new_context(viewport={"width": width, "height": height}, timezone_id="UTC")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    errors = page.errors = []
    page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(90_000)  # a machine that does much else at once
    yield page
    context.close()
    assert not errors, errors


@pytest.fixture
def visit(page, serving, month):
    """Open an address of the explorer of the month of examples/a_month.py, and wait for its answer."""

    def visit(path, *, of=None, on=None):
        there = on or page
        there.goto(f"{serving(of or month)}{path}")
        there.wait_for_selector(READY)
        return there

    return visit


@pytest.fixture
def until():
    """Wait until an expression is true in a page: Playwright's own waiting needs `eval`, which our policy forbids."""

    def wait(page, expression, seconds=90):
        deadline = time.monotonic() + seconds
        while not page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            page.wait_for_timeout(20)

    return wait


@pytest.fixture
def axe(browser):
    """Return what axe finds wrong in a page, as one line for each rule."""
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text()

    def violations(address, *, scheme="light", width=1280, ready=READY):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
        )
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.goto(address)
        page.wait_for_selector(ready)
        page.add_script_tag(content=script)
        found = page.evaluate("axe.run().then((found) => found.violations)")
        context.close()
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]

    return violations


@pytest.fixture
def client(month):
    """What pages are answered, without a browser."""
    with (
        SQLiteStorage(month) as store,
        TestClient(build(store, name="month.db"), base_url="http://127.0.0.1") as client,
    ):
        yield client


@pytest.fixture
def client_of():
    """The same for a store of one's own, which the test closes."""

    def made(store, *, port=80, **options):
        return TestClient(build(store, name="store.db", **options), base_url=f"http://127.0.0.1:{port}")

    return made
