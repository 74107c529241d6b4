"""One message of a conversation, as all of this branch sees it, whichever framework it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from tc_core.meter import messages, tokens

Role = Literal["system", "user", "assistant", "tool"]

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "chatbot": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""Who speaks, by the names that providers and frameworks have for it."""


class ToolCall(NamedTuple):
    """What a model asks a tool for; `arguments` is JSON as it was sent."""

    id: str | None
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation that is told by hand.

    A pinned one is kept as it is by every compression.
    """

    role: str
    content: str = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    is_pinned: bool = False


class Form(Protocol):
    """Knows the messages of one framework: those that are made here are of the same type."""

    def made(self, role: Role, text: str, like: object) -> object:
        """Return a new message; `like` is one of the same framework."""

    def shortened(self, original: object, text: str) -> object:
        """Return a message that is as the original, with another text."""


@dataclass(slots=True, eq=False)
class Entry:
    """One message as it came, and what was read out of it. `size` is its tokens in a prompt."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: tuple[str, ...] = ()
    """The ids of the calls whose results it brings."""
    name: str | None = None
    unseen_tokens: int = 0
    """What it has beside texts: images, thoughts."""
    original: object = None
    form: Form | None = None
    is_pinned: bool = False
    size: int = 0
    withheld: tuple[str, ...] = field(default=())
    """Sentences of a tool that read like instructions."""

    @property
    def is_fixed(self) -> bool:
        """Whether every compression keeps it as it is."""
        return self.is_pinned or self.role == "system"


def role_of(name: str) -> Role:
    """Return who speaks; ValueError where there is no such role."""
    role = ROLES.get(name.lower())
    if role is None:
        raise ValueError(f"there is no role {name!r}: use system, user, assistant or tool")
    return role


def size_of(entry: Entry, model: str) -> int:
    """Count the tokens of a message as `count_messages` does, and what it has beside texts."""
    texts = [entry.role, entry.text]
    for call in entry.calls:
        texts += [call.name, call.arguments]
    total = messages.PER_MESSAGE + entry.unseen_tokens
    if entry.name:
        total += messages.PER_NAME
        texts.append(entry.name)
    return total + sum(tokens.count(text, model).tokens for text in texts if text)
