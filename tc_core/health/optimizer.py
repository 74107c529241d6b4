"""`TokenOptimizer`: the same said with fewer tokens, what is code or quoted left as it is, and the difference shown."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tc_core.meter import prices, tokens

_PROTECTED = re.compile(
    r"```.*?(?:```|\Z)"  # a block of code
    r"|`[^`\n]+`"
    r"|^(?: {4}|\t).*(?:\n(?: {4}|\t).*)*"  # indented lines
    r"|\"[^\"\n]*\"|“[^“”\n]*”|«[^«»\n]*»|(?<!\w)'[^'\n]+'(?!\w)"
    r"|<[^<>\n]+>|https?://\S+|\{\{(?:(?!\{\{).)*?\}\}|\{\w*\}",  # nothing opens twice: rows took the square
    re.DOTALL | re.MULTILINE,
)
_JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)
_PHRASES = {
    r"in order to": "to",
    r"due to the fact that": "because",
    r"at this point in time": "now",
    r"in the event that": "if",
    r"for the purpose of": "for",
    r"with regard to": "about",
    r"with respect to": "about",
    r"a large number of": "many",
    r"the majority of": "most",
    r"has the ability to": "can",
    r"is able to": "can",
    r"make sure that": "ensure that",
    r"please note that ": "",
    r"it is important to note that ": "",
    r"i would like you to ": "",
    r"as well as": "and",
}
_FILLERS = re.compile(r"\b(?:very|really|quite|basically|actually|simply|just|literally|kindly) ", re.IGNORECASE)
LEAST_REPEATED = 20
"""Characters; what is shorter may stand twice."""


@dataclass(frozen=True, slots=True)
class OptimizationSuggestion:
    """One way to say it with fewer tokens, and how many it saves, counted on its result."""

    strategy: str
    description: str
    estimated_tokens_saved: int
    impact: str
    effort: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class OptimizationResult:
    """A text with fewer tokens, beside its original: `diff` shows what was changed, line by line."""

    original_tokens: int
    optimized_tokens: int
    tokens_saved: int
    reduction_percentage: float
    optimized_text: str
    suggestions_applied: list[str]
    diff: str = ""


class TokenOptimizer:
    """Shortens prompts for a model; nothing is changed in place, and nothing silently."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def analyze_text(self, text: str) -> list[OptimizationSuggestion]:
        """Return what would save tokens, the best first."""
        return self.suggest_prompt_improvements(text)

    def optimize_text(
        self,
        text: str,
        strategies: Sequence[str] | None = None,
        aggressive: bool = False,  # noqa: FBT001, FBT002  # as it was
    ) -> OptimizationResult:
        """Apply what saves tokens, one after another; fillers only where `aggressive`.

        Raises ValueError for a strategy that does not exist.
        """
        unknown = sorted(set(strategies or ()) - _STRATEGIES.keys())
        if unknown:
            raise ValueError(f"there is no strategy {unknown[0]!r}: use one of {', '.join(_STRATEGIES)}")
        chosen = (
            strategies if strategies is not None else [name for name in _STRATEGIES if aggressive or name != "fillers"]
        )
        shorter, applied = text, []
        for name in chosen:
            tried = _STRATEGIES[name].apply(shorter)
            if self._count(tried) < self._count(shorter):
                shorter = tried
                applied.append(name)
        before, after = self._count(text), self._count(shorter)
        lines = difflib.unified_diff(text.splitlines(), shorter.splitlines(), "original", "optimized", lineterm="", n=1)
        share = 100 * (before - after) / before if before else 0.0
        return OptimizationResult(before, after, before - after, share, shorter, applied, "\n".join(lines))

    def suggest_prompt_improvements(
        self, prompt: str, target_reduction: int | None = None
    ) -> list[OptimizationSuggestion]:
        """Return what would save tokens, the best first; no more than it takes to save `target_reduction`."""
        before, found = self._count(prompt), []
        for name, strategy in _STRATEGIES.items():
            shorter = strategy.apply(prompt)
            saved = before - self._count(shorter)
            if saved > 0:
                share = saved / before
                impact = "high" if share >= 0.2 else "medium" if share >= 0.05 else "low"
                found.append(
                    OptimizationSuggestion(name, strategy.description, saved, impact, "low", _example(prompt, shorter))
                )
        found.sort(key=lambda each: -each.estimated_tokens_saved)
        if target_reduction is None:
            return found
        enough, total = [], 0
        for each in found:
            if total >= target_reduction:
                break
            enough.append(each)
            total += each.estimated_tokens_saved
        return enough

    def compare_phrasings(self, phrasings: Iterable[str]) -> list[dict[str, Any]]:
        """Return phrasings with their tokens and the cost of sending them once, the shortest first."""
        counted = sorted((self._count(text), text) for text in phrasings)
        least = counted[0][0] if counted else 0
        return [
            {
                "text": text,
                "tokens": count,
                "more_than_best": count - least,
                "cost": prices.calculate_cost(self.model_name, count, 0),
            }
            for count, text in counted
        ]

    def _count(self, text: str) -> int:
        return tokens.count(text, self.model_name).tokens


