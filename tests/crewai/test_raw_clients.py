"""A client of ours inside CrewAI's model calls: what CrewAI tells of is no second call."""

import openai
from crewai import LLM

from tc_core import tracking_client


def test_the_requests_of_crewais_own_calls_are_their_attempts(server, store, truth):
    llm = LLM(model="openai/gpt-4o-mini", base_url=server.base_url, api_key="x")
    client = openai.OpenAI(base_url=server.base_url, api_key="x", http_client=tracking_client())
    llm._client = client  # `client_params` would hand it to the asynchronous client too, which refuses it
    llm.call("hello")
    (event,) = store.query_events()
    assert [attempt.status for attempt in store.attempts(event.event_id)] == [200]
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
    truth(store)
