"""Search and answer: embeddings, a retriever and a model, with the provider's own figures for all of them.

Needs OPENAI_API_KEY, and heeds OPENAI_BASE_URL.
"""

import tc_core
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from tc_langchain import TrackedEmbeddings

tc_core.instrument("retrieval.db")

# LangChain's embeddings call nobody back: the wrapper records them, the client sees what the provider counted.
client = tc_core.tracking_client()
embeddings = TrackedEmbeddings(
    OpenAIEmbeddings(model="text-embedding-3-small", http_client=client, check_embedding_ctx_length=False),
    feature="search",
)
TEXTS = ["A token is a piece of a word.", "Output tokens cost more than input tokens.", "Cached tokens cost less."]
VECTORS = embeddings.embed_documents(TEXTS)


class Nearest(BaseRetriever):
    """The two passages that are nearest in meaning."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        asked = embeddings.embed_query(query)

        def nearness(number: int) -> float:
            return sum(a * b for a, b in zip(asked, VECTORS[number], strict=True))

        return [Document(TEXTS[number]) for number in sorted(range(len(TEXTS)), key=nearness)[-2:]]


prompt = ChatPromptTemplate.from_template("Answer from this:\n{passages}\n\nQuestion: {question}")
chain = (
    {"passages": Nearest(), "question": RunnablePassthrough()}
    | prompt
    | ChatOpenAI(model="gpt-4o-mini", http_client=client)  # here it sees the retries of the client library
)
print(chain.invoke("Why are output tokens dearer?").text)

for group in tc_core.CostTracker().get_costs(group_by=["model"]).groups:
    print(f"{group.key['model']}: {group.calls} calls, {group.input_tokens} tokens in")
for event in tc_core.SQLiteStorage("retrieval.db").query_events():
    print(f"{'  ' * event.depth}{event.event_type} {event.name or event.model or ''}".rstrip())
