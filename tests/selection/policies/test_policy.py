"""A policy says what it is about, and refuses what it cannot be."""

import pytest

from tc_core import ConfigurationError, Policy
from tc_core.model.part import Request
from tc_core.model.scope import Scope


def test_it_has_what_its_kind_has_where_nothing_is_said():
    assert Policy(name="r", kind="route", model="a", to="b").options == {
        "model": "a",
        "to": "b",
        "floor": 0.1,
        "margin": 0.05,
        "unit": "run",
    }
    assert Policy(name="c", kind="cache").options == {"ttl_s": 3600.0, "most": 1000, "temperature": "zero"}
    assert Policy(name="l", kind="loop").options == {"rounds": 3}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"kind": "loop", "name": "a\nb"}, "the name of a policy stands in one line"),
        ({"kind": "guess"}, "kind must be one of route, trim, cache, loop, not 'guess'"),
        ({"kind": "route", "to": "b"}, "a policy of kind 'route' needs model: 'p' has none"),
        ({"kind": "route", "model": "a", "to": "a"}, "would route 'a' to itself"),
        ({"kind": "route", "model": "a", "to": "b", "floor": 0.9}, "floor must be a share of the runs .*, not 0.9"),
        ({"kind": "route", "model": "a", "to": "b", "margin": 0}, "margin must be a share"),
        ({"kind": "route", "model": "a", "to": "b", "unit": "call"}, "unit must be run or session, not 'call'"),
        ({"kind": "trim"}, "needs at"),
        ({"kind": "trim", "at": 1.5}, "at must be a share of the model's window up to 1, or a number of tokens"),
        ({"kind": "cache", "rounds": 3}, "a policy of kind 'cache' has no rounds: it takes ttl_s, most, temperature"),
        ({"kind": "cache", "ttl_s": 0}, "ttl_s must be seconds from 1"),
        ({"kind": "cache", "most": 1.5}, "most must be a whole number"),
        ({"kind": "cache", "temperature": "hot"}, "temperature must be zero or unset, not 'hot'"),
        ({"kind": "loop", "rounds": 1}, "rounds must be a whole number from 2 to 100, not 1"),
        ({"kind": "loop", "rounds": True}, "rounds must be"),
        ({"kind": "loop", "filters": {"status": "ok"}}, "a policy cannot be filtered by 'status'"),
        ({"kind": "loop", "name": ""}, "name"),
    ],
)
def test_what_it_cannot_be(said, error):
    with pytest.raises((ValueError, ConfigurationError), match=error):
        Policy(**{"name": "p", **said})


def test_it_is_made_again_from_its_plain_values():
    policy = Policy(name="p", kind="route", model="a", to="b", filters={"agent_id": ["x", None], "team": "t"})
    assert Policy(**policy.to_dict()) == policy
    assert policy.said == "a to b, agent x or no agent, team t"


@pytest.mark.parametrize(
    ("scope", "is_about"),
    [
        (Scope(agent_id="planner", labels={"team": "search"}), True),
        (Scope(agent_id="planner"), False),
        (Scope(labels={"team": "search"}), False),
    ],
)
def test_which_requests_it_is_about(scope, is_about):
    policy = Policy(name="p", kind="loop", filters={"agent_id": "planner", "team": "search"})
    assert policy.is_about(Request("gpt-4o", scope=scope)) is is_about
    assert not policy.is_about(Request("gpt-4o", scope=scope, event_type="embedding"))
