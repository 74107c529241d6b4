"""The names of LlamaIndex that some of its versions may lack, and what is not recorded where one is missing."""

from tc_core.adapter import HostName

_ROOT = "llama_index_instrumentation"
_EVENTS = "llama_index.core.instrumentation.events"

ACTIVE_SPAN = HostName(f"{_ROOT}.span", "active_span_id", "what other frameworks do inside a run hangs under none")
ACTIVE_TAGS = HostName(
    f"{_ROOT}.dispatcher", "active_instrument_tags", "runs of workflows do not know the session that tags name"
)

_NO_REFUSAL = "no call of it can be refused before it is made"
ADMISSION = (
    HostName("llama_index.core.callbacks", "CBEventType", _NO_REFUSAL),
    HostName("llama_index.core.callbacks", "EventPayload", _NO_REFUSAL),
    HostName("llama_index.core.callbacks.base_handler", "BaseCallbackHandler", _NO_REFUSAL),
)
RATE_LIMITER = HostName(
    "llama_index.core.rate_limiter",
    "BaseRateLimiter",
    "calls in event loops are refused at once where only calls under way leave no room",
)

HOST_NAMES = (
    HostName(_ROOT, "get_dispatcher", "nothing is recorded"),
    HostName(f"{_ROOT}.event_handlers", "BaseEventHandler", "nothing is recorded"),
    HostName(f"{_ROOT}.span", "BaseSpan", "nothing is recorded"),
    HostName(f"{_ROOT}.span_handlers", "BaseSpanHandler", "nothing is recorded"),
    ACTIVE_SPAN,
    ACTIVE_TAGS,
    *ADMISSION,
    RATE_LIMITER,
    HostName(f"{_ROOT}.events.span", "SpanDropEvent", "calls whose span began unseen stay open when they fail"),
    HostName(f"{_EVENTS}.llm", "LLMChatStartEvent", "chats are not recorded"),
    HostName(f"{_EVENTS}.llm", "LLMChatInProgressEvent", "streamed chats that are broken off lose their tokens"),
    HostName(f"{_EVENTS}.llm", "LLMChatEndEvent", "the tokens of chats are not recorded"),
    HostName(f"{_EVENTS}.llm", "LLMCompletionStartEvent", "completions are not recorded"),
    HostName(
        f"{_EVENTS}.llm", "LLMCompletionInProgressEvent", "streamed completions that are broken off lose their tokens"
    ),
    HostName(f"{_EVENTS}.llm", "LLMCompletionEndEvent", "the tokens of completions are not recorded"),
    HostName(f"{_EVENTS}.embedding", "EmbeddingStartEvent", "embeddings are not recorded"),
    HostName(f"{_EVENTS}.embedding", "EmbeddingEndEvent", "the tokens of embeddings are not recorded"),
    HostName(f"{_EVENTS}.exception", "ExceptionEvent", "streams that fail are not recorded as failed"),
    HostName(
        "workflows.runtime.types.step_function", "SpanCancelledEvent", "cancelled workflows are recorded as finished"
    ),
)
