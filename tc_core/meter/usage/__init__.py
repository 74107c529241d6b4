"""The one reader of what providers report: from their own bodies to tokens, charges, tier and billed cost.

`usage_part` takes the few numbers out of a body on the caller's thread; `read` turns them into a `Reading`, on the
writer's thread or when a spool is replayed.
"""

from tc_core.meter.usage.part import join_parts, tells_both, usage_part
from tc_core.meter.usage.reading import Reading, read

__all__ = ["Reading", "join_parts", "read", "tells_both", "usage_part"]
