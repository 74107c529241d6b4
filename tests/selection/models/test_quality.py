"""How good a model is: by outcomes, else as the user states it, else unknown; and what follows from that."""

import json

import pytest

from tc_core import ConfigurationError, ModelSelector, WorkflowTracker
from tc_core.model.period import Period
from tc_core.selection.pareto import front
from tc_core.selection.quality import Outcomes, how_sure, how_sure_above, of_workflows, outcomes_by_model

COSTS = {"gpt-4o": 0.35, "gpt-4o-mini": 0.021}


@pytest.fixture
def work(storage):
    """Run a workflow some times with one model or several; so many of the runs succeed."""

    def work(model, runs, good, *, workflow="support", agent="helper"):
        tracker = WorkflowTracker(workflow, storage)
        for number in range(runs):
            with tracker.run() as run:
                for each in [model] if isinstance(model, str) else model:
                    with tracker.track_agent(agent) as tracked:
                        tracked.track_call(each, 1_000, 100)
            tracker.outcome(number < good, run=run.event_id)

    return work


def test_outcomes_are_those_of_runs_that_one_model_did(storage, work):
    work("gpt-4o", 10, 9)
    work("gpt-4o-mini", 5, 4)
    work(["gpt-4o", "gpt-4o-mini"], 3, 0)  # which of the two has failed nobody knows
    work("gpt-4.1", 2, 2, agent="other")
    everyone = of_workflows(storage, None, Period())
    assert everyone == {"gpt-4o": (10, 0.9), "gpt-4o-mini": (5, 0.8), "gpt-4.1": (2, 1.0)}
    assert of_workflows(storage, "other", Period()) == {"gpt-4.1": (2, 1.0)}
    assert of_workflows(storage, "nobody", Period()) == {}


def test_what_was_said_last_of_a_run_holds(storage):
    tracker = WorkflowTracker("w", storage)
    with tracker.run() as run, tracker.track_agent("a") as agent:
        agent.track_call("gpt-4o", 10, 1)
    for success in (True, False):
        tracker.outcome(success, run=run.event_id)
    assert of_workflows(storage, "a", Period()) == {"gpt-4o": (1, 0.0)}


def test_other_sources_of_outcomes_are_added(storage, work):
    work("gpt-4o", 10, 9)
    known = outcomes_by_model(
        storage, None, Period(), sources=[lambda *_: {"gpt-4o": Outcomes(30, 0.5), "o3": Outcomes(4, 1.0)}]
    )
    assert known == {"gpt-4o": (40, pytest.approx(0.6)), "o3": (4, 1.0)}


def test_the_cheapest_model_whose_outcomes_are_as_good_is_used(storage, work):
    work("gpt-4o", 60, 54)
    work("gpt-4.1-mini", 60, 54)
    work("gpt-4o-mini", 60, 30)
    found = ModelSelector(storage).recommend(requirements={"agent_id": "helper"})
    assert (found.current_model, found.suggested_model, found.quality_delta) == ("gpt-4o", "gpt-4.1-mini", 0.0)
    assert found.title == "Use gpt-4.1-mini in place of gpt-4o"
    assert "Its quality is 0.90 against 0.90, by 60 and 60 outcomes of your own." in found.reasoning
    # Both of Beta(55, 7): the margin is 0.05, a standard deviation of the difference sqrt(2) x 0.0398.
    assert found.confidence == pytest.approx(0.81, abs=0.01)
    marks = {each.model: each.is_on_front for each in found.candidates}
    assert (marks["gpt-4o"], marks["gpt-4.1-mini"], marks["gpt-4o-mini"]) == (False, True, True)
    assert marks["gpt-4.1"] is None  # of which nothing is known


def test_one_that_is_measurably_worse_is_not_suggested_and_why_is_said(storage, work):
    work("gpt-4o", 60, 54)
    work("gpt-4o-mini", 60, 30)
    found = ModelSelector(storage, candidates=["gpt-4o-mini"]).recommend()
    assert found.suggested_model is None
    assert "not proved to be as good: gpt-4o-mini (0.50)" in found.reasoning


