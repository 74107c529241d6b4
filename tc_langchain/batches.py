"""Several prompts that a model is asked at once: of a request it cannot be told to which of them it belongs."""

from tc_core.adapter import EventRecord, Recorder


class Batch:
    """Takes the place of the recorder in `requesting`: what is sent is no call of its own, and is kept nowhere."""

    def __init__(self, recorder: Recorder, size: int) -> None:
        self._recorder, self._size = recorder, size
        self.keys: list[bytes] = []

    def takes(self, recorder: Recorder) -> bool:
        """Tell whether one more prompt belongs to this batch: all of them begin before the first ends."""
        return self._recorder is recorder and len(self.keys) < self._size and self.is_open()

    def is_open(self, _key: object = None) -> bool:
        """Tell whether requests may still be sent: none is once one of the prompts has its answer, or has failed."""
        return all(self._recorder.is_open(key) for key in self.keys)

    def record(self, key: bytes) -> EventRecord | None:
        """Return what is known of one of the calls."""
        return self._recorder.record(key)

    def attempt(self, _key: bytes, **_request: object) -> bool:
        """Take a request, and do nothing about it."""
        return True
