"""InternedTexts that a host knows of and leaves open."""

import tc_core
from tc_core import InMemoryStorage
from tc_core.runtime.recorders import recorder_for


def test_what_a_host_leaves_open_does_not_take_away_what_holds_here():
    store = InMemoryStorage()
    recorder = recorder_for(store)
    with tc_core.session("mine"), tc_core.labels(feature="search"):
        recorder.start("llm_call", key=1, labels={"session_id": None, "agent_id": "a"})
        recorder.finish(1)
    (event,) = store.query_events()
    assert (event.session_id, event.agent_id, event.labels) == ("mine", "a", {"feature": "search"})
