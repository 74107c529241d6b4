"""Sharing whole numbers out so that the shares sum to the whole exactly."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tc_core.ledger.columns import Numbers


def largest_remainders(weights: Sequence[int], total: int) -> list[int]:
    """Return whole numbers in proportion to `weights` that sum to `total`; ties go to the earlier one."""
    whole = sum(weights)
    if whole == total:
        return list(weights)
    if not whole:
        return [*([0] * (len(weights) - 1)), total] if weights else []
    shares, rests = [], []
    for weight in weights:
        share, rest = divmod(weight * total, whole)
        shares.append(share)
        rests.append(rest)
    missing = total - sum(shares)
    if missing:
        for place in sorted(range(len(weights)), key=lambda place: -rests[place])[:missing]:
            shares[place] += 1
    return shares


def largest_remainders_of_each(weights: "Numbers", starts: "Numbers", totals: "Numbers") -> "Numbers":
    """Return the same of many groups, one behind the other: whole numbers that sum to the total of each group.

    A group begins at each of `starts`; it has at least one weight, and its weights sum to more than 0.
    """
    import numpy as np

    from tc_core.ledger.columns import ordered

    groups = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(weights)))
    wholes = np.add.reduceat(weights, starts)
    parts, whole = weights * totals[groups], wholes[groups]
    shares = parts // whole
    rests = parts - shares * whole
    missing = totals - np.add.reduceat(shares, starts)
    is_short = np.flatnonzero((missing > 0)[groups])
    if is_short.size:
        order = is_short[ordered((groups[is_short], -rests[is_short]))]
        sizes = np.bincount(groups[is_short], minlength=len(starts))
        rank = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[groups[order]]
        shares[order[rank < missing[groups[order]]]] += 1
    return shares
