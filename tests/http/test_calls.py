"""Calls of client libraries that no framework tells of: OpenAI's and Anthropic's own, over real sockets."""

import asyncio
import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tc_core import InMemoryStorage, async_tracking_client, bind_context, labels, tracking_client, workflow
from tc_core.demo.script import Step
from tc_core.record.guard import faults
from tests.http.conftest import Said

openai = pytest.importorskip("openai", reason="openai is not installed")

MESSAGES = [{"role": "user", "content": "one two three four"}]


@pytest.fixture
def raw(server):
    def make(**options):
        options = {"base_url": server.base_url, "api_key": "x", "max_retries": 0, **options}
        return openai.OpenAI(http_client=tracking_client(), **options)

    return make


@pytest.fixture
def raw_async(server):
    def make(**options):
        options = {"base_url": server.base_url, "api_key": "x", "max_retries": 0, **options}
        return openai.AsyncOpenAI(http_client=async_tracking_client(), **options)

    return make


def ask(client, **options):
    return client.chat.completions.create(model="gpt-4.1-nano", messages=MESSAGES, **options)


def data(*bodies, done=True):
    return [f"data: {json.dumps(body)}\n\n" for body in bodies] + (["data: [DONE]\n\n"] if done else [])


def chunk(text=None, **more):
    choices = [] if text is None else [{"index": 0, "delta": {"role": "assistant", "content": text}}]
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4.1-nano",
        "choices": choices,
        **more,
    }


# What is asked


def test_a_chat_alone_is_a_call_with_its_labels_under_what_is_open(raw, server, store, truth):
    with labels(user_id="u-17"), workflow("nightly"):
        ask(raw())
    above, call = store.query_events()
    assert (call.event_type, call.model, call.parent_id) == ("llm_call", "gpt-4.1-nano", above.event_id)
    assert call.labels["user_id"] == "u-17"
    assert (call.status, call.usage_source) == ("ok", "provider")
    assert call.cost is not None
    truth(store)


async def test_the_same_for_asyncio_and_the_responses_api(raw_async, server, store, truth):
    client = raw_async()
    await asyncio.gather(*(ask(client) for _ in range(5)))
    await client.responses.create(model="gpt-4o-mini", input="hello")
    assert sorted(event.model for event in store.query_events()) == ["gpt-4.1-nano"] * 5 + ["gpt-4o-mini"]
    truth(store)


def test_threads_count_each_call_once_where_they_were_started(raw, store, truth):
    client = raw()
    with workflow("threads"), ThreadPoolExecutor(4) as pool:
        list(pool.map(bind_context(lambda _: ask(client)), range(12)))
    above, *calls = sorted(store.query_events(), key=lambda event: event.depth)
    assert {call.parent_id for call in calls} == {above.event_id}
    truth(store)


def test_a_call_inside_a_node_of_a_graph_hangs_under_the_node(raw, store, truth):
    graphs = pytest.importorskip("langgraph.graph", reason="LangGraph is not installed")
    client = raw()
    graph = (
        graphs.StateGraph(dict).add_node("ask", lambda _: ask(client) and {}).add_edge(graphs.START, "ask").compile()
    )
    graph.invoke({})
    by_id = {event.event_id: event for event in store.query_events()}
    (call,) = [event for event in by_id.values() if event.is_call]
    assert (by_id[call.parent_id].event_type, by_id[call.parent_id].name) == ("task", "ask")
    truth(store)


def test_what_is_no_question_to_a_model_is_no_call(told, store):
    told.say({"id": "x", "object": "list", "data": []})
    with tracking_client() as client:
        client.get(f"{told.url}/v1/models")
        client.get(f"{told.url}/v1/chat/completions")
        client.post(f"{told.url}/v1/files", files={"file": b"a"})
        client.post(f"{told.url}/v1/threads/t/messages", json={"role": "user", "content": "x"})
        client.post(f"{told.url}/v1/messages/count_tokens", json={}, headers={"anthropic-version": "1"})
        client.post(f"{told.url}/v1/responses/r1/cancel", json={})
    assert len(told.seen) == 6
    assert store.query_events() == []


