from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tc_core.model import money


@pytest.mark.parametrize(
    ("dollars", "nanos"),
    [
        pytest.param(0.1, 100_000_000, id="float-counts-as-it-prints"),
        pytest.param(Decimal("0.0000000005"), 0, id="half-to-even-down"),
        pytest.param(Decimal("0.0000000015"), 2, id="half-to-even-up"),
        pytest.param("1.000000001", 1_000_000_001, id="text"),
        pytest.param(-2, -2_000_000_000, id="negative"),
    ],
)
def test_dollars_become_whole_nanos(dollars, nanos):
    assert money.to_nanos(dollars) == nanos


def test_ten_times_ten_cents_is_exactly_one_dollar():
    assert sum(money.to_nanos(0.1) for _ in range(10)) == money.NANOS_PER_DOLLAR


@pytest.mark.parametrize("dollars", [float("nan"), float("inf"), Decimal("NaN")])
def test_a_cost_that_is_no_number_is_refused(dollars):
    with pytest.raises(ValueError, match="finite"):
        money.to_nanos(dollars)


@given(st.integers(-(10**15), 10**15))
def test_exact_dollars_go_back_to_the_same_nanos(nanos):
    assert money.to_nanos(money.to_decimal(nanos)) == nanos


@given(st.integers(0, 10**14))
def test_float_dollars_go_back_to_the_same_nanos_up_to_a_hundred_thousand(nanos):
    # A float has 15 digits that are sure: nine behind the point leave six before it.
    assert money.to_nanos(money.to_dollars(nanos)) == nanos
