"""What can go wrong, seen from the caller.

TokenCalculatorError
 ├─ ABTestError          an A/B test is not there, is another one, or does not know a unit
 ├─ BudgetExceededError  a call was refused before it was made: a hard budget has no room for it
 ├─ ConfigurationError   a setting, an argument of ours or an environment variable is unusable
 ├─ PriceNotFoundError   a model that was named to take its price from has none
 ├─ StorageError         the store cannot be opened, read or written
 └─ LineageError         a relation between events does not make sense
     ├─ CycleError       it would make an event its own ancestor
     └─ ProvenanceError  a record of where a request comes from has faults
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

__all__ = [
    "ABTestError",
    "BudgetExceededError",
    "ConfigurationError",
    "CycleError",
    "LineageError",
    "PriceNotFoundError",
    "ProvenanceError",
    "StorageError",
    "TokenCalculatorError",
]


class TokenCalculatorError(Exception):
    """Base of every error that this library raises on purpose."""


class BudgetExceededError(TokenCalculatorError, RuntimeError):
    """A hard budget has no room for a call, which was not made; LangGraph's retries leave a RuntimeError alone.

    `budget` is its name; `amount`, `spent`, `reserved` (for calls under way) and `asked` (what this call was thought to
    take) are dollars, tokens or calls, as `unit` says; `renews_at` is when the next period begins, None for never.
    `received_tokens` is about how much of a streamed answer had come when that was cut, None for a call that was not
    made.
    """

    def __init__(
        self,
        message: str,
        *,
        budget: str = "",
        unit: str = "usd",
        amount: float = 0,
        spent: float = 0,
        reserved: float = 0,
        asked: float | None = None,
        renews_at: datetime | None = None,
        received_tokens: int | None = None,
    ) -> None:
        super().__init__(message)
        self.budget, self.unit, self.amount, self.spent = budget, unit, amount, spent
        self.reserved, self.asked, self.renews_at = reserved, asked, renews_at
        self.received_tokens = received_tokens

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, self.__dict__


class ABTestError(TokenCalculatorError):
    """An A/B test is not there, is there with another setup, or has not assigned a unit."""


class PolicyError(TokenCalculatorError):
    """A policy cannot be applied, or taken back; the message says which one, why, and what to do."""


class AgentLoopError(TokenCalculatorError, RuntimeError):
    """A policy has stopped an agent that asks the same of its tools again and again; the call was not made.

    `policy` is its name, `tools` are those that were asked, `rounds` says how often.
    """

    def __init__(self, message: str, *, policy: str = "", tools: Sequence[str] = (), rounds: int = 0) -> None:
        super().__init__(message)
        self.policy, self.tools, self.rounds = policy, tuple(tools), rounds

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, self.__dict__


class ConfigurationError(TokenCalculatorError):
    """A setting has a value that cannot be used; the message names setting, value and remedy."""


class StorageError(TokenCalculatorError):
    """The store cannot be opened, read or written; the message names it, without passwords.

    `is_passing` tells whether the same may succeed later: a lock, a full disk, a server that is away.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class PriceNotFoundError(TokenCalculatorError):
    """No price is known for a model that was asked for by name."""


class LineageError(TokenCalculatorError):
    """A relation between events that cannot be kept."""


class CycleError(LineageError):
    """The relation would make an event its own ancestor."""


class ProvenanceError(LineageError):
    """A record of where a request comes from cannot be kept; `faults` names all that is wrong with it."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)