def optimize_prompt(prompt: str, model_name: str, aggressive: bool = False) -> OptimizationResult:  # noqa: FBT001, FBT002  # as it was
    """Return a prompt with fewer tokens, and what was changed."""
    return TokenOptimizer(model_name).optimize_text(prompt, aggressive=aggressive)


def suggest_optimizations(text: str, model_name: str) -> list[OptimizationSuggestion]:
    """Return what would save tokens, the best first."""
    return TokenOptimizer(model_name).analyze_text(text)


@dataclass(frozen=True, slots=True)
class _Strategy:
    apply: Callable[[str], str]
    description: str


def _outside(shorten: Callable[[str], str]) -> Callable[[str], str]:
    """Apply to what is neither code nor quoted: that is taken out, and put back as it was."""

    def apply(text: str) -> str:
        taken: list[str] = []

        def take(found: "re.Match[str]") -> str:
            taken.append(found[0])
            return f"\ue000{len(taken) - 1}\ue001"

        if "\ue000" in text:
            return text  # these two mark what is taken out
        shorter = shorten(_PROTECTED.sub(take, text))
        return re.sub("\ue000(\\d+)\ue001", lambda found: taken[int(found[1])], shorter)

    return apply


def _whitespace(text: str) -> str:
    lines = re.sub(r"(?<![ \t])[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<=\S)[ \t]{2,}", " ", lines))


def _repeats(text: str) -> str:
    """Leave out sentences, lines and blocks that stand there before, word for word."""
    seen: set[str] = set()

    def kept(part: str) -> bool:
        words = " ".join(part.split())
        is_new = len(words) < LEAST_REPEATED or words not in seen
        seen.add(words)
        return is_new

    lines = []
    for line in text.split("\n"):
        sentences = [part for part in re.split(r"(?<=[.!?])(?=\s)", line) if kept(part)]
        if sentences or not line.strip():
            lines.append("".join(sentences))
    return "\n".join(lines)


def _phrases(text: str) -> str:
    for long, short in _PHRASES.items():
        text = re.sub(rf"\b{long}(?:(?<= )(\w)|\b)", partial(_said_shorter, short), text, flags=re.IGNORECASE)
    return text


def _said_shorter(short: str, found: "re.Match[str]") -> str:
    said = short + (found[1] or "")
    return said[:1].upper() + said[1:] if found[0][:1].isupper() else said


def _json(text: str) -> str:
    def plain(block: "re.Match[str]") -> str:
        try:
            return f"```json\n{json.dumps(json.loads(block[1]), separators=(',', ':'), ensure_ascii=False)}\n```"
        except ValueError:
            return block[0]

    return _JSON.sub(plain, text)


_STRATEGIES: Mapping[str, _Strategy] = {
    "whitespace": _Strategy(_outside(_whitespace), "Blanks and empty lines that say nothing"),
    "repetition": _Strategy(_outside(_repeats), "Sentences and lines that stand there twice"),
    "phrases": _Strategy(_outside(_phrases), "Long phrases for which there is a short word"),
    "json": _Strategy(_json, "Indentation of JSON, which models read as well without"),
    "fillers": _Strategy(_outside(lambda text: _FILLERS.sub("", text)), "Words that add nothing"),
}


def _example(before: str, after: str) -> str:
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:2] in ("- ", "+ ")]
    return "\n".join(changed[:2])
