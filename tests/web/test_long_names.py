"""Names as long as can be recorded leave every page as wide as the browser is."""

from datetime import UTC, datetime

import pytest

from tc_core import BudgetTracker, SQLiteStorage, TrackingEvent
from tc_core.web.pages import PAGES

LONG = "w" * 600


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "s.db"
    now = datetime.now(UTC)
    call = {"model": "gpt-4o", "input_tokens": 1000, "output_tokens": 10, "cost": 0.5, "agent_id": LONG}
    with SQLiteStorage(path) as store:
        store.save_events(
            [
                TrackingEvent("run", now, "agent", name=LONG, agent_id=LONG),
                TrackingEvent("failed", now, parent_id="run", status="error", error_type=LONG, **call),
                TrackingEvent("other", now, parent_id="run", **call | {"agent_id": "short"}),
            ]
        )
        BudgetTracker(store).set_budget(5, "month", {"agent_id": LONG}, name=LONG)
    return path


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_long_names_make_no_page_wider_than_a_telephone(visit, narrow_page, long_names, name):
    page = visit(f"/{name}?{'by=agent' if name in ('costs', 'compare') else ''}", of=long_names, on=narrow_page)
    assert page.inner_text(".answer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_all_pages_are_in_sight_in_the_menu_of_a_telephone(visit, narrow_page, long_names):
    page = visit("/costs", of=long_names, on=narrow_page)
    rights = page.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.getBoundingClientRect().right)")
    assert len(rights) == len(PAGES)
    assert max(rights) <= 390
