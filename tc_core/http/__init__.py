"""HTTP clients that see what callbacks are not told: raw calls, retries, and the provider's own figures.

>>> OpenAI(http_client=tracking_client())

A request that belongs to a model call of a framework becomes one of its attempts: it says more about the call, and
never adds to its cost. Any other request to a model is recorded as a call of its own, under what is open where it is
sent.
"""

from tc_core.http.clients import Storage, async_tracking_client, tracking_client
from tc_core.http.reading import reported

__all__ = ["Storage", "async_tracking_client", "reported", "tracking_client"]
