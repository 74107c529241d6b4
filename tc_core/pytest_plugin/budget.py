"""`@pytest.mark.token_budget`: what a test may take."""

from dataclasses import dataclass, fields

import pytest

from tc_core.pytest_plugin.measuring import TokenUse

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; None is none. `max_cost` is US dollars, `max_tokens` counts input and output."""

    max_cost: float | None = None
    max_tokens: int | None = None
    max_calls: int | None = None


def budget_of(item: pytest.Item) -> Budget:
    """Return the limits of a test, its own before those of its class; fail it where they make no sense."""
    found: dict[str, float] = {}
    names = [each.name for each in fields(Budget)]
    for marker in item.iter_markers("token_budget"):
        if marker.args or not marker.kwargs or marker.kwargs.keys() - set(names):
            wrong = [*map(repr, marker.args), *sorted(marker.kwargs.keys() - set(names))] or ["nothing"]
            pytest.fail(
                f"token_budget takes {', '.join(f'{name}=' for name in names)}, not {', '.join(wrong)}", pytrace=False
            )
        for name, value in marker.kwargs.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                pytest.fail(f"token_budget: {name} must be a number from 0 on, not {value!r}", pytrace=False)
            found.setdefault(name, value)
    return Budget(**found)  # type: ignore[arg-type]  # numbers, as was checked


def over(budget: Budget, use: TokenUse) -> list[str]:
    """Return what a test took too much of, in words."""
    said = []
    if budget.max_calls is not None and use.calls > budget.max_calls:
        said.append(f"{_plural(use.calls, 'model call')}, max_calls is {budget.max_calls:,}")
    if budget.max_tokens is not None and use.tokens > budget.max_tokens:
        said.append(f"{use.tokens:,} tokens, max_tokens is {budget.max_tokens:,}: {largest(use)}")
    if budget.max_cost is not None and use.cost > budget.max_cost:
        said.append(f"${use.cost:.6f}, max_cost is ${budget.max_cost:.6f}: {largest(use)}")
    if budget.max_cost is not None and use.unpriced:
        models = ", ".join(sorted(set(use.unpriced)))
        said.append(
            f"{_plural(len(use.unpriced), 'call')} of {models} without a known price, so that max_cost cannot be "
            "judged: give a price in TOKEN_CALC_PRICES"
        )
    return [f"token budget: {each}" for each in said]


def largest(use: TokenUse) -> str:
    """Return what took most tokens."""
    dearest = sorted(use.segments.items(), key=lambda each: (-each[1], each[0]))[:MOST_NAMED]
    return ", ".join(f"{name} {count:,}" for name, count in dearest)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
