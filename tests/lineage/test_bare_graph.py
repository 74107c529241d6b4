"""The graph of bare numbers answers as networkx does, which needs a thousand times the room."""

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tc_core.lineage.bare_graph import NOWHERE, BareGraph, as_places

NODES = st.integers(0, 11)


def graphs():
    """Return graphs of twelve nodes at most, whose keys have gaps, with any parents and facts; cycles too."""
    return st.tuples(
        st.dictionaries(NODES, st.one_of(st.none(), NODES), min_size=1),
        st.lists(st.tuples(NODES, NODES), max_size=10),
    )


def made(parents, facts):
    rows = np.array([(3 * key, NOWHERE if parent is None else 3 * parent) for key, parent in parents.items()], np.int64)
    links = np.array([(3 * newer, 1, 3 * older) for newer, older in facts], np.int64).reshape(-1, 3)
    theirs = nx.DiGraph()
    theirs.add_nodes_from(parents)
    theirs.add_edges_from((parent, key) for key, parent in parents.items() if parent in parents)
    theirs.add_edges_from((older, newer) for newer, older in facts if newer in parents and older in parents)
    return BareGraph(rows, links), theirs


def keys(graph, places):
    return {key // 3 for key in graph.keys[places].tolist()}


@given(graphs())
def test_what_is_reached_forward_and_backward(given_):
    graph, theirs = made(*given_)
    for node in theirs:
        place = graph.places(as_places([3 * node]))
        on_cycle = {node} if theirs.has_edge(node, node) or any(node in part for part in cyclic(theirs)) else set()
        assert keys(graph, graph.forward.reached(place)) == nx.descendants(theirs, node) | on_cycle
        assert keys(graph, graph.backward.reached(place)) == nx.ancestors(theirs, node) | on_cycle


@given(graphs())
def test_roots_have_nothing_before_them(given_):
    graph, theirs = made(*given_)
    assert keys(graph, graph.roots()) == {node for node in theirs if theirs.in_degree(node) == 0}


@given(graphs())
def test_all_cycles_lie_around_the_edges_that_go_against_the_order(given_):
    graph, theirs = made(*given_)
    around = keys(graph, graph.around_cycles())
    assert set().union(*cyclic(theirs)) <= around
    if nx.is_directed_acyclic_graph(theirs) and all(older < newer for older, newer in theirs.edges):
        assert around == set()


@given(graphs())
def test_depth_counts_parents_and_without_one_the_nearest_origin(given_):
    parents, facts = given_
    graph, theirs = made(parents, facts)
    if not nx.is_directed_acyclic_graph(theirs):
        return
    expected = {}
    for node in nx.topological_sort(theirs):
        parent = parents[node]
        before = [parent] if parent in parents else list(theirs.predecessors(node))
        expected[node] = 1 + min(expected[each] for each in before) if before else 0
    assert dict(zip(graph.keys // 3, graph.depths(), strict=True)) == expected


def test_without_nodes_there_is_nothing():
    graph = BareGraph(np.zeros((0, 2), np.int64), np.zeros((0, 3), np.int64))
    assert (graph.edges, graph.roots().size, graph.depths().size, graph.around_cycles().size) == (0, 0, 0, 0)
    assert graph.places(as_places([7])).tolist() == [NOWHERE]


def cyclic(graph):
    return [part for part in nx.strongly_connected_components(graph) if len(part) > 1] + [
        {node} for node in graph if graph.has_edge(node, node)
    ]
