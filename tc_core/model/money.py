"""Money: US dollars as exact integer nano-dollars inside, Decimal or float at the rim."""

from decimal import ROUND_HALF_EVEN, Decimal

NANOS_PER_DOLLAR = 1_000_000_000


def to_nanos(dollars: Decimal | float | str) -> int:
    """Round dollars half-even to whole nano-dollars; a float counts as the digits it prints.

    Raises ValueError for a value that is not a finite number.
    """
    exact = Decimal(repr(dollars)) if isinstance(dollars, float) else Decimal(dollars)
    if not exact.is_finite():
        raise ValueError(f"a cost must be a finite number of dollars, not {dollars!r}")
    return int((exact * NANOS_PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN))


def to_decimal(nanos: int) -> Decimal:
    """Return exact dollars."""
    return Decimal(nanos).scaleb(-9)


def to_dollars(nanos: int) -> float:
    """Return dollars as the nearest float."""
    return nanos / NANOS_PER_DOLLAR
