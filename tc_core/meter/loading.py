"""Loading what is big only once it is needed, on whatever thread that is.

A fork waits for it: a child of a process in which a thread is importing a module would wait for that import for ever.
"""

import threading
from contextlib import suppress
from functools import cache

from tc_core.meter.whole import import_whole

lock = threading.RLock()
"""Held while something is loaded, and while the process forks."""


@cache
def load_prices() -> None:
    """Import the price table."""
    with lock:
        with suppress(ImportError):  # an older table does not need it
            import_whole("httpx2")
        import genai_prices.data
        import genai_prices.data_snapshot
        import genai_prices.types  # noqa: F401
