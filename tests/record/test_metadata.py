"""Facts of the host's that come with the end of a run."""

from tc_core import InMemoryStorage
from tc_core.record.entries import EntryWriter, read_item
from tc_core.runtime.recorders import recorder_for


def test_metadata_of_an_end_is_kept_and_spooled():
    store = InMemoryStorage()
    recorder = recorder_for(store)
    recorder.start("retrieval", key="r", name="shelf")
    recorder.finish("r", metadata={"nodes": [{"id": "n1", "score": 0.5}]})
    (event,) = store.query_events()
    assert event.metadata == {"nodes": [{"id": "n1", "score": 0.5}]}
    ended = recorder._ended["r"]
    assert read_item(EntryWriter().end(ended), None).record.metadata == event.metadata
