"""What the signals of a conversation come to: a state, the reason in one sentence, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from tc_core.health.signals.watch import Watch

State = Literal["healthy", "context_rot", "hallucination_risk"]

SIGNALS = (*("relevance", "repetition", "topic_coherence", "injection_risk", "staleness", "overhead_share"),)
"""The names of all signals, each 0 to 1."""


@dataclass(frozen=True, slots=True)
class HealthThresholds:
    """From where on something is told of, and from where on it makes the state.

    Only context use, repetition and the irrelevant share make a state: they were measured well enough.
    `docs/health.md` has the measurements. Percentages are 0 to 100, the others 0 to 1.
    """

    usage_warning: float = 70.0
    usage_risk: float = 90.0
    rot_warning: float = 25.0
    rot: float = 40.0
    repetition_warning: float = 0.5
    repetition_risk: float = 0.6
    coherence_hint: float = 0.25
    injection_warning: float = 0.55
    staleness_hint: float = 0.5
    overhead_hint: float = 0.5


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """How a conversation fares. `context_usage` is None where the model's window is not known.

    `signals` has all of `SIGNALS`, always; `evidence` says of each what it rests on. `warnings` begin with the reason.
    """

    status: State
    context_usage: float | None
    rot_percentage: float
    warnings: list[str] = field(default_factory=list)
    recommendations: list[str] = field(default_factory=list)
    signals: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)
    tokens: int = 0
    window: int | None = None
    turns_left: int | None = None
    """How many more turns as the last ones fit; None where that is not known."""

    @property
    def reason(self) -> str:
        """Why it is as it is, in one sentence."""
        return self.warnings[0] if self.warnings else "nothing stands out"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "reason": self.reason}


class Window(NamedTuple):
    """What a model can be sent, and what of it is kept for the answer; None where it is not known."""

    model: str
    tokens: int | None
    reserve: int

    def usage(self, used: int) -> float | None:
        """Return how full the part is that can be sent, 0 to 100."""
        if self.tokens is None:
            return None
        return min(100.0, 100 * used / max(1, self.tokens - self.reserve))

    def turns_left(self, used: int, per_turn: float) -> int | None:
        """Return how many more turns of a size fit."""
        if self.tokens is None or per_turn <= 0:
            return None
        return max(0, int((self.tokens - self.reserve - used) / per_turn))


def status_of(watch: Watch, window: Window, used: int, per_turn: float, limits: HealthThresholds) -> HealthStatus:
    """Judge a conversation whose next prompt has `used` tokens."""
    usage = window.usage(used)
    irrelevant, stale = watch.thread.shares()
    overhead = min(1.0, watch.overhead_tokens / used) if used else 0.0
    signals = {
        "relevance": 1 - irrelevant,
        "repetition": watch.repetition.level,
        "topic_coherence": watch.topic.coherence,
        "injection_risk": watch.injection,
        "staleness": stale,
        "overhead_share": overhead,
    }
    findings = _findings(watch, window, used, usage, 100 * irrelevant, signals, limits)
    state: State = "healthy"
    for each in ("context_rot", "hallucination_risk"):
        if any(finding.state == each for finding in findings):
            state = each
    warnings = [finding.said for finding in sorted(findings, key=lambda each: _WEIGHT[each.state])]
    if usage is None:
        warnings.append(f"the context window of {window.model} is not known: give window= to have its use watched")
    return HealthStatus(
        state,
        usage,
        100 * irrelevant,
        warnings,
        list(dict.fromkeys(finding.advice for finding in findings if finding.advice)),
        signals,
        _evidence(watch, signals),
        used,
        window.tokens,
        window.turns_left(used, per_turn),
    )


class _Finding(NamedTuple):
    state: str
    said: str
    advice: str


_WEIGHT = {"hallucination_risk": 0, "context_rot": 1, "": 2}


def _findings(
    watch: Watch,
    window: Window,
    used: int,
    usage: float | None,
    rot: float,
    signals: Mapping[str, float],
    limits: HealthThresholds,
) -> list[_Finding]:
    found: list[_Finding] = []
    shorter = f'compress_context("hybrid", {max(1, used // 2)}) keeps the values that tools need'
    if usage is not None and window.tokens is not None and usage >= min(limits.usage_warning, limits.usage_risk):
        room = window.tokens - window.reserve
        beyond = f", {used - room:,} more than fit" if used > room else ""
        kept = f"{window.reserve:,} kept for the answer"
        said = f"the context is {usage:.0f} % full: {used:,} of {room:,} tokens{beyond}, {kept}"
        target = f'compress_context("hybrid", {max(1, room // 2)}) makes room and keeps the values that tools need'
        found.append(_Finding("hallucination_risk" if usage >= limits.usage_risk else "", said, target))
    if signals["repetition"] >= min(limits.repetition_warning, limits.repetition_risk):
        state = "hallucination_risk" if signals["repetition"] >= limits.repetition_risk else ""
        said = f"it goes round in circles: {watch.repetition.evidence}"
        found.append(_Finding(state, said, "stop and look: say what is missing, or give another tool or task"))
    if rot >= min(limits.rot_warning, limits.rot):
        said = f"about {rot:.0f} % of the context has nothing to do with the newest {_NEWEST} steps"
        found.append(_Finding("context_rot" if rot >= limits.rot else "", said, shorter))
    if signals["injection_risk"] >= limits.injection_warning and watch.suspects:
        source, sentence = watch.suspects[0]
        said = f'what {source} brought reads like an instruction: "{_short(sentence)}"'
        found.append(_Finding("", said, "look at that text before its agent acts on it"))
    if signals["staleness"] >= limits.staleness_hint and used > SMALL:
        said = f"{signals['staleness']:.0%} of what tools have brought is replaced by newer results or off the subject"
        found.append(_Finding("", said, 'compress_context("dedupe", ...) keeps the newest of each'))
    if signals["overhead_share"] >= limits.overhead_hint and used > SMALL:
        said = f"{signals['overhead_share']:.0%} of each prompt is the system prompt and the schemas of tools"
        found.append(_Finding("", said, "give only the tools that the task needs"))
    if signals["topic_coherence"] <= limits.coherence_hint:
        found.append(_Finding("", "the last message may be about something else (a hint: most of these are none)", ""))
    return found


def _evidence(watch: Watch, signals: Mapping[str, float]) -> dict[str, str]:
    suspects: Sequence[tuple[str, str]] = watch.suspects
    return {
        "relevance": f"{signals['relevance']:.0%} of the characters hang together with the newest steps by names",
        "repetition": watch.repetition.evidence or "no step repeats another",
        "topic_coherence": watch.topic.evidence or "there is no message before the last one",
        "injection_risk": f'{suspects[0][0]}: "{_short(suspects[0][1])}"'
        if suspects
        else "no sentence of a tool reads so",
        "staleness": f"{signals['staleness']:.0%} of the characters that tools have brought",
        "overhead_share": f"{watch.overhead_tokens:,} tokens of system prompt and tool schemas in each prompt",
    }


def _short(sentence: str, most: int = 80) -> str:
    return sentence if len(sentence) <= most else f"{sentence[: most - 1]}…"


_NEWEST = 4
SMALL = 2_000
"""Below so many tokens shares of a prompt say nothing."""
