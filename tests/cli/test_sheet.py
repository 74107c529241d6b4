import pytest
from rich.text import Text

from tc_core.cli.sheet import Column, Sheet, number


def costs():
    sheet = Sheet(
        Column("agent"), Column("model"), number("input", goes=2), number("cost"), Column(goes=1, least=6), number("%")
    )
    sheet.add("researcher-of-everything", "gpt-4o-2024-08-06", "3,120,441", "$2.914", "██████", "71 %")
    sheet.add("writer", "gpt-4o-mini", "4,112", "$12.301", "█", "7 %")
    return sheet


def printed(sheet, width):
    return [line.plain for line in sheet.lines(width)]


def test_numbers_stand_to_the_right_and_nothing_trails():
    assert printed(costs(), 100) == [
        "agent                     model                  input     cost             %",
        "researcher-of-everything  gpt-4o-2024-08-06  3,120,441   $2.914  ██████  71 %",
        "writer                    gpt-4o-mini            4,112  $12.301  █        7 %",
    ]


@pytest.mark.parametrize(
    ("width", "row"),
    [
        pytest.param(70, "researcher-of-ev…  gpt-4o-2024-08-06  3,120,441   $2.914  ██████  71 %", id="names-are-cut"),
        pytest.param(62, "researcher-of-ev…  gpt-4o-2024-08-06  3,120,441   $2.914  71 %", id="the-bar-goes"),
        pytest.param(50, "researcher-of-e…  gpt-4o-2024-08-06   $2.914  71 %", id="then-the-input"),
        pytest.param(30, "resea…  gpt-4o…   $2.914  71 %", id="then-names-are-cut-further"),
        pytest.param(5, "res…  gpt…   $2.914  71 %", id="numbers-are-never-cut"),
    ],
)
def test_what_gives_way_where_there_is_no_room(width, row):
    assert printed(costs(), width)[1] == row


def test_what_hangs_is_written_below_and_never_cut():
    sheet = Sheet(Column(least=30), number("", goes=1), Column(goes=2, hangs=True))
    sheet.add("├─ gpt-4o", "9 ms", "✗ RateLimitError", lead=Text("│     "))
    sheet.add("└─ gpt-4o-mini", "14 ms", "")
    assert printed(sheet, 80) == ["├─ gpt-4o        9 ms  ✗ RateLimitError", "└─ gpt-4o-mini  14 ms"]
    assert printed(sheet, 33) == ["├─ gpt-4o       ✗ RateLimitError", "└─ gpt-4o-mini"]
    assert printed(sheet, 24) == ["├─ gpt-4o", "│     ✗ RateLimitError", "└─ gpt-4o-mini"]


def test_columns_in_which_nothing_stands_are_not_there():
    sheet = Sheet(Column("agent"), Column("note"), number("calls"))
    sheet.add("a", "", "1")
    assert printed(sheet, 80) == ["agent  calls", "a          1"]


def test_wide_characters_keep_their_column():
    sheet = Sheet(Column(), number(""))
    sheet.add("研究者", "1")
    sheet.add("a", "2")
    assert printed(sheet, 80) == ["研究者  1", "a       2"]
