"""A run drawn, in the terminal and for other programs."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from rich.cells import cell_len

from tc_core import WorkflowTracker

EVIL = 'x"];\n</td><script>alert(1)</script> `&` #quot; \\N --> [evil](javascript:1) \x1b[2J %%{init}%%'


@pytest.fixture
def drawn(own_store, clock):
    """A run with names in wide characters, and one that would command whatever shows it."""
    tracker = WorkflowTracker("旅行の計画", own_store)
    with tracker:
        with tracker.track_agent("検索エージェント👩‍💻") as agent:
            clock.advance(seconds=1)
            agent.track_call("gpt-4o", 1000, 100)
        with tracker.track_agent(EVIL):
            clock.advance(seconds=3)
    return tracker


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_the_time_line_stands_under_itself_whatever_the_names_are(drawn, width):
    lines = drawn.visualize(width=width).splitlines()
    assert len(lines) == 4
    ends = [cell_len(line[: line.rindex("█") + 1]) for line in lines]
    assert ends[0] == ends[3]  # the run, and what ended last in it
    assert all(cell_len(line) <= width for line in lines)
    if width >= 80:
        (bar,) = re.findall("█+", lines[0])
        first, second = (len(re.findall("█+", lines[place])[0]) for place in (1, 3))
        assert abs(first - len(bar) / 4) <= 1
        assert abs(second - len(bar) * 3 / 4) <= 1


def test_nothing_commands_the_terminal(drawn):
    shown = drawn.visualize()
    assert "\x1b" not in shown
    assert shown.count("\n") == 3
    assert "👩‍💻" in drawn.visualize(width=160)


def test_mermaid_has_no_markup_of_others(drawn):
    lines = drawn.visualize("mermaid").splitlines()
    assert lines[0] == "flowchart TD"
    for line in lines[1:]:
        assert re.fullmatch(r' {4}n\d+(\["[^"<>`\[\]{}%\\]*(<br/>[^"<>`\[\]{}%\\]*)*"\]| --> n\d+)', line), line
    assert "n0 --> n1" in lines[-3]
    assert "#60;script#62;" in "".join(lines)


def test_dot_is_what_graphviz_reads(drawn):
    dot = drawn.visualize("dot")
    for line in dot.splitlines()[2:-1]:
        assert re.fullmatch(r' {4}n\d+( \[label="([^"\\]|\\["\\n])*"\]| -> n\d+);', line), line
    program = shutil.which("dot")
    if program is not None:
        subprocess.run([program, "-Tsvg"], input=dot, text=True, check=True, capture_output=True)


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def test_a_page_runs_and_loads_nothing(drawn):
    page = _Page()
    page.feed(drawn.visualize("html"))
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "div",
    }
    assert set(page.tags) <= allowed | {"small"}
    assert set(page.attributes) <= {"lang", "charset", "http-equiv", "content", "style", "class"}
    assert any("<script>alert(1)</script>" in text for text in page.texts)
    assert page.tags.count("tr") == 5


def test_retries_are_drawn_as_such(own_store, tracker):
    from tc_core.runtime.recorders import recorder_for

    recorder = recorder_for(own_store)
    with tracker:
        for key, status in (("a", "error"), ("b", "ok")):
            recorder.start("llm_call", key=key, model="gpt-4o")
            recorder.finish(key, status=status)
        recorder.link("b", "retry_of", "a")
    assert "-. retry_of .->" in tracker.visualize("mermaid")
    assert 'label="retry_of"' in tracker.visualize("dot")
    assert tracker.visualize().splitlines()[2].endswith("retry")


def test_a_width_that_shows_nothing_is_refused(drawn):
    with pytest.raises(ValueError, match="width must be at least 40, not 39"):
        drawn.visualize(width=39)
