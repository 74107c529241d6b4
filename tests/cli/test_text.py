import pytest

from tc_core.cli import text


@pytest.mark.parametrize(
    ("nanos", "written"),
    [
        (None, text.EMPTY),
        (0, "$0.00"),
        (4_127_000_000, "$4.13"),
        (412_000_000, "$0.412"),
        (41_200_000, "$0.0412"),
        (1_050, "$0.00000105"),
        (1, "$0.000000001"),
        (12_345_678_900_000, "$12,345.68"),
    ],
)
def test_money_has_as_many_digits_as_it_needs(nanos, written):
    assert text.usd(nanos) == written


def test_the_points_of_a_column_stand_in_one_line():
    costs = [4_127_000_000, 41_200_000, None, 0]
    decimals = text.column_decimals(costs)
    assert [text.usd(nanos, decimals=decimals) for nanos in costs] == ["$4.127", "$0.041", text.EMPTY, "$0.000"]


@pytest.mark.parametrize(
    ("part", "whole", "drawn"), [(0, 8, ""), (8, 8, "████"), (4, 8, "██"), (1, 8, "▌"), (1, 0, "")]
)
def test_bars(part, whole, drawn):
    assert text.bar(part, whole, width=4) == drawn


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [(None, ""), (0.4, "0 ms"), (812, "812 ms"), (14_200, "14.2 s"), (134_000, "2 min 14 s")],
)
def test_durations(milliseconds, written):
    assert text.seconds(milliseconds) == written
