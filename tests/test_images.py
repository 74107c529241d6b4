"""A prompt with an image, and an answer with thoughts, of which the provider tells no tokens: always an estimate."""

import base64

import openai
import pytest

import tc_core
from tc_core.demo.script import Step
from tests.meter.test_images import png

for name in ("langchain_openai", "crewai", "llama_index.llms.openai"):
    pytest.importorskip(name, reason=f"{name} is not installed")

PICTURE = base64.b64encode(png(1024, 1024)).decode()
URL = f"data:image/png;base64,{PICTURE}"
MESSAGE = {
    "role": "user",
    "content": [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": URL}}],
}


def langchain(url):
    from langchain_openai import ChatOpenAI

    ChatOpenAI(model="gpt-4o", base_url=url, api_key="x").invoke([MESSAGE])


def crewai(url):
    from crewai import LLM

    LLM(model="openai/gpt-4o", base_url=url, api_key="x").call([MESSAGE])


def llamaindex(url):
    from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
    from llama_index.llms.openai import OpenAI

    blocks = [TextBlock(text="what is this?"), ImageBlock(image=base64.b64decode(PICTURE))]
    OpenAI(model="gpt-4o", api_base=url, api_key="x").chat([ChatMessage(role="user", blocks=blocks)])


def raw(url):
    client = openai.OpenAI(base_url=url, api_key="x", http_client=tc_core.tracking_client())
    client.chat.completions.create(model="gpt-4o", messages=[MESSAGE])


@pytest.mark.parametrize("ask", [langchain, crewai, llamaindex, raw])
def test_an_image_is_counted_by_the_providers_rule_and_never_exactly(ask, server, tmp_path):
    store = tc_core.SQLiteStorage(tmp_path / "s.db")
    tc_core.instrument(store)
    server.push(Step(text="a square", no_usage=True))
    ask(server.base_url)
    (event,) = store.query_events({"event_type": "llm_call"})
    assert event.usage_source == "estimate"
    assert 765 < event.input_tokens < 765 + 40


def test_thoughts_are_output_and_never_exact(tmp_path):
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    store = tc_core.SQLiteStorage(tmp_path / "s.db")
    tc_core.instrument(store)
    said = [{"type": "thinking", "thinking": "hm, let me see"}, {"type": "text", "text": "yes"}]
    GenericFakeChatModel(messages=iter([AIMessage(said)])).invoke("is it?")
    (event,) = store.query_events({"event_type": "llm_call"})
    assert (event.usage_source, event.output_tokens) == ("estimate", 6)
