"""The names of CrewAI that some of its versions may lack, and what is not recorded where one is missing."""

from tc_core.adapter import HostName

_BUS = "crewai.events.event_bus"

IS_REPLAYING = HostName(_BUS, "is_replaying", "events that a checkpoint tells again may be recorded twice")
EVENT_PAIRS = HostName("crewai.events.event_context", "VALID_EVENT_PAIRS", "ends may be taken for those of other runs")
CALL_ID = HostName(
    "crewai.llms.base_llm", "_current_call_id", "requests of its models through a tracking client count twice"
)
CURRENT = HostName(
    "crewai.events.event_context", "get_current_parent_id", "what other frameworks do inside a run hangs under none"
)
_NO_REFUSAL = "no call of it can be refused before it is made"
ADMISSION = (
    HostName("crewai.hooks", "register_before_llm_call_hook", _NO_REFUSAL),
    HostName("crewai.hooks", "unregister_before_llm_call_hook", _NO_REFUSAL),
    HostName("crewai.hooks.dispatch", "HookAborted", _NO_REFUSAL),
)

_NO_CUT = "streams that get longer than a budget has room for are not cut"
ADD_SINK = HostName("crewai.events.stream_context", "add_stream_sink", _NO_CUT)
RESET_SINKS = HostName("crewai.events.stream_context", "reset_stream_sinks", _NO_CUT)


def _events(without: str, home: str, *names: str) -> tuple[HostName, ...]:
    return tuple(HostName(f"crewai.events.types.{home}", name, without) for name in names)


STARTS = (
    *_events("crews are not recorded", "crew_events", "CrewKickoffStartedEvent"),
    *_events("flows are not recorded", "flow_events", "FlowStartedEvent"),
    *_events("methods of flows are not recorded", "flow_events", "MethodExecutionStartedEvent"),
    *_events("tasks are not recorded", "task_events", "TaskStartedEvent"),
    *_events("agents are not recorded", "agent_events", "AgentExecutionStartedEvent"),
    *_events("agents without a crew are not recorded", "agent_events", "LiteAgentExecutionStartedEvent"),
    *_events("calls of an agent that plans hang elsewhere", "reasoning_events", "AgentReasoningStartedEvent"),
    *_events("calls of models are not recorded", "llm_events", "LLMCallStartedEvent"),
    *_events("what a guardrail checks is not recorded", "llm_guardrail_events", "LLMGuardrailStartedEvent"),
    *_events("tools are not recorded", "tool_usage_events", "ToolUsageStartedEvent"),
    *_events(
        "what the search of a memory does hangs elsewhere",
        "memory_events",
        "MemoryRetrievalStartedEvent",
    ),
    *_events("searches of memories are not recorded", "memory_events", "MemoryQueryStartedEvent"),
    *_events("embeddings of what a memory saves are not recorded", "memory_events", "MemorySaveStartedEvent"),
    *_events("what the search of knowledge does hangs elsewhere", "knowledge_events", "KnowledgeRetrievalStartedEvent"),
    *_events("searches of knowledge are not recorded", "knowledge_events", "KnowledgeQueryStartedEvent"),
)
ENDS = (
    *_events("crews stay open until they are given up", "crew_events", "CrewKickoffCompletedEvent"),
    *_events("crews that fail are not recorded as failed", "crew_events", "CrewKickoffFailedEvent"),
    *_events("flows stay open until they are given up", "flow_events", "FlowFinishedEvent"),
    *_events("flows that fail are not recorded as failed", "flow_events", "FlowFailedEvent"),
    *_events("flows that pause stay open", "flow_events", "FlowPausedEvent"),
    *_events("methods of flows stay open until the flow ends", "flow_events", "MethodExecutionFinishedEvent"),
    *_events("methods that fail are not recorded as failed", "flow_events", "MethodExecutionFailedEvent"),
    *_events("methods that pause stay open", "flow_events", "MethodExecutionPausedEvent"),
    *_events("tasks stay open until the crew ends", "task_events", "TaskCompletedEvent"),
    *_events("tasks that fail are not recorded as failed", "task_events", "TaskFailedEvent"),
    *_events("agents stay open until the crew ends", "agent_events", "AgentExecutionCompletedEvent"),
    *_events("agents that fail are not recorded as failed", "agent_events", "AgentExecutionErrorEvent"),
    *_events("agents without a crew stay open", "agent_events", "LiteAgentExecutionCompletedEvent"),
    *_events("agents without a crew that fail stay open", "agent_events", "LiteAgentExecutionErrorEvent"),
    *_events("the tokens of model calls are not recorded", "llm_events", "LLMCallCompletedEvent"),
    *_events("model calls that fail are not recorded as failed", "llm_events", "LLMCallFailedEvent"),
    *_events("tools stay open until the crew ends", "tool_usage_events", "ToolUsageFinishedEvent"),
    *_events("tools that fail are not recorded as failed", "tool_usage_events", "ToolUsageErrorEvent"),
    *_events("searches of memories stay open, without embeddings", "memory_events", "MemoryQueryCompletedEvent"),
    *_events("searches of memories that fail stay open", "memory_events", "MemoryQueryFailedEvent"),
    *_events("searches of knowledge stay open", "knowledge_events", "KnowledgeRetrievalCompletedEvent"),
    *_events("searches of knowledge that fail stay open", "knowledge_events", "KnowledgeSearchQueryFailedEvent"),
)
(GUARDRAIL,) = _events(
    "calls that follow a guardrail's refusal are not known as retries",
    "llm_guardrail_events",
    "LLMGuardrailCompletedEvent",
)

OF_FORKED_BUS = ("_executor_initialized", "_pending_futures", "_futures_lock", "_rwlock", "_has_pending_events")
"""What has to be made anew on the bus of a forked process."""

HOST_NAMES = (
    HostName(_BUS, "crewai_event_bus", "nothing is recorded"),
    HostName(f"{_BUS}:crewai_event_bus", "register_handler", "nothing is recorded"),
    HostName(f"{_BUS}:crewai_event_bus", "off", "handlers stay on the bus after uninstrument()"),
    HostName(f"{_BUS}:crewai_event_bus", "flush", "a question may be answered before the last events are handled"),
    HostName(f"{_BUS}:crewai_event_bus", "runtime_state", "what other frameworks do inside a run may hang under none"),
    IS_REPLAYING,
    EVENT_PAIRS,
    CALL_ID,
    CURRENT,
    *ADMISSION,
    ADD_SINK,
    RESET_SINKS,
    *STARTS,
    *ENDS,
    GUARDRAIL,
    HostName("crewai.llms.base_llm", "get_current_call_id", "HTTP requests are not seen: no TrackingInterceptor"),
    HostName("crewai.llms.hooks.base", "BaseInterceptor", "HTTP requests are not seen: no TrackingInterceptor"),
    *(HostName(f"{_BUS}:crewai_event_bus", name, "what forked processes do is not recorded") for name in OF_FORKED_BUS),
)
