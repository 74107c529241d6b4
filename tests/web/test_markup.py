"""Names are text: whatever is recorded or stands in an address, no page makes markup of it, and nothing runs."""

from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tc_core import SQLiteStorage, TrackingEvent
from tc_core.web.pages import PAGES

RUNS = "window.evil = true"
MARKUP = [
    f"<img src=x data-evil onerror='{RUNS}'>",
    f"<script data-evil>{RUNS}</script>",
    f"<svg data-evil onload='{RUNS}'><a data-evil href='javascript:{RUNS}'>x</a></svg>",
    f'"><b data-evil onmouseover="{RUNS}">',
    f"'-->]]><iframe data-evil srcdoc='<script>{RUNS}</script>'></iframe>",
    f"javascript:{RUNS}//",
    "</textarea></title></style><style data-evil>*{display:none}</style>",
    "${window.evil = true}{{constructor.constructor('window.evil = true')()}}",
    "\u202e\u2066<b data-evil>right to left\u2069",
    "&lt;b data-evil&gt;&#60;b data-evil&#62;",
]
FIELDS = ("agent_id", "agent_type", "task_type", "intent", "session_id", "workflow_id", "environment")
NAMES = st.builds(
    lambda before, markup, after: f"{before}{markup}{after}",
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    st.sampled_from(MARKUP),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
)
EVIL = "[data-evil], iframe, [onerror], [onload], [onmouseover], a[href^=javascript]"
SEARCH = f"document.querySelectorAll('{EVIL}').length"


def record(store, names):
    """Put names into every field of some events: a run with failures that are tried again, and calls."""
    at, each = datetime(2026, 3, 1, tzinfo=UTC), count()

    def name():
        return names[next(each) % len(names)]

    for number in range(40):
        event = {
            **{field: name() for field in FIELDS},
            "event_id": f"{name()[:40]} {number}",
            "timestamp": at + timedelta(seconds=number),
            "labels": {name()[:100]: name(), "team": name()},
            "metadata": {name()[:100]: name()},
            "name": name(),
        }
        kind = ("llm_call", "llm_call", "tool", "agent", "retrieval")[number % 5]
        if kind == "llm_call":
            event |= {"model": name(), "provider": name(), "input_tokens": 100, "output_tokens": 10, "cost": 0.01}
            event |= {"status": "error", "error_type": name()} if number % 10 else {}
        store.save_event(TrackingEvent(event_type=kind, **event))


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=12, max_size=20, unique=True))
def test_no_field_becomes_markup_on_any_page(names, page, serving, tmp_path, until):
    path = tmp_path / f"{abs(hash(tuple(names)))}.db"
    with SQLiteStorage(path) as store:
        record(store, names)
    address = serving(path)
    seen = ""
    for each in PAGES:
        for search in ("", "?by=agent,model,session&filter=team%21%3Dx", f"?q={quote(names[0])}"):
            page.goto(f"{address}/{each.name}{search}")
            page.wait_for_selector("main[aria-busy='false'] .answer, .failed")
            until(page, "!document.querySelector('.loading')")
            for row in page.locator(".grid .row").all()[:2]:
                row.click(position={"x": 3, "y": 3})
            assert page.evaluate(SEARCH) == 0, each.name
            assert page.evaluate("window.evil") is None, each.name
            seen += page.inner_text("main")
    assert "data-evil" in seen  # it was there, as text


@pytest.mark.parametrize("markup", MARKUP)
def test_no_address_becomes_markup(markup, serving, month, page):
    said = quote(markup)
    address = serving(month)
    for path in (f"/costs?by={said}", f"/costs?q={said}&filter={said}", f"/findings?run={said}", f"/nowhere{said}"):
        page.goto(f"{address}{path}")
        page.wait_for_selector("main[aria-busy='false'] .answer, .failed, main h1")
        assert page.evaluate(SEARCH) == 0
        assert page.evaluate("window.evil") is None
    assert all("status of 4" in each for each in page.errors), page.errors
    page.errors.clear()  # the browser's own lines about answers that refuse
