"""Which colour stands for what, in every picture."""

from collections import defaultdict

_OTHER = "#e8e8e8"

FILL: defaultdict[str, str] = defaultdict(
    lambda: _OTHER,
    {
        "llm_call": "#d6e6fa",
        "embedding": "#d5eef2",
        "tool": "#fbe8c8",
        "retrieval": "#e4f0cf",
        "agent": "#e6dcf5",
        "task": "#eeeeee",
        "workflow": "#dddddd",
    },
)
"""By the kind of event."""

OF_STATUS = {"error": "#c62828", "cancelled": "#b26a00", "closed": "#b26a00", "abandoned": "#b26a00", "open": "#b26a00"}
"""Of what did not end well."""

EDGE = "#777777"