def test_one_that_may_be_as_good_is_tried_before_one_of_which_nothing_is_known(storage, work):
    work("gpt-4o", 60, 55)
    work("gpt-4.1-mini", 60, 54)
    found = ModelSelector(storage).recommend()
    # Beta(56, 6) and Beta(55, 7): (-0.016 + 0.05) / sqrt(0.0368^2 + 0.0398^2) is 0.63 standard deviations.
    assert (found.suggested_model, found.confidence) == ("gpt-4.1-mini", pytest.approx(0.734, abs=0.005))
    assert found.title.startswith("Try ")
    assert "too few to be sure that it is no worse by more than 0.05" in found.reasoning
    assert "nobody has measured" not in found.reasoning


def test_of_fewer_than_thirty_outcomes_nothing_is_said(storage, work):
    work("gpt-4o", 60, 54)
    work("gpt-4o-mini", 1, 0)
    (_, found) = ModelSelector(storage, candidates=["gpt-4o-mini"]).candidates()
    assert "1 outcome is too few to say how good it is" in found.reason
    work("gpt-4o-mini", 28, 0)
    (_, found) = ModelSelector(storage, candidates=["gpt-4o-mini"]).candidates()
    assert found.quality is None
    assert "29 outcomes are too few to say how good it is" in found.reason
    work("gpt-4o-mini", 1, 0)
    (_, found) = ModelSelector(storage, candidates=["gpt-4o-mini"]).candidates()
    assert (found.quality.value, found.quality.outcomes.count) == (0.0, 30)


def test_outcomes_beat_what_is_stated_and_what_is_stated_beats_nothing(storage, calls, work):
    calls(100)
    stated = {"gpt-4o": 0.9, "gpt-4o-mini": 0.6, "gpt-4.1-mini": 0.88}
    found = ModelSelector(storage, models=stated).recommend()
    assert (found.suggested_model, found.quality_delta) == ("gpt-4.1-mini", pytest.approx(-0.02))
    assert "Its quality is 0.88 against 0.90, as you state it." in found.reasoning
    work("gpt-4o", 60, 54)
    work("gpt-4o-mini", 60, 60)
    found = ModelSelector(storage, models=stated).recommend()
    assert (found.suggested_model, found.quality_delta) == ("gpt-4o-mini", pytest.approx(0.1))


def test_qualities_of_two_sources_are_not_compared(storage, calls, work):
    work("gpt-4o", 60, 30)
    found = ModelSelector(storage, models={"gpt-4o-mini": 0.99}, candidates=["gpt-4o-mini"]).recommend()
    assert (found.suggested_model, found.quality_delta) == ("gpt-4o-mini", None)
    assert found.title.startswith("Try ")


def test_a_least_quality_must_be_shown(storage, work):
    work("gpt-4o", 40, 40)
    work("gpt-4o-mini", 40, 37)
    work("gpt-4.1-mini", 40, 39)
    selector = ModelSelector(storage, candidates=["gpt-4o-mini", "gpt-4.1-mini", "gpt-4.1-nano"])
    found = selector.recommend(requirements={"min_quality": 0.9})
    assert found.suggested_model == "gpt-4.1-mini"
    reasons = {each.model: each.reason for each in found.candidates}
    assert reasons["gpt-4o-mini"] == "its quality of 0.93 in 40 outcomes does not show that it is 0.9"
    assert reasons["gpt-4.1-nano"].startswith("its quality is unknown")


def test_how_sure_it_is_grows_with_the_outcomes():
    same = [how_sure(Outcomes(n, 0.9), Outcomes(n, 0.9)) for n in (30, 100, 1_000)]
    assert same == sorted(same)
    assert same[-1] > 0.99
    assert how_sure(Outcomes(1_000, 0.7), Outcomes(1_000, 0.9)) < 0.01
    assert how_sure_above(Outcomes(1_000, 0.9), 0.8) > 0.99 > 0.01 > how_sure_above(Outcomes(1_000, 0.8), 0.9)


def test_the_front_has_what_nothing_beats_in_both():
    points = {"a": (1, 0.5), "b": (2, 0.9), "c": (2, 0.7), "d": (3, 0.9), "e": (1, 0.5), "f": (4, 0.95)}
    assert front(points) == {"a", "e", "b", "f"}
    assert front({}) == set()


