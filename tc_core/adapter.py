"""What adapters are built on; a further framework needs nothing but this.

An adapter translates its host's hooks into calls of a `Recorder`: `start` when a run begins, `finish` or `fail` when it
ends, `link` for what the host says about relations. Hooks are wrapped in `never_raises`; pure functions that read the
host's payloads are called through `attempt`, and through `deferred` where texts are only needed by a part that reads
them (`Recorder.keeps_texts`). Where `Recorder.wants_to_admit`, `Recorder.admit` says what becomes of a request, on the
caller's thread and before anything is sent (in an event loop `admitted_in_time`, which waits for calls under way);
where it `cuts_streams`, `Recorder.meter` gives what each piece of a stream is shown to, and says with what it is cut.
`recorder_for` gives the recorder of a store; `register` tells how to find the host's innermost run. What is copied or
pickled with the host's objects keeps a `Destination`, and its labels as `label_texts`. `short_id` stands for a text
that must not be stored. `provider_at` tells by the address whom a class asks that speaks OpenAI's language. `HostName`
is a name of the host that some of its versions lack.
"""

from tc_core.meter.hosts import provider_at
from tc_core.meter.usage import join_parts, tells_both, usage_part
from tc_core.model.event import EventRecord, Status
from tc_core.model.ids import new_id
from tc_core.model.part import Decision, Followed, Meter, Request
from tc_core.model.provenance import Relation
from tc_core.model.segment import Content, Segment, of_block
from tc_core.model.usage import Report, Usage
from tc_core.record.admission import LOOK_SECONDS, WAIT_SECONDS, admitted_in_time, may_pass
from tc_core.record.context import Note, register, requesting
from tc_core.record.guard import attempt, deferred, never_raises
from tc_core.record.host import HostName
from tc_core.record.label_texts import label_texts
from tc_core.record.pending import status_of
from tc_core.record.recorder import Recorder
from tc_core.runtime.destination import Destination
from tc_core.runtime.hash_key import short_id
from tc_core.runtime.recorders import recorder_for

__all__ = [
    "LOOK_SECONDS",
    "WAIT_SECONDS",
    "Content",
    "Decision",
    "Destination",
    "EventRecord",
    "Followed",
    "HostName",
    "Meter",
    "Note",
    "Recorder",
    "Relation",
    "Report",
    "Request",
    "Segment",
    "Status",
    "Usage",
    "admitted_in_time",
    "attempt",
    "deferred",
    "join_parts",
    "label_texts",
    "may_pass",
    "never_raises",
    "new_id",
    "of_block",
    "provider_at",
    "recorder_for",
    "register",
    "requesting",
    "short_id",
    "status_of",
    "tells_both",
    "usage_part",
]
