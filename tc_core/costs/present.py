"""A cost report in other forms: JSON, CSV, Markdown, a table of rich, a DataFrame."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tc_core.costs import names
from tc_core.model import money

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.table import Table

    from tc_core.costs.report import CostGroup, CostReport

_SPREADSHEET_TRIGGERS = ("=", "+", "-", "@", "\t", "\r")
_APART = ("key", "percentiles", "per")
_SYMBOLS = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
EMPTY = "–"  # noqa: RUF001  # a dash stands for nothing


class _Plain(Protocol):
    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""


def to_json(value: _Plain) -> str:
    """Return JSON text."""
    return json.dumps(value.to_dict(), ensure_ascii=False, indent=2, default=str)


def flat(report: "CostReport", by: Sequence[str] = ()) -> tuple[list[str], list[list[object]]]:
    """Return the groups as rows under headings: what they are grouped by, then each figure.

    Where there are no groups, `by` says what they would have been grouped by.
    """
    from tc_core.costs.report import CostGroup

    by = list(report.groups[0].key) if report.groups else list(by)
    measures = [name for name in CostGroup.__slots__ if name not in _APART]
    rows = []
    more: list[str] = []
    for group in report.groups:
        beside = dict(_beside(group))
        more = more or list(beside)
        figures = (getattr(group, name) for name in measures)
        rows.append([*(group.key[name] for name in by), *figures, *(beside.get(name) for name in more)])
    return [*by, *measures, *more], rows


def to_csv(report: "CostReport", by: Sequence[str] = ()) -> str:
    """Return the groups as CSV; `by` says what there would be groups of where there are none."""
    header, rows = flat(report, by)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[harmless(value) for value in row] for row in rows])
    return text.getvalue()


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_SPREADSHEET_TRIGGERS) else value


def to_markdown(report: "CostReport") -> str:
    """Return the groups and their total as a table in Markdown."""
    by = list(report.groups[0].key) if report.groups else []
    header = [*(_cell(names.short(name)) for name in by), *_FIGURES, *(name for name, _ in _lines_beside(report))]
    lines = [header, [*("---" for _ in by), *("---:" for _ in header[len(by) :])]]
    lines += [
        [*(_cell(group.key[name]) for name in by), *_written(group, report), *_told(group, report)]
        for group in report.groups
    ]
    if report.rest is not None:
        named = _others(report)
        blank = ["" for _ in by][1:]
        lines.append([named, *blank, *_written(report.rest, report), *("" for _ in _lines_beside(report))])
    lines.append(_total(report, by))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def to_table(report: "CostReport") -> "Table":
    """Return the groups and their total as a table of rich."""
    from rich.table import Table
    from rich.text import Text

    by = list(report.groups[0].key) if report.groups else []
    table = Table(show_footer=True)
    for place, name in enumerate(by):
        table.add_column(Text(_visible(names.short(name))), footer="all" if not place else "")
    total = _total(report, by)[len(by) :]
    for name, footer in zip([*_FIGURES, *(name for name, _ in _lines_beside(report))], total, strict=True):
        table.add_column(name, footer=footer, justify="right")
    for group in report.groups:
        values = (Text(_visible(group.key[name] or EMPTY)) for name in by)
        table.add_row(*values, *_written(group, report), *_told(group, report))
    if report.rest is not None:
        table.add_row(_others(report), *("" for _ in by[1:]), *_written(report.rest, report))
    return table


def to_dataframe(report: "CostReport") -> "DataFrame":
    """Return the groups as a DataFrame of pandas; raise ImportError with the line that installs it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("a DataFrame needs pandas: pip install pandas") from error
    header, rows = flat(report)
    return pd.DataFrame(rows, columns=header)


_FIGURES = ("calls", "input", "output", "cost", "share")


def _written(group: "CostGroup", report: "CostReport") -> list[str]:
    whole, nanos = report.total_cost_nanos or 0, group.cost_nanos
    share = f"{100 * nanos / whole:.0f} %" if whole and nanos is not None else ""
    return [f"{group.calls:,}", f"{group.input_tokens:,}", f"{group.output_tokens:,}", _dollars(nanos), share]


def _total(report: "CostReport", by: Sequence[str]) -> list[str]:
    figures = [f"{report.total_calls:,}", f"{report.input_tokens:,}", f"{report.output_tokens:,}"]
    beside = [value for _, value in _lines_beside(report)]
    return [*("all" if not place else "" for place in range(len(by))), *figures, _dollars(report.total_cost_nanos), "",
            *beside]  # fmt: skip


def _told(group: "CostGroup", report: "CostReport") -> list[str]:
    own = dict(_lines_beside(group))
    return [own.get(name, "") for name, _ in _lines_beside(report)]


def _lines_beside(group: "CostGroup | CostReport") -> list[tuple[str, str]]:
    """Return the percentiles and costs per unit as people read them."""
    found: list[tuple[str, str]] = []
    if group.percentiles is not None:
        found += [(f"cost {name}", _dollars(nanos)) for name, nanos in group.percentiles.cost_nanos.items()]
        found += [(f"time {name}", f"{ms / 1000:.1f} s") for name, ms in group.percentiles.latency_ms.items()]
    return found + [(f"per {unit}", _dollars(each.cost_nanos)) for unit, each in group.per.items()]


def _beside(group: "CostGroup") -> Iterator[tuple[str, object]]:
    if group.percentiles is not None:
        for name, dollars in group.percentiles.cost.items():
            yield f"cost_{name}", dollars
        for name, ms in group.percentiles.latency_ms.items():
            yield f"latency_ms_{name}", ms
    for unit, each in group.per.items():
        yield f"{unit}s", each.count
        yield f"cost_per_{unit}", each.cost


def _others(report: "CostReport") -> str:
    return "1 other" if report.rest_groups == 1 else f"{report.rest_groups:,} others"


def _dollars(nanos: int | None) -> str:
    if nanos is None:
        return EMPTY
    places = max(2, min(9, 12 - len(str(abs(nanos))))) if nanos else 2
    return f"${money.to_decimal(nanos):,.{places}f}"


def _cell(value: str | None) -> str:
    said = _visible((value or EMPTY).replace("\n", " "))
    return said.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _visible(value: str) -> str:
    """Return a text in which nothing commands a terminal: control characters are symbols."""
    return value.translate(_SYMBOLS)
