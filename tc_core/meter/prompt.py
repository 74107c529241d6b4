"""What a prompt weighs, what it would cost, and what in it could be said with fewer tokens."""

import json
import re
from collections.abc import Callable
from typing import Any

from tc_core.errors import PriceNotFoundError
from tc_core.meter import price_table, prices, tokens

WARNING, CRITICAL = 70, 90
"""From how much of the context window on, in percent, a prompt is told of."""

MOST_SUGGESTIONS = 5
_CODE = re.compile(r"```.*?```", re.DOTALL)
_JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)


def analyze_prompt(
    prompt: str, model: str = "gpt-4o", expected_output_tokens: int = 500, *, model_name: str | None = None
) -> dict[str, Any]:
    """Tell what a prompt weighs, how full it makes the context window, what it costs, and where tokens can be saved.

    Tokens are those of the text alone; `tokens.source` says how they were counted. Costs are US dollars, None for a
    model without a price. `optimization.suggestions` are measured: each with the tokens it saves. `model_name` is
    another name for `model`. Raises ValueError for a negative number of output tokens.
    """
    model = model_name or model
    if expected_output_tokens < 0:
        raise ValueError(f"expected_output_tokens must not be negative, got {expected_output_tokens}")
    counted = tokens.count(prompt, model)
    suggestions = _suggestions(prompt, model, counted.tokens)
    return {
        "model": model,
        "tokens": {
            "input": counted.tokens,
            "expected_output": expected_output_tokens,
            "total": counted.tokens + expected_output_tokens,
            "source": counted.source,
        },
        "context": _context(model, counted.tokens, expected_output_tokens),
        "cost": _cost(model, counted.tokens, expected_output_tokens),
        "optimization": {
            "suggestions_count": len(suggestions),
            "total_potential_savings": sum(each["tokens_saved"] for each in suggestions),
            "suggestions": suggestions[:MOST_SUGGESTIONS],
        },
    }


def _context(model: str, read: int, written: int) -> dict[str, Any]:
    try:
        window = price_table.show(model).context_window
    except PriceNotFoundError:
        window = None
    if window is None:
        return {
            "window": None,
            "usage_percentage": None,
            "status": "unknown",
            "available_for_output": None,
            "warnings": [f"the context window of {model} is not known"],
        }
    share = 100 * (read + written) / window
    warnings = []
    if share > 100:
        warnings.append(f"{read + written - window:,} tokens more than the context window of {window:,}")
    elif share >= WARNING:
        warnings.append(f"{share:.0f} % of the context window of {window:,} tokens is taken")
    return {
        "window": window,
        "usage_percentage": round(100 * read / window, 2),
        "status": "exceeded"
        if share > 100
        else "critical"
        if share >= CRITICAL
        else "warning"
        if share >= WARNING
        else "safe",
        "available_for_output": max(0, window - read),
        "warnings": warnings,
    }


def _cost(model: str, read: int, written: int) -> dict[str, Any]:
    paid_in, paid_out = (prices.calculate_cost(model, *pair) for pair in ((read, 0), (read, written)))
    if paid_in is None or paid_out is None:
        return {"input_cost": None, "output_cost": None, "total_cost": None, "formatted": "unknown"}
    return {
        "input_cost": paid_in,
        "output_cost": paid_out - paid_in,
        "total_cost": paid_out,
        "formatted": f"${paid_out:,.6f}",
    }


def _suggestions(prompt: str, model: str, counted: int) -> list[dict[str, Any]]:
    """Try each way to say the same with fewer tokens, and tell those that save some, the best first."""
    found = []
    for strategy, (shorter, description) in _STRATEGIES.items():
        saved = counted - tokens.count(shorter(prompt), model).tokens
        if saved > 0:
            share = saved / counted
            impact = "high" if share >= 0.2 else "medium" if share >= 0.05 else "low"
            found.append({"strategy": strategy, "description": description, "tokens_saved": saved, "impact": impact})
    return sorted(found, key=lambda each: -each["tokens_saved"])


def _outside_code(shorten: Callable[[str], str]) -> Callable[[str], str]:
    """Apply to what is not in a code block, where white space may matter."""

    def shorter(prompt: str) -> str:
        parts, last = [], 0
        for block in _CODE.finditer(prompt):
            parts += [shorten(prompt[last : block.start()]), block[0]]
            last = block.end()
        return "".join([*parts, shorten(prompt[last:])])

    return shorter


def _without_blanks(text: str) -> str:
    lines = re.sub(r"(?<![ \t])[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<=\S)[ \t]{2,}", " ", lines))


def _without_repeats(text: str) -> str:
    seen: set[str] = set()
    kept = []
    for line in text.splitlines():
        words = " ".join(line.split())
        if len(words) < 20 or words not in seen:
            kept.append(line)
        seen.add(words)
    return "\n".join(kept)


def _with_plain_json(prompt: str) -> str:
    def plain(block: "re.Match[str]") -> str:
        try:
            return f"```json\n{json.dumps(json.loads(block[1]), separators=(',', ':'), ensure_ascii=False)}\n```"
        except ValueError:
            return block[0]

    return _JSON.sub(plain, prompt)


_STRATEGIES = {
    "whitespace": (_outside_code(_without_blanks), "Blanks and empty lines that say nothing"),
    "repetition": (_outside_code(_without_repeats), "Lines that are there twice"),
    "json": (_with_plain_json, "Indentation of JSON, which models read as well without"),
}
