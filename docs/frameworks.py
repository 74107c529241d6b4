"""Writes the table of whose tokens are known into docs/frameworks.md, from what the tests ask.

python docs/frameworks.py
"""

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a program, this folder alone would be looked through

from tests.bill import seen

PAGE = Path(__file__).parent / "frameworks.md"
BEGIN = "<!-- written by python docs/frameworks.py -->"
END = "<!-- until here -->"

_FRAMEWORKS = {"LangChain": seen.LANGCHAIN, "LlamaIndex": seen.LLAMAINDEX, "CrewAI": seen.CREWAI}


def table() -> str:
    """Return the table, with a line for each class that the tests ask."""
    lines = [_line("framework", "provider", "class", *seen.WAYS, ""), _line(*["---"] * (len(seen.WAYS) + 4))]
    for framework, rows in _FRAMEWORKS.items():
        lines += [_line(framework, row.provider, f"`{row.name}`", *_cells(row), row.note) for row in rows]
    return "\n".join(lines)


def _cells(row: seen.Row) -> Iterable[str]:
    for way in seen.WAYS:
        found, streamed = row.seen(way), row.structured_stream
        yield f"{found}; streamed: {streamed}" if way == "structured" and streamed != found else found


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def page(before: str) -> str:
    """Return the page with the table as it is now."""
    head, rest = before.split(BEGIN)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
