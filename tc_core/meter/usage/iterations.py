"""The steps inside one answer of Anthropic's: what was done beside what the top-level counts say, and by which model.

The top-level counts are the sum of the steps of the answer itself. A compaction comes on top of them, at the price of
the same model. An advisor's step comes on top too, at the price of the model that it names. Of an answer that another
model took over, the steps of the other are told apart.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tc_core.meter.usage.possible import possible
from tc_core.model.usage import Usage, is_count

_BESIDE = frozenset({"compaction", "advisor_message"})
"""Types of steps that the top-level counts leave out."""


class Steps(NamedTuple):
    """What the steps add to the top-level counts."""

    usage: Usage
    by_other_models: Sequence[tuple[str, Usage]] = ()


class _Step(NamedTuple):
    kind: str
    model: str | None
    usage: Usage


def add_steps(usage: Usage, told: object, model: str | None, faults: list[str]) -> Steps:
    """Return the usage of the answering model with all its steps, and that of others.

    `usage` is what the top level says, `model` the one that answered. What cannot be read is noted in `faults`.
    """
    if not isinstance(told, list):
        return Steps(usage)
    steps = [step for each in told if (step := _step(each, faults)) is not None]
    within = [step for step in steps if step.kind not in _BESIDE]
    beside = [step for step in steps if step.kind in _BESIDE]
    if beside and _whole(usage) == _whole(_sum([step.usage for step in steps])):
        within, beside = steps, []  # a server that adds up all of them
    others: dict[str, list[Usage]] = {}
    foreign = [step for step in within if _is_other(step.model, model)]
    if foreign and _whole(usage) == _whole(_sum([step.usage for step in within])):
        usage = _sum([step.usage for step in within if step not in foreign])
        beside += foreign
    for step in beside:
        if step.model is not None and _is_other(step.model, model):
            others.setdefault(step.model, []).append(step.usage)
        else:
            usage = _sum([usage, step.usage])
    sums = {name: possible(_sum(usages), None, faults) for name, usages in others.items()}
    return Steps(usage, tuple(sums.items()))


def _step(told: object, faults: list[str]) -> _Step | None:
    if not isinstance(told, dict):
        return None
    read, written, cached, wrote = (
        told.get(name)
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    kept = told.get("cache_creation")
    hour = kept.get("ephemeral_1h_input_tokens") if isinstance(kept, dict) else None
    if not is_count(read) or not is_count(written):
        faults.append("a step of the answer has no counts")
        return None
    counts = [_count(each) for each in (cached, wrote, hour)]
    kind, model = told.get("type"), told.get("model")
    return _Step(
        kind if isinstance(kind, str) else "",
        model if isinstance(model, str) else None,
        Usage(read + counts[0] + counts[1], written, counts[0], counts[1], cache_write_1h_tokens=counts[2]),
    )


def _count(value: Any) -> int:
    return value if is_count(value) else 0


def _is_other(name: str | None, model: str | None) -> bool:
    """Tell whether a step's model is another one; a dated name is the same as the one without its date."""
    if name is None or model is None:
        return name is not None
    return not (name.startswith(model) or model.startswith(name))


def _whole(usage: Usage) -> tuple[int | None, int | None]:
    return usage.input_tokens, usage.output_tokens


def _sum(usages: Sequence[Usage]) -> Usage:
    """Add counts up; input and output are unknown where one of them is, details where all are."""
    if not usages:
        return Usage(0, 0)
    columns = list(zip(*usages, strict=True))
    whole = [None if None in column else sum(each or 0 for each in column) for column in columns[:2]]
    details = [None if set(column) == {None} else sum(each or 0 for each in column) for column in columns[2:]]
    return Usage(*whole, *details)
