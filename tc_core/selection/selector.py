"""ModelSelector: which model would have answered the same calls for less, and what speaks for it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, tzinfo
from pathlib import Path
from typing import Any

from tc_core.model.period import Period, period, zone
from tc_core.runtime.recorders import open_storage, wait_for_parts
from tc_core.selection import calls as asked_calls
from tc_core.selection.ab_outcomes import of_ab_tests
from tc_core.selection.ab_setup import create_ab_test, open_ab_test
from tc_core.selection.ab_test import ABTest
from tc_core.selection.calls import Calls
from tc_core.selection.candidate import ModelCandidate, ModelRecommendation
from tc_core.selection.candidates import Evidence, looked_at
from tc_core.selection.facts import Stated, read_stated, stated_in_settings
from tc_core.selection.observed import observed
from tc_core.selection.pricing import Pricing
from tc_core.selection.quality import OutcomeSource, outcomes_by_model
from tc_core.selection.reasoning import recommendation
from tc_core.selection.requirements import Requirements
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore


class ModelSelector:
    """Recommends a model by pricing the calls that were made as if it had been asked.

    `storage` is a store, a path or a URL; without it the default store is used. `models` is what the user knows of
    models, which beats everything else: a mapping from names to a quality from 0 to 1, or to what is known (`quality`,
    `regions`, `latency_ms`, `context`, `longest_output`, `modalities`, `tools`), or the path of a YAML or JSON file
    with such a mapping; by default `selection.models` of the settings. `candidates` are the models to look at, or
    providers that stand for all theirs; by default those of the current model's provider and those in the store.

    >>> selector = ModelSelector("token_calculator.db")
    >>> found = selector.recommend(requirements={"agent_id": "support", "tools": True})
    >>> found.suggested_model, found.monthly_savings, found.reasoning
    """

    def __init__(
        self,
        storage: StorageBackend | str | Path | None = None,
        *,
        models: Mapping[str, Any] | str | Path | None = None,
        candidates: Sequence[str] | None = None,
    ) -> None:
        self.storage = open_storage(storage)
        self.models: dict[str, Stated] = read_stated(models)
        self._has_models = models is not None
        self._candidates = None if candidates is None else [candidates] if isinstance(candidates, str) else candidates
        self.outcome_sources: list[OutcomeSource] = [of_ab_tests]
        """Where outcomes come from, beside those of workflows."""

    def recommend(
        self,
        conversation_history: Iterable[object] | None = None,
        requirements: Mapping[str, Any] | None = None,
        *,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        tz: str | tzinfo = "UTC",
    ) -> ModelRecommendation:
        """Return the model that would have done the same for less, and all that were looked at.

        With a history it is about the calls of that conversation, else about the recorded calls of `agent_id`, or of
        all; by default those of the 30 days before the last one. Dates are as in `get_costs`. `requirements` are those
        of `tc_core.selection.requirements.Requirements`. Raises ConfigurationError for a requirement that there is
        not, or that cannot be.
        """
        asked = Requirements.of(requirements)
        span = None if start_date is None and end_date is None else period(start_date, end_date, tz=zone(tz))
        if isinstance(self.storage, SqlStore):
            wait_for_parts(self.storage)
        calls = self._calls(conversation_history, asked, span)
        evidence = self._evidence(calls, asked)
        found = looked_at(evidence, self._candidates) if calls.current_model is not None else []
        return recommendation(evidence, found)

    def candidates(
        self,
        conversation_history: Iterable[object] | None = None,
        requirements: Mapping[str, Any] | None = None,
        *,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        tz: str | tzinfo = "UTC",
    ) -> list[ModelCandidate]:
        """Return all models that were looked at, each with the reason why it was kept or dropped; see `recommend`."""
        found = self.recommend(conversation_history, requirements, start_date=start_date, end_date=end_date, tz=tz)
        return list(found.candidates)

    def create_ab_test(
        self,
        model_a: str,
        model_b: str,
        duration_days: float,
        *,
        name: str | None = None,
        unit: str = "session",
        split: float = 0.5,
        agent_id: str | None = None,
    ) -> ABTest:
        """Set up a test of two models, and return it: see `tc_core.create_ab_test`. Its outcomes are qualities here."""
        return create_ab_test(
            self.storage, model_a, model_b, duration_days, name=name, unit=unit, split=split, agent_id=agent_id
        )

    def ab_test(self, name: str) -> ABTest:
        """Return a test that was set up; raises ABTestError where there is none of that name."""
        return open_ab_test(self.storage, name)

    def _calls(self, history: Iterable[object] | None, asked: Requirements, span: Period | None) -> Calls:
        messages = list(history) if history is not None else []
        own = asked_calls.recorded(self.storage, asked.agent_id, asked.current_model, span)
        if not messages:
            return own
        if own.current_model is None:
            return Calls(None, is_recorded=False)
        return asked_calls.of_conversation(messages, own)

    def _evidence(self, calls: Calls, asked: Requirements) -> Evidence:
        return Evidence(
            calls=calls,
            pricing=Pricing(calls),
            asked=asked,
            stated=self.models if self._has_models else stated_in_settings(),
            seen=observed(self.storage, asked.agent_id, calls.period),
            outcomes=outcomes_by_model(self.storage, asked.agent_id, calls.period, sources=self.outcome_sources),
        )
