"""Sharing whole numbers out so that the shares sum to the whole exactly."""

from collections.abc import Sequence


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


def split_cost(tokens: Sequence[int], zones: Sequence[tuple[int, int]]) -> list[int]:
    """Return what each of some parts costs, which lie one behind the other over zones with prices of their own.

    A zone is its tokens and its whole cost in nano-dollars; together they have as many tokens as the parts. The costs
    sum to those of the zones exactly.
    """
    costs = []
    left = iter(zones)
    size, nanos = next(left, (0, 0))
    start = paid = edge = before = 0
    for count in tokens:
        edge += count
        while edge > start + size and (following := next(left, None)) is not None:
            start, paid = start + size, paid + nanos
            size, nanos = following
        now = paid + (nanos * (edge - start) // size if size else 0)
        costs.append(now - before)
        before = now
    return costs
