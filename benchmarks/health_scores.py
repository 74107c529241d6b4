"""How well scores tell what is marked from what is not."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Message = dict[str, Any]


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return how often a positive is above a negative."""
    marked = sorted([(score, 1) for score in positives] + [(score, 0) for score in negatives])
    rank_sum, start = 0.0, 0
    while start < len(marked):
        end = start
        while end < len(marked) and marked[end][0] == marked[start][0]:
            end += 1
        rank_sum += sum(mark for _, mark in marked[start:end]) * (start + end + 1) / 2
        start = end
    ones = len(positives)
    return (rank_sum - ones * (ones + 1) / 2) / (ones * len(negatives))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the correlation of ranks."""
    return 0.0 if len(set(a)) < 2 or len(set(b)) < 2 else statistics.correlation(_ranks(a), _ranks(b))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    found, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2
        start = end + 1
    return found


def share_above(scores: Sequence[float], bar: float) -> float:
    return sum(score >= bar for score in scores) / len(scores)


def best_f1(marks: Sequence[int], scores: Sequence[float]) -> float:
    """Return the best F1 over all bars."""
    hits, best, ones = 0, 0.0, sum(marks)
    ordered = sorted(zip(scores, marks, strict=True), reverse=True)
    for count, (score, mark) in enumerate(ordered, 1):
        hits += mark
        if count == len(ordered) or ordered[count][0] != score:  # all of one score are above a bar, or none
            best = max(best, 2 * hits / (count + ones))
    return best


def runs(data: Path, every: int) -> list[list[Message]]:
    with (data / "agent_trajectories.jsonl").open() as lines:
        return [json.loads(line)["messages"] for place, line in enumerate(lines) if place % every == 0]
