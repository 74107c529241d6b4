"""What the parts say of requests, on the caller's thread: before these are made, and while their answers come."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from operator import attrgetter

from tc_core.model import ids
from tc_core.model.part import ALLOWED, Decision, Followed, Meter, Part, Request
from tc_core.record.guard import attempt

_admit_of = attrgetter("admit")


class AskedParts(ABC):
    """The side of a recorder that hosts ask what may become of a request."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._cuts: dict[Hashable, Exception] = {}  # what reads their answers asks for it

    @abstractmethod
    def is_open(self, key: Hashable) -> bool:
        """Tell whether a run has begun and not ended."""

    @property
    def wants_to_admit(self) -> bool:
        """Whether a part wants to see requests before they are made; it may come and go while recording."""
        return any(map(_admit_of, self.parts))

    def admit(self, request: Request) -> Decision:
        """Ask the parts what becomes of a request, on the caller's thread; the first that refuses or answers decides.

        A part that fails allows it. One may swap the model, and the next is asked about that.
        """
        found = ALLOWED
        for part in self.parts:
            said = None if part.admit is None else attempt(part.admit, request)
            if said is None or said is ALLOWED:
                continue
            found = Decision(
                found.model if said.model is None else said.model,
                said.answer,
                said.refusal,
                found.compress_at if said.compress_at is None else said.compress_at,
            )
            if said.refusal is not None or (said.answer is not None and request.can_answer):
                if request.event_id is not None:
                    self.withdraw(request.event_id)
                return found
            if type(said.model) is str:
                request = request._replace(model=said.model)
        return found

    def withdraw(self, event_id: ids.EventId) -> None:
        """Tell the parts that a request which was let through is not made after all."""
        for part in self.parts:
            if part.withdraw is not None:
                attempt(part.withdraw, event_id)

    def rename(self, event_id: ids.EventId, other: ids.EventId) -> None:
        """Tell the parts that the event of a request which was let through will have another id."""
        for part in self.parts:
            if part.rename is not None:
                attempt(part.rename, event_id, other)

    @property
    def cuts_streams(self) -> bool:
        """Whether a part wants to watch streams, and may have them cut."""
        return any(part.meter is not None for part in self.parts)

    def meter(self, event_id: ids.EventId) -> Meter | None:
        """Return what watches the stream of a request that was let through, None where nothing does."""
        found = (attempt(part.meter, event_id) for part in self.parts if part.meter is not None)
        return next((meter for meter in found if meter is not None), None)

    def cut(self, key: Hashable, error: Exception) -> None:
        """Have what reads the answer to a request of an open run end it with an error, where that can."""
        if self.is_open(key):
            self._cuts[key] = error

    def cut_of(self, key: Hashable) -> Exception | None:
        """Return what the answer to a request of an open run is to be ended with, None where it may go on."""
        return self._cuts.get(key)

    def followed(self, event_id: ids.EventId, what: Followed) -> None:
        """Tell the parts what a host makes of a request that was let through, by the id that they were asked under.

        Only a host that can change requests, and only where `wants_to_admit`.
        """
        for part in self.parts:
            if part.followed is not None:
                attempt(part.followed, event_id, what)
