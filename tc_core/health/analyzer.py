"""`ContextAnalyzer`: what fills the context of one request, how many turns are left, what fits of a conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tc_core.health.compress.groups import grouped
from tc_core.health.forms import read
from tc_core.health.messages import size_of
from tc_core.health.monitor import window_of
from tc_core.meter import messages as scale

WARNING, CRITICAL = 70.0, 90.0
"""From how many percent of the window on, what will be written counted, a request is told of."""
PER_TURN = 2 * (scale.PER_MESSAGE + scale.PER_ROLE)
"""What a turn takes beside its texts."""


class ContextStatus(StrEnum):
    """How full the window is."""

    SAFE = "safe"
    WARNING = "warning"
    CRITICAL = "critical"
    EXCEEDED = "exceeded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ContextBreakdown:
    """What fills a context. What depends on the window is None for a model whose window is not known."""

    total_tokens: int
    context_window: int | None
    max_output_tokens: int
    max_input_tokens: int | None
    available_for_output: int | None
    usage_percentage: float | None
    status: ContextStatus
    input_breakdown: Mapping[str, int]
    warnings: list[str] = field(default_factory=list)
    recommendations: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "status": self.status.value}


class ContextAnalyzer:
    """Looks at single requests to a model; `output_reserve` is what is kept for the answer."""

    def __init__(
        self,
        model_name: str,
        *,
        window: int | None = None,
        output_reserve: int | None = None,
        warning: float = WARNING,
        critical: float = CRITICAL,
    ) -> None:
        self.model_name, self.warning, self.critical = model_name, warning, critical
        self.window = window_of(model_name, window, output_reserve)

    def analyze_messages(
        self,
        messages: Sequence[Any],
        functions: Sequence[Mapping[str, Any]] | None = None,
        expected_output_tokens: int | None = None,
    ) -> ContextBreakdown:
        """Tell what fills a request: system, user, assistant, tools' results, the schemas of functions."""
        parts = dict.fromkeys(("system", "user", "assistant", "tool"), 0)
        for entry in map(read, messages):
            parts[entry.role] += size_of(entry, self.model_name)
        parts["functions"] = scale.count_tools(list(functions or ()), self.model_name).tokens
        used = sum(parts.values()) + (scale.PER_REPLY if messages else 0)
        written = self.window.reserve if expected_output_tokens is None else expected_output_tokens
        whole = self.window.tokens
        return ContextBreakdown(
            total_tokens=used,
            context_window=whole,
            max_output_tokens=self.window.reserve,
            max_input_tokens=None if whole is None else whole - self.window.reserve,
            available_for_output=None if whole is None else max(0, whole - used),
            usage_percentage=None if whole is None else 100 * used / whole,
            status=self._status(used + written),
            input_breakdown=parts,
            warnings=self._warnings(used, written),
            recommendations=_recommendations(parts, whole),
        )

    def estimate_max_turns(
        self,
        avg_user_tokens: int,
        avg_assistant_tokens: int,
        system_tokens: int = 0,
        rag_tokens: int = 0,
        function_tokens: int = 0,
    ) -> dict[str, Any]:
        """Tell how many turns of a size fit, and at which one the warnings come; None where the window is not known."""
        per_turn = avg_user_tokens + avg_assistant_tokens + PER_TURN
        fixed = system_tokens + rag_tokens + function_tokens
        if per_turn <= PER_TURN or fixed < 0:
            raise ValueError(f"a turn needs tokens, got {avg_user_tokens} and {avg_assistant_tokens}")
        most = self.window.turns_left(fixed, per_turn)
        return {
            "max_turns": most,
            "tokens_per_turn": per_turn,
            "fixed_tokens": fixed,
            "warning_at_turn": None if most is None else int(most * self.warning / 100),
            "critical_at_turn": None if most is None else int(most * self.critical / 100),
        }

    def find_optimal_context_split(self, messages: Sequence[Any], keep_recent: int = 5) -> dict[str, Any]:
        """Tell which messages fit: the system's, then the newest first; calls are never parted from their results.

        At least the last `keep_recent` are kept, also where they do not fit.
        """
        entries = [read(message) for message in messages]
        for entry in entries:
            entry.size = size_of(entry, self.model_name)
        groups = grouped(entries)
        used = sum(group.size for group in groups if group.is_fixed)
        kept = [group for group in groups if group.is_fixed]
        room = None if self.window.tokens is None else self.window.tokens - self.window.reserve - scale.PER_REPLY
        count = 0
        for group in reversed([group for group in groups if not group.is_fixed]):
            if count >= keep_recent and room is not None and used + group.size > room:
                break
            kept.append(group)
            used += group.size
            count += len(group.entries)
        chosen = {id(entry) for group in kept for entry in group.entries}
        return {
            "keep": [entry.original for entry in entries if id(entry) in chosen],
            "summarize": [entry.original for entry in entries if id(entry) not in chosen],
            "kept_tokens": used,
            "fits": room is None or used <= room,
        }

    def _status(self, used: int) -> ContextStatus:
        if self.window.tokens is None:
            return ContextStatus.UNKNOWN
        share = 100 * used / self.window.tokens
        if share > 100:
            return ContextStatus.EXCEEDED
        if share >= self.critical:
            return ContextStatus.CRITICAL
        return ContextStatus.WARNING if share >= self.warning else ContextStatus.SAFE

    def _warnings(self, used: int, written: int) -> list[str]:
        whole = self.window.tokens
        if whole is None:
            return [f"the context window of {self.model_name} is not known"]
        if used + written > whole:
            said = f"{used + written - whole:,} tokens more than the context window of {whole:,}"
            return [f"{said}: {used:,} are sent and {written:,} expected"]
        share = 100 * (used + written) / whole
        return [f"{share:.0f} % of the context window of {whole:,} tokens is taken"] if share >= self.warning else []


def _recommendations(parts: Mapping[str, int], window: int | None) -> list[str]:
    found = []
    if parts["system"] > 2000:
        found.append(f"the system prompt has {parts['system']:,} tokens, which are sent each time: shorten or cache it")
    if parts["functions"] > 1000:
        found.append(f"the schemas of tools have {parts['functions']:,} tokens: give only those that the task needs")
    large = [name for name in ("user", "assistant", "tool") if window is not None and parts[name] > 0.4 * window]
    found.extend(
        f"{name} messages take {parts[name]:,} tokens, much of the window: compress the older" for name in large
    )
    return found
