"""What results show in a notebook: tables and pictures, in which names are text whatever they hold."""

from datetime import UTC, date, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tc_core import CostTracker, ProvenanceAnalyzer, TrackingEvent
from tc_core.costs.forecasts.forecast import Forecast
from tc_core.model.notebook import MOST_ROWS, Bar, Shown, _bars, _columns, to_html

SVG = "{http://www.w3.org/2000/svg}"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def recorded(store):
    for agent, cost in (("writer", 0.03), ("<b>reader</b>", 0.01), (None, 0.02)):
        store.save_event(
            TrackingEvent(event_type="llm_call", timestamp=AT, model="gpt-4o", input_tokens=100, output_tokens=10,
                          cost=cost, agent_id=agent)
        )  # fmt: skip
    return store


def test_a_cost_report(recorded):
    report = CostTracker(recorded).get_costs("2026-03-01", "2026-03-01", group_by="agent_id")
    html = report._repr_html_()
    assert html.startswith("<div><p>$0.0600 in 3 calls.</p><table><thead><tr><th")
    assert "&lt;b&gt;reader&lt;/b&gt;" in html
    assert "<b>" not in html
    picture = ElementTree.fromstring(report.to_svg(width=630))
    widths = [float(each.get("width")) for each in picture.iter(f"{SVG}rect")]
    assert widths == [300, 200, 100]  # 630 less 230 for names and 100 for figures, for 3, 2 and 1 cents
    assert picture.get("aria-label") == "$0.0600 in 3 calls."


def test_a_comparison_draws_what_is_less_to_the_left(recorded):
    found = CostTracker(recorded).compare("2026-03-01", "2026-03-02", by=["agent_id"])
    assert "<p>$0.00 after $0.0600: -$0.0600.</p>" in found._repr_html_()
    picture = ElementTree.fromstring(found.to_svg())
    least = min(float(each.get("x")) for each in picture.iter(f"{SVG}rect"))
    assert least == 230


def test_a_waterfall_and_waste(recorded):
    analyzer = ProvenanceAnalyzer(recorded)
    found = analyzer.waterfall()
    # of 35 cents' worth of tokens, 100 x $2.50 and 10 x $10 a million, the input is 25: of $0.06 that is $0.0429
    assert "<p>300 input tokens billed, $0.0429. Re-sent: 0 %.</p>" in found._repr_html_()
    assert "sent again" in found.to_svg()
    assert "No waste was found" in analyzer.waste()._repr_html_()
    ElementTree.fromstring(analyzer.waste().to_svg())


def test_a_forecast_is_drawn_by_day():
    found = Forecast(6.0, 4.0, 8.0, 0.8, [1.0, 2.0, 3.0], "means", 30, None, date(2026, 3, 1))
    assert "$6.00 in 3 days from 2026-03-01, 80 % sure between $4.00 and $8.00. By means." in found._repr_html_()
    picture = ElementTree.fromstring(found.to_svg(width=300))
    heights = [float(each.get("height")) for each in picture.iter(f"{SVG}rect")]
    assert heights == [52.67, 105.33, 158.0]  # of 180 less 22 for the foot
    assert [each.text for each in picture.iter(f"{SVG}title")][:3] == [
        "2026-03-01: $1.00", "2026-03-02: $2.00", "2026-03-03: $3.00",
    ]  # fmt: skip
    assert Forecast(None, None, None, 0.8, [], "none", 0, None, date(2026, 3, 1)).to_svg().startswith("<svg")


def test_a_long_table_says_how_many_more():
    rows = [[f"agent {number}", "1"] for number in range(MOST_ROWS + 7)]
    shown = Shown("Many.", ["agent", "calls"], rows, [])
    html = to_html(shown)
    assert html.count("<tr>") == MOST_ROWS + 1
    assert "and 7 more" in html


@given(st.text(), st.text())
def test_no_name_becomes_markup(name, figure):
    shown = Shown(name, [name, figure], [[name, figure]], [Bar(name, 1.0, figure), Bar(figure, -1.0, name)])
    for draw in (_bars, _columns):
        tags = {each.tag.removeprefix(SVG) for each in ElementTree.fromstring(draw(shown, 500)).iter()}
        assert tags <= {"svg", "rect", "text", "title"}
    html = ElementTree.fromstring(to_html(shown))
    assert {each.tag for each in html.iter()} <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