def test_a_table_says_more_than_qualities(storage, calls, tmp_path):
    calls(5)
    file = tmp_path / "models.yaml"
    file.write_text("openai: {regions: [EU]}\ngpt-4o-mini: {quality: 0.8, latency_ms: 700, modalities: [audio]}\n")
    asked = {"region": "eu", "modalities": "audio", "max_latency_ms": 800}
    found = ModelSelector(storage, models=file, candidates=["gpt-4o-mini", "claude-haiku-4-5"]).recommend(None, asked)
    mini, haiku = found.candidates[1:]
    assert (mini.is_kept, mini.quality.value, mini.latency.p95_ms) == (True, 0.8, 700)
    assert "it is not known where it runs" in haiku.reason
    assert {"regions": ["eu"]}.items() <= mini.to_dict().items()
    slow = ModelSelector(storage, models=file, candidates=["gpt-4o-mini"]).candidates(None, {"max_latency_ms": 600})
    assert slow[1].reason == "it is said to take 700 ms"


def test_a_region_is_read_from_the_names_of_bedrock(storage, calls):
    calls(5)
    names = ["eu.anthropic.claude-haiku-4-5-20251001-v1:0", "us.anthropic.claude-haiku-4-5-20251001-v1:0"]
    found = {
        each.model: each
        for name in names
        for each in ModelSelector(storage, candidates=[name]).candidates(None, {"region": "eu"})
    }
    assert found[names[0]].is_kept
    assert found[names[1]].reason == "runs in us, not in eu"
    assert found[names[0]].facts.tools is True  # it is the same model as at its maker


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"m": 80}, "quality of 'm' must be a number from 0 to 1, not 80"),
        ({"m": {"speed": 1}}, "no 'speed' of 'm': use quality, regions, latency_ms"),
        ({"m": {"context": 1.5}}, "context of 'm' must be a whole number of tokens above 0"),
        ({"m": {"tools": 1}}, "tools of 'm' must be true or false"),
        ({"m": {"modalities": ["smell"]}}, "modalities of 'm' must be some of text, image"),
        ([1], "must map names of models"),
        ("nowhere.json", "'nowhere.json' cannot be read"),
    ],
    ids=str,
)
def test_a_table_that_cannot_be_is_refused(storage, given, said):
    with pytest.raises(ConfigurationError, match=said):
        ModelSelector(storage, models=given)


def test_the_settings_have_a_table_too(storage, calls, tmp_path, monkeypatch):
    calls(5)
    (tmp_path / "own.yaml").write_text("selection:\n  models:\n    gpt-4o-mini: {quality: 0.7, regions: [eu]}\n")
    monkeypatch.setenv("TOKEN_CALC_CONFIG", str(tmp_path / "own.yaml"))
    (_, mini) = ModelSelector(storage, candidates=["gpt-4o-mini"]).candidates()
    assert (mini.quality.value, mini.quality.source, mini.facts.regions) == (0.7, "table", {"eu"})
    (_, mini) = ModelSelector(storage, models={}, candidates=["gpt-4o-mini"]).candidates()
    assert mini.quality is None
    assert json.dumps(mini.to_dict())


def test_outcomes_of_ab_tests_count(storage, work, monkeypatch):
    monkeypatch.setenv("TOKEN_CALC_HASH_KEY", "the key of these tests")
    work("gpt-4o", 40, 40)
    selector = ModelSelector(storage)
    test = selector.create_ab_test("gpt-4o", "gpt-4o-mini", 7, name="helper", agent_id="helper")
    of_others = selector.create_ab_test("gpt-4o", "gpt-4.1-nano", 7, name="others", agent_id="other")
    given = []
    for number in range(200):
        for each in (test, of_others):
            model = each.assign(number)
            each.record_outcome(number, 1.0 if model == "gpt-4o" else 0.75)
        given.append(test.assign(number))
    found = outcomes_by_model(storage, "helper", Period(), sources=selector.outcome_sources)
    assert found["gpt-4o-mini"] == (given.count("gpt-4o-mini"), 0.75)
    assert found["gpt-4o"] == (given.count("gpt-4o") + 40, 1.0)
    assert "gpt-4.1-nano" not in found
    assert selector.ab_test("helper").results().a.outcomes == given.count("gpt-4o")
    assert outcomes_by_model(storage, None, Period(), sources=selector.outcome_sources)["gpt-4.1-nano"][1] == 0.75
