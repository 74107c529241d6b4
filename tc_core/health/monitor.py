"""`ConversationMonitor`: fed with a conversation, it says how that fares and makes it shorter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tc_core.errors import ConfigurationError, PriceNotFoundError
from tc_core.health import forms
from tc_core.health.compress.compressed import Compressed, compressed
from tc_core.health.compress.window import Summarizer
from tc_core.health.messages import Entry, Message, role_of, size_of
from tc_core.health.signals.watch import Watch
from tc_core.health.similarity import similarity_of
from tc_core.health.status import HealthStatus, HealthThresholds, Window, status_of
from tc_core.meter import messages as scale
from tc_core.meter import price_table
from tc_core.runtime.recorders import open_storage, wait_for_parts
from tc_core.store.base import StorageBackend
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.health.sql import Recorded

RESERVE = 4096
"""Tokens of a window that are kept for the answer, where the user says nothing; at most a quarter of it."""
LAST_TURNS = 10
"""What the next turns will take is what these took."""


class TrendPoint(NamedTuple):
    """The signals as they were after so many messages."""

    messages: int
    context_usage: float | None
    rot_percentage: float
    repetition: float
    topic_coherence: float
    injection_risk: float


class ConversationMonitor:
    """Watches one conversation of an agent.

    >>> monitor = ConversationMonitor("gpt-4o", "booking")
    >>> monitor.add_turn("Book a flight to Rome.", "Which day?")
    >>> monitor.check_health().status
    'healthy'

    `similarity` is None (by words), "semantic" (the extra), LangChain's `Embeddings`, LlamaIndex's `BaseEmbedding`, or
    a callable. `window` and `output_reserve` are tokens, by default the model's. `tools` are the schemas that each
    request brings. `summarizer` is a callable, or a chat model, for `compress_context("summarize", ...)`. `storage` has
    what is recorded of the agent: `recorded()`. Texts stay in memory.
    """

    def __init__(
        self,
        model: str,
        agent_id: str = "default",
        *,
        similarity: object = None,
        storage: StorageBackend | str | None = None,
        window: int | None = None,
        output_reserve: int | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        summarizer: object = None,
        thresholds: HealthThresholds | None = None,
    ) -> None:
        self.model, self.agent_id, self.storage = model, agent_id, storage
        self.thresholds = thresholds or HealthThresholds()
        self.window = window_of(model, window, output_reserve)
        self._similarity = similarity_of(similarity)
        self._summarizer = None if summarizer is None else _summarizer(summarizer)
        self._tools_tokens = scale.count_tools(tools, model).tokens
        self._begin()

    def _begin(self) -> None:
        self._entries: list[Entry] = []
        self._watch = Watch(self._similarity)
        self._watch.overhead_tokens = self._tools_tokens
        self._turns: list[int] = []

    @property
    def messages(self) -> list[Any]:
        """The messages, as they were added."""
        return [entry.original for entry in self._entries]

    @property
    def tokens(self) -> int:
        """The tokens of the next prompt."""
        return self._watch.tokens + self._tools_tokens + (scale.PER_REPLY if self._entries else 0)

    def add_turn(self, user_msg: str, assistant_msg: str) -> None:
        """Add what a user said and what the assistant answered."""
        self.add_message("user", user_msg)
        self.add_message("assistant", assistant_msg)

    def add_message(self, role: str, text: str, *, name: str | None = None, is_pinned: bool = False) -> None:
        """Add one message; a pinned one stays in every compression. ValueError for a role that does not exist."""
        role_of(role)
        self._add(forms.read(Message(role, text, name, is_pinned=is_pinned)))

    def add_messages(self, messages: Iterable[Any]) -> None:
        """Add messages of OpenAI's or Anthropic's API, LangChain, LlamaIndex or CrewAI, or `Message`s.

        One with `is_pinned` (in a dict, or in `additional_kwargs`) stays in every compression.
        """
        for entry in [forms.read(message) for message in messages]:  # all or none
            self._add(entry)

    def check_health(self) -> HealthStatus:
        """Judge the conversation as it is now."""
        return status_of(self._watch, self.window, self.tokens, self._per_turn(), self.thresholds)

    def check_text(self, text: str, source: str = "a document") -> float:
        """Look for instructions in a text that is put into a prompt, such as a passage; return its risk, 0 to 1."""
        before = self._watch.injection
        self._watch.injection = 0.0
        self._watch.judge(text, source)
        risk, self._watch.injection = self._watch.injection, max(before, self._watch.injection)
        return risk

    def trend(self, points: int = 40) -> list[TrendPoint]:
        """Return how the signals went, in at most so many points, the last of them now."""
        readings = self._watch.readings
        step = max(1, -(-len(readings) // max(1, points)))
        chosen = range(len(readings) - 1, -1, -step)[::-1]
        return [
            TrendPoint(
                at + 1,
                self.window.usage(readings[at].tokens + self._tools_tokens),
                100 * self._watch.thread.irrelevant(readings[at].steps),
                *readings[at][2:],
            )
            for at in chosen
        ]

    def compress_context(
        self,
        strategy: str = "hybrid",
        target_tokens: int | None = None,
        *,
        apply: bool = False,
        summarizer: object = None,
    ) -> Compressed:
        """Return the conversation in at most `target_tokens`, by default half of the window.

        Strategies: "sliding_window", "relevance", "dedupe", "summarize", "hybrid". The schemas of tools are not
        counted. With `apply` the monitor goes on with the result. Raises ValueError for a strategy that does not exist,
        or a target that is not positive.
        """
        if target_tokens is None:
            room = self.window.tokens - self.window.reserve if self.window.tokens else self.tokens
            target_tokens = max(1, room // 2)
        asked = self._summarizer if summarizer is None else _summarizer(summarizer)
        found, _ = compressed(
            self._entries, strategy, target_tokens,
            model=self.model, similarity=self._similarity, summarizer=asked,
        )  # fmt: skip
        if apply:
            self._begin()
            self.add_messages(found)
        return found

    def recorded(self, session_id: str | None = None) -> "list[Recorded]":
        """Return the health of this agent's recorded conversations, call by call, or of one session's."""
        from tc_core.health import sql

        store = open_storage(self.storage)
        if not isinstance(store, SqlStore):
            raise ConfigurationError(f"a {type(store).__name__} keeps no health: use SQLite or PostgreSQL")
        asked = {"agent_id": self.agent_id} | ({} if session_id is None else {"session_id": session_id})
        wait_for_parts(store)
        return sql.read(store, asked)

    def _add(self, entry: Entry) -> None:
        entry.size = size_of(entry, self.model)
        self._entries.append(entry)
        self._watch.add(entry)
        if entry.role == "user" or not self._turns:
            self._turns.append(0)
        if entry.role != "system":
            self._turns[-1] += entry.size

    def _per_turn(self) -> float:
        last = self._turns[-LAST_TURNS:]
        return sum(last) / len(last) if last else 0.0


def window_of(model: str, window: int | None = None, reserve: int | None = None) -> Window:
    """Return what a model can be sent; an unknown model has an unknown window.

    Raises ValueError for a window or reserve that cannot be.
    """
    if window is None:
        try:
            window = price_table.show(model).context_window
        except PriceNotFoundError:
            window = None
    if window is not None and window <= 0:
        raise ValueError(f"window must be positive, got {window}")
    if reserve is None:
        reserve = RESERVE if window is None else min(RESERVE, window // 4)
    if reserve < 0 or (window is not None and reserve >= window):
        raise ValueError(f"output_reserve must be within the window of {window}, got {reserve}")
    return Window(model, window, reserve)


_ASK = "Shorten this conversation to what is needed to go on. Keep ids, numbers, names, dates and decisions.\n\n"


def _summarizer(wanted: object) -> Summarizer:
    """Return a function of a text; a chat model of LangChain or LlamaIndex is asked to shorten it."""
    for method in ("invoke", "complete"):
        ask = getattr(wanted, method, None)
        if callable(ask):
            return lambda text: _answer(ask(_ASK + text))
    if callable(wanted):
        return lambda text: str(wanted(text))
    raise TypeError(f"summarizer is a callable of a text or a chat model, got {type(wanted).__name__}")


def _answer(answer: object) -> str:
    content = getattr(answer, "content", None) or getattr(answer, "text", None) or answer
    return content if isinstance(content, str) else forms.read({"role": "assistant", "content": content}).text
