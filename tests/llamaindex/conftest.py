"""Real clients for the server on this machine."""

from dataclasses import dataclass

import pytest

pytest.importorskip("llama_index.llms.openai", reason="LlamaIndex is not installed")

from llama_index.core import Document, SummaryIndex, VectorStoreIndex, set_global_tokenizer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from tc_core import async_tracking_client, tracking_client

set_global_tokenizer(str.split)  # LlamaIndex's own would be downloaded; it only packs prompts with it

WITH_USAGE = {"stream_options": {"include_usage": True}}
"""What has OpenAI tell the tokens of a stream."""


@dataclass(frozen=True)
class Clients:
    """Makes models that talk to the server; unless asked otherwise, so that all tokens are known."""

    base_url: str

    def chat(self, model="gpt-4o-mini", *, kind=OpenAI, **options):
        options = {"max_retries": 0, "api_key": "x", "additional_kwargs": WITH_USAGE, **options}
        return kind(model=model, api_base=self.base_url, **options)

    def responses(self, model="gpt-4o-mini", **options):
        from llama_index.llms.openai import OpenAIResponses

        return OpenAIResponses(model=model, api_base=self.base_url, api_key="x", max_retries=0, **options)

    def embed(self, model="text-embedding-3-small", **options):
        clients = {"http_client": tracking_client(), "async_http_client": async_tracking_client()}
        options = {"max_retries": 0, "api_key": "x", **clients, **options}
        return OpenAIEmbedding(model=model, api_base=self.base_url, **options)

    def index(self, *texts, **options):
        texts = texts or ("Alpha was here first.", "Beta came after alpha.", "Gamma never came.")
        documents = [Document(text=text, id_=f"doc-{number}") for number, text in enumerate(texts)]
        return VectorStoreIndex.from_documents(
            documents, embed_model=self.embed(**options), transformations=[SentenceSplitter(chunk_size=256)]
        )

    def summary_index(self, *texts):
        return SummaryIndex.from_documents([Document(text=text) for text in texts])


@pytest.fixture
def make(server):
    """Make models that talk to the server."""
    return Clients(server.base_url)
