"""What an A/B test is: as it was set up, and whether it runs."""

from datetime import datetime
from functools import cached_property
from typing import Literal

from tc_core.errors import PriceNotFoundError
from tc_core.meter import price_table
from tc_core.model.clock import clock
from tc_core.model.event import from_us
from tc_core.selection.ab_sql import Setup

ARMS = ("a", "b")

State = Literal["running", "ended", "stopped"]
Method = Literal["mixture", "pairs"]
METHODS: tuple[Method, ...] = ("mixture", "pairs")
"""By what a difference is known."""


class Definition:
    """The facts of a test, as this process last read them."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.model_a!r}, {self.model_b!r}, {self.state})"

    @property
    def name(self) -> str:
        """Its name."""
        return self._setup.name

    @property
    def models(self) -> tuple[str, str]:
        """The models of a and b."""
        return self._setup.model_a, self._setup.model_b

    @property
    def model_a(self) -> str:
        """The model of a: the one that is used today."""
        return self._setup.model_a

    @property
    def model_b(self) -> str:
        """The model of b: the one that is tried."""
        return self._setup.model_b

    @cached_property
    def providers(self) -> tuple[str | None, str | None]:
        """By whom the models of a and b are sold, as the table of prices has it; None where it has not."""
        return _provider(self.model_a), _provider(self.model_b)

    @property
    def unit(self) -> str:
        """What gets one model or the other as a whole: session, workflow, run, or the name of a label."""
        return self._setup.unit

    @property
    def split(self) -> float:
        """The share of units that get b."""
        return self._setup.split

    @property
    def agent_id(self) -> str | None:
        """Whose calls it is about; None for all."""
        return self._setup.agent_id

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Between which numbers outcomes lie; None for any."""
        low, high = self._setup.low, self._setup.high
        return None if low is None or high is None else (low, high)

    @property
    def started_at(self) -> datetime:
        """When it was set up."""
        return from_us(self._setup.start_us)

    @property
    def ends_at(self) -> datetime:
        """When it takes no further units."""
        return from_us(self._setup.end_us)

    @property
    def stopped_at(self) -> datetime | None:
        """When it was stopped, or None."""
        return None if self._setup.stopped_us is None else from_us(self._setup.stopped_us)

    @property
    def kept_model(self) -> str | None:
        """The model that everybody gets since it was stopped, if one was named."""
        keep = self._setup.keep
        return None if keep is None else self.models[ARMS.index(keep)]

    @property
    def state(self) -> State:
        """Whether it is running, has ended, or was stopped, as this process last knew."""
        if self._setup.stopped_us is not None:
            return "stopped"
        return "running" if clock.wall_ns() // 1000 < self._setup.end_us else "ended"


def _provider(model: str) -> str | None:
    try:
        return price_table.show(model).provider
    except PriceNotFoundError:
        return None
