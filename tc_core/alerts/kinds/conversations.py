"""Kinds about the health of conversations, where that is followed: how full the context is, and how it rots."""

from collections.abc import Iterable

from tc_core import settings
from tc_core.alerts.kinds.asking import Figure, Level
from tc_core.health import sql as health
from tc_core.health.figures import FIGURES
from tc_core.model import clock
from tc_core.model.event import to_us
from tc_core.store.sql import SqlStore

THRESHOLDS = {"context_usage": 80.0, "context_rot": 60.0, "repetition": 0.8, "injection_risk": 0.5}


class Conversation(Level):
    """A figure of the newest call of each conversation; one that is silent for the window is over."""

    window = "1h"

    def __init__(self, said: settings.AlertRule, store: SqlStore) -> None:
        self.threshold = THRESHOLDS[said.type]
        super().__init__(said, store)
        self._read = FIGURES[said.type]

    def figures(self) -> Iterable[Figure]:
        """Return the figure of each session, or of each run that has none."""
        since = clock.now() - self.span
        newest = {
            found.session_id or found.run_id: found
            for found in health.read(self.store, self.chosen.filters(since), to_us(since))
        }
        for key, found in newest.items():
            value = self._read(found)
            if value is not None:
                what = self.said.type.replace("_", " ")
                who = "" if found.agent_id is None else f" of {found.agent_id}"
                said = (
                    f"conversation {key}{who}: {what} {value:g} after {found.messages} messages (limit {self.limit:g})"
                )
                yield Figure(key, value, said, found.event_id)
