"""A lineage in six formats, each read back by its own reader, whatever ids and names are in it."""

import io
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tc_core import InMemoryStorage, LineageGraph, ProvenanceRelationship, TrackingEvent

NASTY = [
    *('"', "'", "\\", "\n", "\r\n", "]", "[", "-->", "<script>alert(1)</script>", "</title>", "&amp;", "]]>", "#quot;"),
    *("\x00", "\x1b[2J", "\u2028", "\u202e", "end", "subgraph", ";", "{{", "%%", "`", "|", "\ud800", "\ufffe", "ß"),
]
TEXTS = st.lists(st.sampled_from(NASTY) | st.text(max_size=4), min_size=1, max_size=4).map("".join)


def recorded(id_, name, model, agent):
    """Record a run whose every text is what is given, with a relation in it."""
    store = InMemoryStorage()
    run = f"run {id_}"
    store.save_events(
        [
            TrackingEvent(event_id=run, event_type="workflow", name=name, latency_ms=10),
            TrackingEvent(event_id=id_, parent_id=run, event_type="tool", name=name, agent_id=agent),
            TrackingEvent(event_id=f"{id_}{id_}", parent_id=run, model=model, agent_id=agent, cost=0.1, input_tokens=5),
        ]
    )
    store.save_relationship(ProvenanceRelationship(f"{id_}{id_}", id_, "derived_from"))
    store.save_relationship(ProvenanceRelationship(f"{id_}{id_}", run, "part_of"))
    return LineageGraph(store, event_id=run)


def any_texts(test):
    return settings(max_examples=40, deadline=None, phases=[Phase.generate])(
        given(TEXTS.map("id {}".format), TEXTS, TEXTS, TEXTS)(test)
    )


@any_texts
def test_json_is_read_by_networkx_and_is_the_same_graph(id_, name, model, agent):
    graph = recorded(id_, name, model, agent)
    read = nx.node_link_graph(json.loads(graph.to("json")), edges="edges")
    ours = graph.to_networkx()
    assert set(read.nodes) == set(ours.nodes)
    assert set(read.edges(keys=True)) == set(ours.edges(keys=True))
    assert (
        sum(facts.get("cost_nanos", 0) for _, facts in read.nodes(data=True) if facts["event_type"] == "llm_call")
        == 10**8
    )


@any_texts
def test_graphml_is_read_by_networkx(id_, name, model, agent):
    graph = recorded(id_, name, model, agent)
    read = nx.read_graphml(io.BytesIO(graph.to("graphml").encode()), force_multigraph=True)
    assert (len(read), read.number_of_edges()) == (3, 4)
    assert sorted(facts["relation"] for _, _, facts in read.edges(data=True)) == [
        "derived_from",
        "parent",
        "parent",
        "part_of",
    ]
    assert {facts["event_type"] for _, facts in read.nodes(data=True)} == {"workflow", "tool", "llm_call"}


@any_texts
def test_prov_refers_only_to_what_it_has_and_keeps_the_ids(id_, name, model, agent):
    graph = recorded(id_, name, model, agent)
    document = json.loads(graph.to("prov"))
    known = {kind: set(document.get(kind, {})) for kind in ("activity", "entity", "agent")}
    ids = {unquote(each.removeprefix("tc:event/")) for each in known["activity"]}
    assert ids == set(graph.to_networkx())
    for each in set().union(*known.values()):
        assert re.fullmatch(r"tc:(event|output|agent)/[A-Za-z0-9._~%-]*", each)
    refers = {
        "wasStartedBy": {"prov:activity": "activity", "prov:starter": "activity"},
        "wasInformedBy": {"prov:informed": "activity", "prov:informant": "activity"},
        "wasAssociatedWith": {"prov:activity": "activity", "prov:agent": "agent"},
        "wasGeneratedBy": {"prov:entity": "entity", "prov:activity": "activity"},
        "wasDerivedFrom": {"prov:generatedEntity": "entity", "prov:usedEntity": "entity"},
    }
    assert set(document) == {"prefix", "activity", "entity", "agent", *refers}
    for kind, ends in refers.items():
        for said in document[kind].values():
            for end, of_kind in ends.items():
                assert said[end] in known[of_kind]


OURS = set("html head meta title style body h1 p span svg defs marker path g rect text".split())  # noqa: SIM905


