"""How good a model's answers are: by the user's own outcomes, else as the user states it, else unknown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import Any, NamedTuple

from tc_core.costs.reading import reader_of
from tc_core.model.period import Period
from tc_core.model.ports import GroupKey
from tc_core.store.base import StorageBackend
from tc_core.workflows.outcomes import OUTCOME

FEWEST_OUTCOMES = 30
"""Of fewer outcomes nothing is said."""

MARGIN = 0.05
"""A quality that is lower by no more than this is as good."""

OWN_OUTCOMES, STATED = "outcomes", "table"


class Outcomes(NamedTuple):
    """How the work of one model came out: how often, and the mean from 0 (failed) to 1 (succeeded)."""

    count: int  # type: ignore[assignment]  # a tuple has a method of that name
    mean: float

    @classmethod
    def together(cls, several: Sequence["Outcomes"]) -> "Outcomes":
        """Return the outcomes of several sources as one."""
        number = sum(each.count for each in several)
        return cls(number, sum(each.count * each.mean for each in several) / number if number else 0.0)

    @property
    def spread(self) -> tuple[float, float]:
        """Mean and variance of what the true mean may be, of a Beta distribution with a flat prior."""
        good = self.count * self.mean
        a, b = good + 1, self.count - good + 1
        return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))


OutcomeSource = Callable[[StorageBackend, str | None, Period], Mapping[str, Outcomes]]
"""Knows outcomes by the name of the model that was asked for, of one agent or of all, in a period."""


@dataclass(frozen=True, slots=True)
class Quality:
    """A quality from 0 to 1, where it comes from, and on how many outcomes it rests."""

    value: float
    source: str
    outcomes: Outcomes | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "value": self.value,
            "source": self.source,
            "outcomes": None if self.outcomes is None else self.outcomes.count,
        }


def outcomes_by_model(
    reader: StorageBackend, agent_id: str | None, period: Period, *, sources: Sequence[OutcomeSource] = ()
) -> dict[str, Outcomes]:
    """Return how the work of each model came out, over all sources; by default the outcomes of workflows alone."""
    found: dict[str, list[Outcomes]] = {}
    for source in (of_workflows, *sources):
        for model, outcomes in source(reader, agent_id, period).items():
            found.setdefault(model, []).append(outcomes)
    return {model: Outcomes.together(several) for model, several in found.items()}


def of_workflows(storage: StorageBackend, agent_id: str | None, period: Period) -> dict[str, Outcomes]:
    """Return the outcomes of workflow runs in which one model did all the work of the agent, or of all agents.

    A run in which several models worked proves nothing of one of them. What was said last of a run holds.
    """
    latest = {}
    for event in storage.query_events({"event_type": OUTCOME}, period.start, None):
        if event.parent_id is not None:
            latest[event.root_id, event.workflow_id] = bool(event.metadata.get("success"))
    if not latest:
        return {}
    filters = {} if agent_id is None else {"agent_id": agent_id}
    names = ("root_id", "workflow_id", "model")
    models: dict[tuple[str | None, str | None], set[str | None]] = {}
    for key, totals in reader_of(storage).totals(names, filters, period.start, period.end).items():
        if totals.calls and key[:2] in latest:
            models.setdefault(_run(key), set()).add(key[2])
    came: dict[str, list[bool]] = {}
    for run, used in models.items():
        (model, *others) = used
        if model is not None and not others:
            came.setdefault(model, []).append(latest[run])
    return {model: Outcomes(len(each), sum(each) / len(each)) for model, each in came.items()}


def _run(key: GroupKey) -> tuple[str | None, str | None]:
    return key[0], key[1]


def how_sure(candidate: Outcomes, current: Outcomes, *, margin: float = MARGIN) -> float:
    """Return how probable it is that a candidate is not worse by more than the margin."""
    (mean, variance), (mean_now, variance_now) = candidate.spread, current.spread
    return _normal((mean - mean_now + margin) / sqrt(variance + variance_now))


def how_sure_above(candidate: Outcomes, least: float) -> float:
    """Return how probable it is that a candidate is at least so good."""
    mean, variance = candidate.spread
    return _normal((mean - least) / sqrt(variance))


def _normal(deviations: float) -> float:
    return 0.5 * (1 + erf(deviations / sqrt(2)))
