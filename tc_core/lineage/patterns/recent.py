"""A mapping of what was used last: bounded, so that detectors can listen for as long as a program runs."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MOST = 10_000


class Recent(Generic[Key, Value]):
    """Keeps the values that were set or asked for last."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """Return what is known under a key, or None."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def set(self, key: Key, value: Value) -> Value:
        """Have a value known under a key, and return it."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value

    def pop(self, key: Key) -> Value | None:
        """Forget a key; return what was known."""
        return self._values.pop(key, None)