@pytest.mark.parametrize(
    ("path", "answer", "facts"),
    [
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            # 8 + 3 of a tool's result are read, 5 + 4 of thoughts are written
            {
                "modelVersion": "gemini-2.5-flash",
                "usageMetadata": {
                    "promptTokenCount": 8,
                    "toolUsePromptTokenCount": 3,
                    "candidatesTokenCount": 5,
                    "thoughtsTokenCount": 4,
                },
            },
            ("llm_call", "gemini-2.5-flash", "google", 11, 9),
        ),
        (
            "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
            # 8 and 3 + 2 of a cache, which Bedrock counts beside them
            {"usage": {"inputTokens": 8, "outputTokens": 5, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2}},
            ("llm_call", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "aws", 13, 5),
        ),
        (
            "/openai/deployments/mine/embeddings",
            {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 7, "total_tokens": 7}},
            ("embedding", "mine", "azure", 7, 0),
        ),
    ],
    ids=["Gemini", "Bedrock", "Azure"],
)
def test_other_providers_by_their_paths(told, store, path, answer, facts):
    told.say(answer)
    tracking_client().post(told.url + path, json={"contents": []})
    (event,) = store.query_events()
    assert (event.event_type, event.model, event.provider, event.input_tokens, event.output_tokens) == facts


def test_a_server_on_this_machine_is_local_and_free_unless_it_serves_a_hosted_model(told, store):
    told.say({"usage": {"prompt_tokens": 1_000, "completion_tokens": 100}})
    for model in ("my-llama", "gpt-4o"):
        tracking_client().post(f"{told.url}/v1/chat/completions", json={"model": model, "messages": []})
    events = sorted(store.query_events(), key=lambda event: event.model)
    assert [(event.model, event.provider, event.cost_nanos) for event in events] == [
        ("gpt-4o", "local", 3_500_000),  # 1,000 x 2.50 + 100 x 10 millionths
        ("my-llama", "local", 0),
    ]
    assert events[1].price_source == "local"


# Streams


def test_a_stream_with_usage_is_exact_and_passed_on_as_it_is(told, store):
    pieces = data(
        chunk("Hel"), chunk("lo"), chunk(usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13})
    )
    told.say(Said(pieces, pause=0.05))
    arrived = []
    with tracking_client().stream("POST", f"{told.url}/v1/chat/completions", json={"model": "gpt-4o"}) as response:
        for piece in response.iter_raw():
            arrived.append(piece)
            if len(arrived) == 1:
                assert len(piece) < len("".join(pieces))  # nothing waits for the rest
    assert b"".join(arrived) == "".join(pieces).encode()
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.output_tokens, event.usage_source) == ("ok", 9, 4, "provider")


def test_a_stream_that_is_compressed_is_read_too(told, store):
    pieces = data(chunk("Hel"), chunk(usage={"prompt_tokens": 9, "completion_tokens": 4}))
    told.say(Said([gzip.compress("".join(pieces).encode())], headers={"content-encoding": "gzip"}))
    client = openai.OpenAI(base_url=f"{told.url}/v1", api_key="x", http_client=tracking_client())
    assert [each.choices[0].delta.content for each in ask(client, stream=True) if each.choices] == ["Hel"]
    (event,) = store.query_events()
    assert (event.status, event.input_tokens, event.output_tokens) == ("ok", 9, 4)


def test_a_stream_without_usage_is_estimated(raw, server, store):
    assert len(list(ask(raw(), stream=True))) > 3
    (event,) = store.query_events()
    assert (event.status, event.usage_source) == ("ok", "exact")  # by the model's own tokenizer
    assert min(event.input_tokens, event.output_tokens) > 3


async def test_a_stream_that_is_left_is_closed_with_what_was_seen(raw, raw_async, server, store):
    server.push(*[Step(text="a b c d e f g h", chunk_delay=0.03)] * 2)
    with ask(raw(), stream=True) as stream:
        next(iter(stream)), next(iter(stream))
    async with await ask(raw_async(), stream=True) as stream:
        await anext(aiter(stream))
    events = store.query_events()
    assert [event.status for event in events] == ["closed", "closed"]
    assert all(event.input_tokens and event.usage_source == "exact" for event in events)


async def test_a_stream_whose_task_is_cancelled_is_cancelled(raw_async, server, store):
    server.push(Step(text="a b c d e f g h", chunk_delay=0.2))
    client = raw_async()

    async def read():
        async for _ in await ask(client, stream=True):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 0.3)
    (event,) = store.query_events()
    assert event.status == "cancelled"


