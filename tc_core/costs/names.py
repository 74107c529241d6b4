"""The names that reports can be grouped and filtered by, beside those that the store keeps with each call."""

from collections.abc import Iterable

from tc_core.costs.plain_totals import FIELDS
from tc_core.costs.zones import TIME_UNITS

SHORT = {
    "agent": "agent_id",
    "conversation": "conversation_id",
    "session": "session_id",
    "task": "task_type",
    "user": "user_id",
}
"""What people say for what is recorded."""

FROM_ABOVE = ("name", "retries", "tool", "workflow")
"""What a call has from the events that it hangs under.

`tool` is the tool in which it was made, `name` the nearest name (its own, a node's, a tool's or an agent's), `workflow`
the id of its workflow, else the name of its run: of a graph, a crew or an agent. `retries` is how often it had been
tried before: itself, what it hangs under, and the requests that its client library sent again. A label of this name
comes first.
"""


def whole(name: str) -> str:
    """Return what a short word stands for: `agent` for `agent_id`."""
    return SHORT.get(name, name)


def short(name: str) -> str:
    """Return the short word for a name, if there is one."""
    return next((short for short, long in SHORT.items() if long == name), name)


def known() -> list[str]:
    """Return all names that mean something without a label of that name."""
    return sorted({*FIELDS, *SHORT, *TIME_UNITS, *FROM_ABOVE})


def from_above(names: Iterable[str]) -> list[str]:
    """Return those names that a call has from above; where events are told apart by type, a name is their own."""
    asked = list(dict.fromkeys(names))
    found = [name for name in asked if name in FROM_ABOVE]
    return [name for name in found if name != "name"] if "event_type" in asked else found
