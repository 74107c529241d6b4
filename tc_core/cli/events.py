"""How single events are written: their ids, how they ended, and how they stand to others."""

from tc_core.lineage.present import RELATIONS
from tc_core.model.written import MARKS, SHORT_ID

__all__ = ("MARKS", "RELATIONS", "SHORT_ID")