def test_a_stream_that_ends_with_an_error_has_failed(told, store):
    told.say(data(chunk("Hel"), {"error": {"type": "server_error", "message": "a text of theirs"}}, done=False))
    client = openai.OpenAI(base_url=f"{told.url}/v1", api_key="x", http_client=tracking_client())
    with pytest.raises(openai.APIError):
        list(ask(client, stream=True))
    (event,) = store.query_events()
    assert (event.status, event.error_type) == ("error", "server_error")


# Failures


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_retries_of_a_library_are_attempts_of_one_call(raw, raw_async, server, store, way):
    server.push(Step(status=500), Step(status=429), Step(text="at last"))
    if way == "sync":
        ask(raw(max_retries=3), stream=True).close()
    else:
        asyncio.run(_ask_async(raw_async(max_retries=3)))
    (event,) = store.query_events()
    attempts = [(each.number, each.retry, each.status) for each in store.attempts(event.event_id)]
    assert attempts == [(1, 0, 500), (2, 1, 429), (3, 2, 200)]
    assert event.status == ("closed" if way == "sync" else "ok")


async def _ask_async(client):
    return await ask(client)


def test_a_failure_for_good_is_an_error_once_somebody_asks(raw, server, store):
    server.push(Step(status=500), Step(status=500), Step(status=400))
    with pytest.raises(openai.InternalServerError):
        ask(raw(max_retries=1))
    (first,) = store.query_events()
    assert (first.status, first.error_type, first.cost) == ("error", "HTTP 500", None)
    assert len(store.attempts(first.event_id)) == 2
    with pytest.raises(openai.BadRequestError):
        ask(raw())
    assert [event.error_type for event in store.query_events()] == ["HTTP 500", "HTTP 400"]


def test_a_server_that_is_not_there_is_an_error(store):
    with pytest.raises(httpx.ConnectError):
        tracking_client().post("http://127.0.0.1:9/v1/embeddings", json={"model": "text-embedding-3-small"})
    (event,) = store.query_events()
    assert (event.event_type, event.status, event.error_type) == ("embedding", "error", "ConnectError")


# Nothing of ours reaches the program, and no text the store


@pytest.mark.swallows
@pytest.mark.parametrize("body", [{"choices": 7, "usage": {"prompt_tokens": "x"}}, [1], "text", {"candidates": [None]}])
def test_an_odd_answer_is_passed_on_and_is_a_call(told, store, body):
    told.say(Said([json.dumps(body)], kind="application/json"))
    response = tracking_client().post(f"{told.url}/v1/chat/completions", json={"messages": [None, 7, {"content": [3]}]})
    assert response.json() == body
    (event,) = store.query_events()
    assert event.status == "ok"
    odd = {"usage: prompt_tokens is not a count": 1} if "usage" in body else {}
    assert faults.counts == odd


@pytest.mark.swallows
def test_an_error_of_ours_does_not_reach_the_program(raw, store, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError

    for name in ("asked", "answer", "watch", "prompt"):
        with monkeypatch.context() as patch:
            patch.setattr(f"tc_core.http.calls.{name}", broken)
            assert ask(raw()).choices
            assert list(ask(raw(), stream=True))


def test_no_text_is_kept(raw, store):
    secret = "the-secret-word"
    ask(raw(), stream=True).close()
    raw().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": secret}])
    store.query_events()
    kept = [path.read_bytes() for path in store.path.parent.rglob("*") if path.is_file()]
    assert kept
    assert not any(secret.encode() in each for each in kept)


def test_options_and_a_transport_of_ones_own_are_passed_on():
    sent = []

    def handle(request):
        sent.append(request.url.path)
        return httpx.Response(200, json={"model": "gpt-4o", "usage": {"prompt_tokens": 3, "completion_tokens": 2}})

    storage = InMemoryStorage()
    client = tracking_client(storage, transport=httpx.MockTransport(handle), headers={"x-own": "1"})
    assert client.headers["x-own"] == "1"
    client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o"})
    (event,) = storage.query_events()
    assert (event.provider, event.input_tokens, event.output_tokens) == ("openai", 3, 2)
    assert sent == ["/v1/chat/completions"]


def test_a_client_from_before_the_store_was_chosen_records_into_it(raw, server, request):
    client = raw()
    store = request.getfixturevalue("store")
    ask(client)
    assert store.totals()[()].calls == 1


def test_an_unknown_library_is_refused_by_name():
    with pytest.raises(ValueError, match="requests"):
        tracking_client(library="requests")
