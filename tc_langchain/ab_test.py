"""Sending an agent's requests to the models of an A/B test: each session, user or run to one of them."""

import logging
from collections.abc import Mapping
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel

from tc_core import ABTest, CostTracker, open_ab_test
from tc_core.adapter import Recorder, attempt
from tc_langchain import reading, requests
from tc_langchain.runs import current

log = logging.getLogger("tc_core")

Models = Mapping[str, str | BaseChatModel]


class Arms:
    """The arms of a test, as the models that an agent asks.

    A model's own name changes the agent's model where both are of one provider; else it is made by
    `init_chat_model`, and from the keys of the environment. `models` says otherwise: by the name in the test another
    name for `init_chat_model`, such as `azure_openai:gpt-4o`, or a model.
    """

    def __init__(self, test: ABTest | str, models: Models | None, tracker: CostTracker | None) -> None:
        if not isinstance(test, ABTest | str):
            raise TypeError(f"ab_test is a test of create_ab_test, or the name of one, not {test!r}")
        storage = None if tracker is None else tracker.storage
        self.test = open_ab_test(storage, test) if isinstance(test, str) else test
        self.test.check_key()
        self._models: dict[str, str | BaseChatModel] = dict(models or {})
        self._is_warned = False
        for name in self._models:
            if name not in self.test.models:
                raise ValueError(f"models: {name!r} is no model of test {self.test.name!r}, {self.test.models}")

    def applied(
        self, request: "ModelRequest[Any]", recorder: Recorder, default_labels: Mapping[str, object]
    ) -> "tuple[ModelRequest[Any], Mapping[str, str]]":
        """Return the request to the model of its unit's arm, and the labels by which its call is known.

        Once the test is over the model is the one that it was stopped with, else the agent's own.
        """
        if not self.test.is_running(waits=False):
            kept = self.test.kept_model
            model = None if kept is None else attempt(self._model, kept, request)
            return (request if model is None else request.override(model=model)), {}
        unit = self.test.unit_in(*recorder.place_here(current(), default_labels))
        if unit is None:
            self._warn()
            return request, {}
        arm = self.test.arm(unit)
        model = attempt(self._model, self.test.models[arm == "b"], request)
        if model is None:  # it cannot be asked, so it is not compared
            return request, {}
        return request.override(model=model), self.test.labels(arm)

    def _model(self, name: str, request: "ModelRequest[Any]") -> BaseChatModel:
        found = self._models.get(name)
        if isinstance(found, str):
            found = self._models[name] = init_chat_model(found)
        if found is not None:
            return found
        said = requests.parameters(request.model, request.model_settings)
        if reading.model_name(said, {}) == name:
            return request.model
        provider, other = self.test.providers if name == self.test.model_a else self.test.providers[::-1]
        if provider in (None, other, said.get("ls_provider")):
            return requests.renamed(request.model, name)
        made = self._models[name] = init_chat_model(name)
        return made

    def _warn(self) -> None:
        if self._is_warned:
            return
        self._is_warned = True
        test = self.test
        how = {
            "session": "call the agent within tc_core.session(...), or with a thread_id",
            "workflow": "call the agent within tc_core.workflow(...)",
            "run": "record with tc_core.instrument()",
        }.get(test.unit, f"call the agent within tc_core.labels({test.unit}=...)")
        log.warning(
            "token-calculator: A/B test %r assigns by %s, but a call has none, so it is no part of it: %s.",
            test.name, test.unit, how,
        )  # fmt: skip
