"""`ConversationManager`: what a chat costs as it is sent, with all its history at each turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from tc_core.health.analyzer import PER_TURN, ContextAnalyzer, ContextBreakdown
from tc_core.meter import messages as scale
from tc_core.meter import prices, tokens
from tc_core.model.clock import now

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """One turn. `input_tokens` are those of its whole request, `cost` is None for a model without a price."""

    user_message: str
    assistant_response: str
    user_tokens: int
    assistant_tokens: int
    total_tokens: int
    cost: float | None
    timestamp: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
    input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ConversationStats:
    """What was sent and answered in all turns; `growth` is the input of each of them."""

    total_turns: int
    total_tokens: int
    total_cost: float | None
    input_tokens: int
    output_tokens: int
    context_status: str
    context_usage_percentage: float | None
    estimated_turns_remaining: int | None
    warnings: list[str]
    growth: list[int]


class ConversationManager:
    """Keeps a chat and its bill: each turn sends the system message, the context, the functions and all turns before.

    A provider's own counts (`input_tokens`, `output_tokens`, `cached_tokens`) are taken where `add_turn` is given them.
    """

    def __init__(
        self,
        model_name: str,
        system_message: str | None = None,
        rag_context: str | None = None,
        functions: Sequence[Mapping[str, Any]] | None = None,
        *,
        window: int | None = None,
    ) -> None:
        self.model_name, self.functions = model_name, list(functions or ())
        self.turns: list[ConversationTurn] = []
        self._analyzer = ContextAnalyzer(model_name, window=window)
        said = (system_message, rag_context)
        self._fixed: list[Message] = [{"role": "system", "content": text} for text in said if text]
        self._history: list[Message] = []

    @property
    def messages(self) -> list[Message]:
        """What the next request sends, before its question."""
        return [*self._fixed, *self._history]

    def add_turn(
        self,
        user_message: str,
        assistant_response: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int = 0,
    ) -> ConversationTurn:
        """Add a turn, and return what it has cost."""
        question = {"role": "user", "content": user_message}
        sent = self._sent([*self.messages, question]) if input_tokens is None else input_tokens
        written = self._count(assistant_response) if output_tokens is None else output_tokens
        turn = ConversationTurn(
            user_message,
            assistant_response,
            self._count(user_message),
            written,
            sent + written,
            prices.calculate_cost(self.model_name, sent, written, cached_tokens=cached_tokens),
            now(),
            dict(metadata or {}),
            sent,
        )
        self.turns.append(turn)
        self._history += [question, {"role": "assistant", "content": assistant_response}]
        return turn

    def get_stats(self) -> ConversationStats:
        """Return the figures of all turns."""
        costs = [turn.cost for turn in self.turns]
        context, sent = self.get_breakdown(), sum(turn.input_tokens for turn in self.turns)
        written = sum(turn.assistant_tokens for turn in self.turns)
        count = len(self.turns)
        per_turn = sum(turn.user_tokens + turn.assistant_tokens + PER_TURN for turn in self.turns) / max(1, count)
        return ConversationStats(
            count,
            sent + written,
            None if None in costs else sum(cost for cost in costs if cost is not None),
            sent,
            written,
            context.status.value,
            context.usage_percentage,
            self._analyzer.window.turns_left(context.total_tokens, per_turn),
            context.warnings,
            [turn.input_tokens for turn in self.turns],
        )

    def can_add_turn(self, estimated_user_tokens: int, estimated_assistant_tokens: int) -> dict[str, Any]:
        """Tell whether a further turn of a size fits."""
        whole = self._analyzer.window.tokens
        sent = self._sent(self.messages) + estimated_user_tokens + PER_TURN // 2
        needed = sent + estimated_assistant_tokens
        return {
            "can_add": None if whole is None else needed <= whole,
            "tokens_after": needed,
            "context_window": whole,
            "missing_tokens": None if whole is None else max(0, needed - whole),
            "estimated_cost": prices.calculate_cost(self.model_name, sent, estimated_assistant_tokens),
        }

    def summarize_conversation(
        self,
        keep_recent_turns: int = 5,
        summary_template: str | None = None,
        *,
        summarizer: Callable[[str], str] | None = None,
    ) -> dict[str, Any]:
        """Replace all but the newest turns by a summary: a text of yours, or what a callable makes of them.

        The bill of the turns stays. Raises ValueError where neither is given.
        """
        if summary_template is None and summarizer is None:
            raise ValueError("a summary is made by summarizer=, a callable of a text, or given as summary_template=")
        kept = 2 * max(0, keep_recent_turns)
        old = self._history[: len(self._history) - kept]
        before = self._sent(self.messages)
        summary = ""
        if old:
            said = "\n".join(f"{message['role']}: {message['content']}" for message in old)
            summary = summarizer(said) if summarizer is not None else str(summary_template)
            self._history = [
                {"role": "user", "content": f"[earlier in this conversation, summarised]\n{summary}"},
                {"role": "assistant", "content": "[shortened]"},
                *self._history[len(old) :],
            ]
        after = self._sent(self.messages)
        return {
            "summary": summary,
            "summarized_turns": len(old) // 2,
            "kept_turns": len(self._history) // 2 - bool(old),
            "tokens_before": before,
            "tokens_after": after,
            "tokens_saved": before - after,
        }

    def get_context_breakdown(self) -> dict[str, Any]:
        """Return what fills the next request."""
        return self.get_breakdown().to_dict()

    def get_breakdown(self) -> ContextBreakdown:
        """Return what fills the next request."""
        return self._analyzer.analyze_messages(self.messages, self.functions)

    def export_conversation(self) -> dict[str, Any]:
        """Return everything, as plain JSON values."""
        turns = [{**asdict(turn), "timestamp": turn.timestamp.isoformat()} for turn in self.turns]
        return {"model": self.model_name, "messages": self.messages, "turns": turns, "stats": asdict(self.get_stats())}

    def _count(self, text: str) -> int:
        return tokens.count(text, self.model_name).tokens

    def _sent(self, messages: Sequence[Message]) -> int:
        return scale.count_messages(messages, self.model_name, tools=self.functions)
