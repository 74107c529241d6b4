"""The kinds of policies: what each does at work, what it would have done, and what each framework can do of it."""

from tc_core.selection.policies.acting import Acting
from tc_core.selection.policies.cache import Cache
from tc_core.selection.policies.loop import Loop
from tc_core.selection.policies.policy import Policy, PolicyKind
from tc_core.selection.policies.route import Route
from tc_core.selection.policies.sql import Applied
from tc_core.selection.policies.trim import Trim

_ACTING: dict[PolicyKind, type[Acting]] = {"route": Route, "trim": Trim, "cache": Cache, "loop": Loop}

_MIDDLEWARE = "agents with TokenCalculatorMiddleware"
HOSTS: dict[PolicyKind, dict[str, str]] = {
    "route": {
        "LangChain": f"{_MIDDLEWARE} are routed; for other calls it has no way",
        "CrewAI": "has no way to send a call to another model: its calls stay as they are",
        "LlamaIndex": "has no way to send a call to another model: its calls stay as they are",
    },
    "trim": {
        "LangChain": f"{_MIDDLEWARE} send less; for other calls it has no way",
        "CrewAI": "agents and LLM.call send less; what is left out is gone from the agent's conversation",
        "LlamaIndex": "has no way to change a prompt: its calls stay as they are",
    },
    "cache": {
        "LangChain": f"{_MIDDLEWARE} are answered; for other calls it has no way",
        "CrewAI": "has no way to answer in a model's place: its calls stay as they are",
        "LlamaIndex": "has no way to answer in a model's place: its calls stay as they are",
    },
    "loop": {
        "LangChain": f"{_MIDDLEWARE} end with a message that says why; other calls raise AgentLoopError",
        "CrewAI": "the crew ends with AgentLoopError",
        "LlamaIndex": "the call raises AgentLoopError",
    },
}
"""What each framework does of a kind, and what it cannot: said when a policy is applied."""


def acting_of(applied: Applied) -> Acting:
    """Return a policy at work."""
    return _ACTING[applied.policy.kind](applied)


def hosts_of(policy: Policy) -> dict[str, str]:
    """Return what each framework does of a policy."""
    return HOSTS[policy.kind]
