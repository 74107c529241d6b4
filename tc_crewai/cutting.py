"""Cutting a stream that a part says has come far enough, by a sink of CrewAI's for the events of an execution.

What its event bus calls may raise as it likes, and nobody is told. A sink is asked before that, in the thread that
reads the stream, and what it raises ends the call.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from tc_core.adapter import Meter, Recorder, attempt, never_raises
from tc_crewai import host
from tc_crewai.admission_errors import aborted
from tc_crewai.runs import runs

_add_sink: Callable[[Any], Any] | None = host.ADD_SINK.find()
_reset_sinks: Callable[[Any], None] | None = host.RESET_SINKS.find()
_CHUNK = "llm_stream_chunk"


@dataclass(slots=True, eq=False)
class Stream:
    """The answer of a call that was let through, as far as it has come."""

    meters: Sequence[Meter]
    call_id: str | None = None
    """The call that the first piece was one of: a tool may call another model in the midst of it."""
    pieces: list[str] = field(default_factory=list)


_stream: ContextVar[Stream | None] = ContextVar("tc_crewai_stream", default=None)
"""The call that was let through last here."""


def can_cut() -> bool:
    """Tell whether this version of CrewAI has what streams are cut by."""
    return _add_sink is not None and _reset_sinks is not None


@never_raises
def watch(admitted: Mapping[Recorder, bytes]) -> None:
    """Watch the stream of the call that is made next here, where a part wants that."""
    found = [recorder.meter(id_) for recorder, id_ in admitted.items() if recorder.cuts_streams]
    meters = [meter for meter in found if meter is not None]
    if not meters or _add_sink is None or _reset_sinks is None:
        _stream.set(None)
        return
    _stream.set(Stream(meters))
    token = _add_sink(_sink)
    if _sink in (token.old_value if token.old_value is not token.MISSING else ()):
        _reset_sinks(token)


def _sink(_source: Any, event: Any) -> None:
    """Look at a piece of a stream; raises what that is cut with."""
    if event.type == _CHUNK and _stream.get() is not None:
        cut = _weighed(event)
        if cut is not None:
            raise aborted(cut) from cut


@never_raises
def _weighed(event: Any) -> Exception | None:
    stream, call_id = _stream.get(), event.call_id
    if stream is None or stream.call_id not in (None, call_id):
        return None
    stream.call_id = call_id
    stream.pieces.append(event.chunk)
    cuts = (attempt(meter.piece, len(event.chunk)) for meter in stream.meters)
    cut = next((each for each in cuts if each is not None), None)
    if cut is not None:
        _stream.set(None)
        runs.trip(event.parent_event_id, cut)
        runs.cut(call_id, type(cut).__name__, "".join(stream.pieces))
    return cut
