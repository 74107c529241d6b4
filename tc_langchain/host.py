"""The names of LangChain that some of its versions may lack, and what is not recorded where one is missing."""

from tc_core.adapter import HostName

_CALLBACKS = {
    "on_chat_model_start": "calls of chat models are not recorded",
    "on_llm_start": "calls of completion models are not recorded",
    "on_llm_new_token": "streams that are broken off lose the tokens that their chunks told",
    "on_llm_end": "calls of models stay open",
    "on_llm_error": "calls of models that fail stay open",
    "on_chain_start": "graphs, nodes and agents are not recorded",
    "on_chain_end": "graphs, nodes and agents stay open",
    "on_chain_error": "graphs, nodes and agents that fail stay open",
    "on_tool_start": "tools are not recorded",
    "on_tool_end": "tools stay open",
    "on_tool_error": "tools that fail stay open",
    "on_retriever_start": "retrievals are not recorded",
    "on_retriever_end": "retrievals stay open",
    "on_retriever_error": "retrievals that fail stay open",
    "run_inline": "asynchronous calls may be told in the wrong order",
}

CURRENT = HostName(
    "langchain_core.runnables.config",
    "var_child_runnable_config",
    "what other frameworks do inside a run hangs under none",
)

HOST_NAMES = (
    HostName("langchain_core.callbacks", "BaseCallbackHandler", "nothing is recorded"),
    HostName("langchain_core.tracers.context", "register_configure_hook", "nothing is recorded by instrument()"),
    HostName("langchain_core.embeddings", "Embeddings", "embeddings are not recorded: there are no TrackedEmbeddings"),
    CURRENT,
    *(HostName("langchain_core.callbacks:BaseCallbackHandler", name, without) for name, without in _CALLBACKS.items()),
)
