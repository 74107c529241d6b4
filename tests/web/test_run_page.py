"""The page of one run: tree, time line, graph and details, on runs of any size and with any names."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.large_runs import write_run
from tc_core.model import written
from tc_core.model.event import TrackingEvent
from tc_core.store.storages import SQLiteStorage

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
MARKUP = "<img src=x onerror=alert(1)>"
RIGHT_TO_LEFT = "بحث عن رحلات"


@pytest.fixture(scope="module")
def middling(tmp_path_factory):
    """A store with one run of 1,200 events."""
    path = tmp_path_factory.mktemp("middling") / "middling.db"
    with SQLiteStorage(path) as store:
        write_run(store, 1200)
    return path


@pytest.fixture
def own(tmp_path):
    """Make a store of events (id, parent, begin in ms, end in ms, facts); return its path."""

    def made(*events):
        path = tmp_path / "own.db"
        with SQLiteStorage(path) as store:
            store.save_events(event(*each) for each in events)
        return path

    return made


def event(event_id, parent_id, begin, end, facts):
    return TrackingEvent(
        event_id=event_id,
        parent_id=parent_id,
        timestamp=START + timedelta(milliseconds=begin),
        latency_ms=None if end is None else float(end - begin),
        **({"event_type": "tool", "name": event_id} | facts),
    )


RUN = ("run", None, 0, 1000, {"event_type": "workflow", "name": "trip"})


def names(page):
    return [row.split("\n")[0].strip("▾▸ ") for row in page.locator(".tree .row").all_inner_texts()]


def figures(line):
    """What a line says up to its cost, without the picture of the tree and the id, which stands where there is room."""
    words = re.sub(r"[│├└─▾▸]|\b[0-9a-f]{8}\b", " ", line)
    return re.sub(r"(\$\S+).*", r"\1", " ".join(words.split()))


def parameter(name):
    return f"new URLSearchParams(location.search).get('{name}')"


def at(text):
    return f"document.querySelector('.tree .row.is-at')?.textContent.includes({json.dumps(text)})"


def test_it_says_what_the_command_says(visit, run_command, month):
    page = visit("/run?run=planner")
    printed = run_command("tree", "planner", "--store", month).stdout.splitlines()
    assert page.inner_text(".answer").split() == printed[0].split()
    assert page.inner_text(".path") == printed[-1]
    lines = [figures(line) for line in printed[1:-1] if line.strip()]
    rows = [figures(row) for row in page.locator(".tree .row").all_inner_texts()]
    assert rows[1:] == lines  # the run itself is a row too
    assert len(lines) == 10


def test_figures_are_written_as_the_server_writes_them(visit):
    page = visit("/run")
    costs = [0, 1, 499, 5_000, 12_500, 125_000, 375_000, 1_234_567_891, 987_654_321_000_000, -1]
    times = [0, 499, 500, 1_500, 999_499, 1_049_999, 4_250_000, 59_949_000, 60_000_000, 754_500_000]
    found = page.evaluate(
        """async ([costs, times]) => {
          const { usd, seconds } = await import("/static/pages/run-text.js");
          return [costs.map((cost) => [2, 3, 4, 6, 9].map((decimals) => usd(cost, decimals))), times.map(seconds)];
        }""",
        [costs, times],
    )
    known = [None if cost < 0 else cost for cost in costs]
    assert found[0] == [[written.usd(cost, decimals=places) for places in (2, 3, 4, 6, 9)] for cost in known]
    assert found[1] == [written.seconds(us / 1000) for us in times]


def test_keys_walk_fold_and_the_address_keeps_it(visit, until, middling):
    page = visit("/run", of=middling)
    tree = page.get_by_role("treegrid", name="events of the run")
    assert tree.get_attribute("aria-rowcount") == "1201"
    assert page.locator(".tree .row").count() < 80
    tree.focus()
    page.keyboard.press("End")
    until(page, f"{parameter('event')} !== null")
    last = page.evaluate(parameter("event"))
    assert page.locator(".tree .row.is-at").get_attribute("id") == f"e-{last}"
    page.keyboard.press("Home")
    until(page, f"{parameter('event')} === null")
    page.keyboard.press("ArrowDown")
    until(page, at("step task 1"))
    page.keyboard.press("ArrowLeft")  # folds it
    until(page, f"{parameter('turned')} !== null")
    until(page, "Number(document.querySelector('.tree').getAttribute('aria-rowcount')) < 1201")
    folded = tree.get_attribute("aria-rowcount")
    page.keyboard.press("ArrowDown")
    until(page, at("step task"))
    selected = page.evaluate(parameter("event"))
    page.reload()
    page.wait_for_selector(".tree .row.is-at")
    assert tree.get_attribute("aria-rowcount") == folded
    assert page.locator(".tree .row.is-at").get_attribute("id") == f"e-{selected}"
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")


def test_search_shows_what_matches_and_what_it_hangs_under(visit, until, middling):
    page = visit("/run", of=middling)
    page.keyboard.press("/")
    page.keyboard.type("RateLimit")
    until(page, f"{parameter('q')} === 'RateLimit'")
    page.wait_for_selector(".aside:has-text('have “RateLimit”')")
    assert "RateLimitError" in page.inner_text(".tree")
    shown = int(page.locator(".tree").get_attribute("aria-rowcount"))
    assert 2 < shown < 400
    page.keyboard.press("Escape")
    page.goto(page.url.replace("RateLimit", "nothing-has-this"))
    page.wait_for_selector("text=No event of this run has “nothing-has-this”.")


def test_details_are_those_of_the_event(visit, until, run_command, month):
    page = visit("/run?run=planner")
    row = page.locator(".tree .row", has_text="gpt-4o").nth(1)
    row.click()
    page.wait_for_selector(".details h3:has-text('Cost')")
    event_id = page.inner_text(".details .facts code")
    printed = json.loads(run_command("show", event_id, "--json", "--store", month).stdout)
    said = page.inner_text(".details")
    assert f"{printed['input_tokens']:,} in" in said
    assert written.usd(printed["cost_nanos"]) in said
    assert "Texts are not kept" in page.locator(".details details").first.text_content()
    page.locator(".details .as-link").first.click()
    until(page, f"{parameter('event')} !== {json.dumps(event_id.replace('-', '')[-12:])}")


def test_the_time_line_selects_and_zooms(visit, until, middling):
    page = visit("/run", of=middling)
    assert int(page.locator("canvas").get_attribute("data-drawn")) > 20
    box = page.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 18 + 17 + 8)
    until(page, f"{parameter('event')} !== null")
    task = page.evaluate(parameter("event"))
    page.get_by_role("group", name="time line").focus()
    page.keyboard.press("Enter")
    until(page, f"{parameter('zoom')} === {json.dumps(task)}")
    page.keyboard.press("ArrowDown")
    until(page, f"{parameter('event')} !== {json.dumps(task)}")
    page.keyboard.press("Escape")
    until(page, f"{parameter('zoom')} === null")


def test_what_ran_at_once_lies_side_by_side(visit, own):
    beside = [(f"t{n}", "run", 100, 900, {}) for n in range(3)]
    page = visit("/run", of=own(RUN, *beside, ("after", "run", 910, 950, {})))
    lanes = page.evaluate(
        """async () => {
          const { lanesOf } = await import("/static/pages/run-time.js");
          const { Rows } = await import("/static/pages/run-rows.js");
          return [...lanesOf(new Rows(await (await fetch("/api/run")).json()))];
        }"""
    )
    assert lanes == [0, 1, 2, 3, 1]


def test_the_graph_is_drawn_and_walked(visit, until):
    page = visit("/run?run=planner")
    page.locator(".graph-part").scroll_into_view_if_needed()
    page.wait_for_selector(".graph .group")
    assert {each.get_attribute("aria-label").split(":")[0] for each in page.locator(".graph .group").all()} == {
        *("agent planner", "tool search_flights", "tool describe_city", "model gpt-4o-2024-08-06"),
    }
    table = page.get_by_role("grid", name="Agents, tools and models")
    assert "search_flights" in table.inner_text()
    page.locator(".graph .group", has_text="search_flights").focus()
    page.keyboard.press("Enter")
    until(page, f"{parameter('around')} === 'tool:search_flights'")
    page.get_by_label("around it").select_option("1")
    page.wait_for_selector(".graph-part .note:has-text('2 of 4 groups lie within 1 hop')")
    assert page.locator(".graph .group").count() == 2


def test_a_large_run_opens_folded_and_a_link_into_it_unfolds(visit, tmp_path, until):
    with SQLiteStorage(tmp_path / "large.db") as store:
        write_run(store, 20_500)
    page = visit("/run", of=tmp_path / "large.db")
    assert "folded to what lies right below the run" in page.inner_text("main")
    rows = int(page.locator(".tree").get_attribute("aria-rowcount"))
    assert rows < 2000
    deep = page.evaluate(
        """async () => {
          const { columns } = await (await fetch("/api/run")).json();
          const place = columns.depth.lastIndexOf(5);
          return columns.id.slice(place * 12, place * 12 + 12);
        }"""
    )
    visit(f"/run?event={deep}", of=tmp_path / "large.db")
    page.wait_for_selector(f"#e-{deep}.is-at")
    assert page.locator(".tree .row").count() < 80
    assert int(page.locator(".tree").get_attribute("aria-rowcount")) > rows


def test_an_unknown_run_and_an_unknown_event_are_said(visit, month):
    page = visit("/run?run=nobody-knows-it")
    assert page.inner_text(".failed p").startswith("No event nobody-knows-it is recorded")
    assert "token-calc runs" in page.inner_text(".failed")
    page.errors.clear()  # the browser's own line about the 404
    page = visit("/run?run=planner&event=0123456789ab")
    assert page.inner_text(".note") == "No event 0123456789ab is in this run: the whole run is shown."
    page.wait_for_selector(".details h2:has-text('planner')")


def test_an_empty_store_says_what_to_do(visit, store):
    page = visit("/run", of=store.path)
    assert "`token-calc demo` records one" in page.inner_text(".failed")
    page.errors.clear()


def test_a_run_of_one_event(visit, own):
    page = visit("/run", of=own(("run", None, 0, None, {"event_type": "llm_call", "model": "our-own", "name": None})))
    assert page.locator(".tree .row").count() == 1
    page.wait_for_selector(".details h2:has-text('our-own')")
    page.locator(".graph-part").scroll_into_view_if_needed()
    page.wait_for_selector(".graph .group")


def test_names_are_text_whatever_they_hold(visit, own):
    labels = {f"label {n} {MARKUP}": MARKUP for n in range(50)}
    page = visit(
        "/run",
        of=own(
            ("run", None, 0, 1000, {"event_type": "workflow", "name": MARKUP, "labels": labels}),
            ("a", "run", 0, 500, {"event_type": "agent", "agent_id": MARKUP, "name": RIGHT_TO_LEFT}),
            ("b", "a", 10, 400, {"name": RIGHT_TO_LEFT, "status": "error", "error_type": MARKUP}),
        ),
    )
    page.locator(".graph-part").scroll_into_view_if_needed()
    page.wait_for_selector(".graph .group")
    page.wait_for_selector(".details summary:has-text('Labels (50)')")
    assert page.locator("main img").count() == 0
    assert MARKUP in page.inner_text(".answer")
    assert RIGHT_TO_LEFT in page.inner_text(".tree")
    assert page.locator(".tree [dir=auto]").count() == 3


def test_ten_thousand_names_are_shown_row_by_row(visit, client_of, tmp_path):
    with SQLiteStorage(tmp_path / "many.db") as store:
        store.save_events(
            [event(*RUN), *(event(f"t{n}", "run", n, n + 1, {"name": f"tool {n}"}) for n in range(10_000))]
        )
    page = visit("/run", of=tmp_path / "many.db")
    assert page.locator(".tree .row").count() < 80
    assert page.locator(".tree").get_attribute("aria-rowcount") == "10002"
    with SQLiteStorage(tmp_path / "many.db") as store, client_of(store) as client:
        found = client.get("/api/run/graph", params={"hops": "all"}).json()
    assert len(found["nodes"]) == 300
    assert found["note"] == "Of 10,001 groups the 300 are shown that were waited for longest or cost most."


def test_a_live_run_grows_and_what_is_read_stays(visit, until, tmp_path):
    path = tmp_path / "live.db"
    with SQLiteStorage(path) as store:
        store.save_events(
            [
                event("run", None, 0, None, {"event_type": "workflow", "name": "trip", "status": "open"}),
                *(event(f"t{n}", "run", n, n + 1, {}) for n in range(200)),
            ]
        )
        page = visit("/run", of=path)
        page.evaluate("document.querySelector('.tree').scrollTop = 2800")
        page.locator(".tree .row", has_text="t105").click()
        until(page, at("t105"))
        before = page.evaluate("document.querySelector('.tree .row.is-at').getBoundingClientRect().top")
        # One comes before all that is seen, one after it.
        store.save_events([event("early", "run", 0, 1, {}), event("late", "run", 500, 501, {})])
        until(page, "document.querySelector('.tree').getAttribute('aria-rowcount') === '204'")
        until(page, at("t105"))
        moved = page.evaluate("document.querySelector('.tree .row.is-at').getBoundingClientRect().top") - before
        assert abs(moved) <= 1
        store.save_events([event("run", None, 0, 600, {"event_type": "workflow", "name": "trip"})])
        until(page, "document.querySelector('.answer').textContent.includes('600 ms')")


def test_the_json_is_that_of_the_command(client, run_command, month):
    printed = run_command("tree", "planner", "--json", "--store", month).stdout
    assert client.get("/api/run.json", params={"run": "planner"}).json() == json.loads(printed)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(axe, serving, month, scheme):
    ready = ".details h2"
    assert axe(f"{serving(month)}/run?run=planner", scheme=scheme, ready=ready) == []


def test_it_is_useful_on_a_telephone(visit, narrow_page, axe, serving, month):
    page = visit("/run?run=planner", on=narrow_page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "$0.00" in page.inner_text(".tree")
    assert names(page)[0].endswith("planner")
    assert axe(f"{serving(month)}/run?run=planner", width=390) == []
