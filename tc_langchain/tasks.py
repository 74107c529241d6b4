"""Model calls of asyncio tasks that were cancelled: of these LangChain tells no end."""

import asyncio
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

from tc_core.adapter import never_raises

RunKey = bytes


class Tasks:
    """Knows which calls a task has open, and gives them up when the task ends without their end."""

    def __init__(self, give_up: Callable[[RunKey], object]) -> None:
        self._give_up = give_up
        self._open: WeakKeyDictionary[asyncio.Task[object], set[RunKey]] = WeakKeyDictionary()
        self._mates: dict[RunKey, set[RunKey]] = {}

    def began(self, key: RunKey) -> None:
        """Note that a call begins here; outside of a task that means nothing."""
        if asyncio._get_running_loop() is None:
            return
        task = asyncio.current_task()
        if task is None:
            return
        keys = self._open.get(task)
        if keys is None:
            keys = self._open[task] = set()
            task.add_done_callback(partial(self._ended, keys))
        keys.add(key)
        self._mates[key] = keys

    def ended(self, key: RunKey) -> None:
        """Note that a call has ended, wherever that is told."""
        keys = self._mates.pop(key, None)
        if keys is not None:
            keys.discard(key)

    @never_raises
    def _ended(self, keys: set[RunKey], _task: "asyncio.Task[object]") -> None:
        for key in list(keys):
            self.ended(key)
            self._give_up(key)
