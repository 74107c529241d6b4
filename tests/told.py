"""For programs of tests that are killed: waiting until the spool says that a run has begun."""

import time

from tc_core.adapter import Recorder


def wait_until_told(recorder: Recorder, event_id: str) -> None:
    """Wait until the writer's thread has told that a run has begun, which it does soon."""
    told = f'["start","{event_id.replace("-", "")}"'.encode()
    spool = recorder.writer.spool
    assert spool is not None
    while not any(told in file.path.read_bytes() for file in spool.files):
        time.sleep(0.01)