class Page(HTMLParser):
    """Reads a page, and notes its elements, its texts, and whether each element is closed where it should be."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open.append(tag)
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "action") or name.startswith("on")
        ]

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@any_texts
def test_html_holds_no_element_that_is_not_ours_and_asks_for_nothing(id_, name, model, agent):
    written = recorded(id_, name, model, agent).to("html")
    page = Page()
    page.feed(written)
    page.close()
    assert set(page.tags) <= OURS
    assert (page.open, page.addresses, page.tags.count("g")) == ([], [], 3)
    assert "url(" not in written.replace("url(#tip)", "")
    assert "default-src 'none'" in written
    ET.fromstring(re.search(r"<svg.*</svg>", written, re.DOTALL)[0])


DOT = re.compile(
    r"""digraph\ lineage\ \{\n
    (?:\ \ (?:graph|node|edge)\ \[.*\];\n){3}
    (?P<nodes>(?:\ \ n\d+\ \[label=STRING,\ tooltip=STRING,\ fillcolor="\#\w+",\ color="\#\w+"\];\n)*)
    (?P<edges>(?:\ \ n\d+\ ->\ n\d+(?:\ \[[a-z=, ]*label="[a-z ]*"\])?;\n)*)\}\n""".replace(
        "STRING", r'"(?:[^"\\\x00-\x1f]|\\["\\n])*"'
    ),
    re.VERBOSE,
)


@any_texts
def test_dot_has_only_the_tokens_of_its_grammar(id_, name, model, agent):
    written = recorded(id_, name, model, agent).to_dot()
    found = DOT.fullmatch(written)
    assert found, written
    assert (found["nodes"].count("\n"), found["edges"].count("\n")) == (3, 4)


def test_what_dot_shows_is_what_was_recorded():
    written = recorded("a", 'say "hi"\\n & go', "m", "x").to_dot()
    assert r'label="tool say \"hi\"\\n &amp; go"' in written


MERMAID = re.compile(
    r"""flowchart\ LR\n
    (?:\ \ n\d+\["(?:[\w\ .,:/+=()$%*-]|\#\d+;|<br/>)*"\]:::k\d+\n){3}
    (?:\ \ n\d+\ (?:-->|-\.->)(?:\|"[a-z ]*"\|)?\ n\d+\n){4}
    (?:\ \ classDef\ k\d+\ fill:\#\w+,stroke:\#777,color:\#111\n)*
    (?:\ \ style\ .*\n)*""",
    re.VERBOSE,
)


@any_texts
def test_mermaid_has_only_the_tokens_of_its_grammar(id_, name, model, agent):
    written = recorded(id_, name, model, agent).to("mermaid")
    assert MERMAID.fullmatch(written), written


@pytest.fixture(scope="module")
def large():
    """An agent that asks a model and a tool in turn, a hundred and fifty times, and hands over to another twice."""
    store = InMemoryStorage()
    events = [
        TrackingEvent(event_id="run", event_type="workflow", name="support"),
        TrackingEvent(event_id="a", parent_id="run", event_type="agent", name="solver", agent_id="solver"),
        TrackingEvent(event_id="b", parent_id="run", event_type="agent", name="checker", agent_id="checker"),
    ]
    for n in range(150):
        events += [
            TrackingEvent(
                event_id=f"m{n}", parent_id="a", model="gpt-4o", cost=0.01, input_tokens=9, agent_id="solver"
            ),
            TrackingEvent(
                event_id=f"t{n}",
                parent_id="a",
                event_type="tool",
                name="search",
                agent_id="solver",
                status="error" if n == 7 else "ok",
            ),
        ]
    events += [TrackingEvent(event_id=f"c{n}", parent_id="b", model="gpt-4o", agent_id="checker") for n in range(2)]
    store.save_events(events)
    for n in range(150):
        store.save_relationship(ProvenanceRelationship(f"t{n}", f"m{n}", "triggered_by", "framework"))
    return LineageGraph(store, event_id="run")


def test_above_300_events_a_picture_is_grouped_and_says_so(large):
    dot = large.to_dot()
    assert "305 events, grouped by agent, tool and model into 6" in dot
    assert r'label="llm_call gpt-4o\n150 events  came back 149x  1,350 in  $1.5000"' in dot
    assert r'label="tool search\n150 events  came back 149x  1 failed"' in dot
    assert 'label="triggered by 150x"' in dot
    assert 'label="150x"' in dot
    for written in (large.to("mermaid"), large.to("html")):
        assert "305 events" in written
        assert "149" in written
        assert len(written) < 10_000


def test_other_limits_and_formats_for_machines_have_every_event(large):
    assert large.to("dot", most_nodes=None).count("tooltip") == 305
    assert large.to("dot", most_nodes=305).count("tooltip") == 305
    assert len(json.loads(large.to("json"))["nodes"]) == 305
    assert large.to("graphml").count("<node ") == 305
    assert len(json.loads(large.to("prov"))["activity"]) == 305


def test_another_format_is_an_error_that_lists_those_there_are(large):
    with pytest.raises(ValueError, match="dot, mermaid, json, graphml, prov, html, not 'svg'"):
        large.to("svg")


def test_a_picture_tells_what_is_of_other_runs_and_what_the_run_waited_for():
    store = InMemoryStorage()
    store.save_events(
        [
            TrackingEvent(event_id="run", event_type="agent", name="planner", latency_ms=1000.0),
            TrackingEvent(event_id="call", parent_id="run", model="gpt-4o", latency_ms=900.0),
            TrackingEvent(event_id="later", model="gpt-4o"),
        ]
    )
    store.save_relationship(ProvenanceRelationship("later", "call", "continuation_of"))
    page = LineageGraph(store, event_id="run").to("html")
    assert "With events of 1 other run that it came from, or that came from it" in page
    assert page.count("#3367d6") == 1
    assert "900 ms" in page
    assert "continuation of" in page


def test_a_name_of_any_length_fits_a_picture_and_is_whole_for_machines():
    graph = recorded("tool", "n" * 3_000, "gpt-4o", "agent")
    for picture in ("dot", "mermaid"):
        boxes = [line for line in graph.to(picture).splitlines() if "tool nnn" in line]
        assert len(boxes) == 1
        assert len(boxes[0]) < 200
    assert "n" * 3_000 in graph.to("json")
    assert "n" * 3_000 in graph.to("graphml")


def test_groups_of_one_event_are_written_in_the_singular(large):
    counts = re.findall(r"(?<!\d)1 events?", large.to("dot"))
    assert set(counts) == {"1 event"}


@pytest.mark.parametrize("most", [0, -1])
def test_no_picture_has_fewer_events_than_one(large, most):
    with pytest.raises(ValueError, match=f"most_nodes must be at least 1.*not {most}"):
        large.to("dot", most_nodes=most)
