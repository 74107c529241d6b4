"""The pages there are, and who answers for each: add one here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tc_core.web.api import costs, run, run_event, run_graph, waterfall
from tc_core.web.asked import Asked

View = Callable[[Asked], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `/NAME` in the browser, drawn by `static/pages/NAME.js` from what `/api/NAME` answers.

    `plain` is what the command prints with `--json` (`/api/NAME.json`), `csv` what it prints with `--csv`
    (`/api/NAME.csv`), None where it has no such form. `more` are further questions (`/api/NAME/WHAT`), such as the
    details of what is selected.
    """

    name: str
    title: str
    view: View
    plain: View | None = None
    csv: Callable[[Asked], str] | None = None
    more: Mapping[str, View] = field(default_factory=dict)


PAGES = (
    Page("costs", "Costs", costs.view, costs.plain, costs.csv),
    Page(
        "run",
        "Run",
        run.view,
        run.plain,
        more={"event": run_event.view, "graph": run_graph.view, "latest": run.latest},
    ),
    Page(
        "waterfall",
        "Waterfall",
        waterfall.view,
        waterfall.plain,
        more={"breaks": waterfall.breaks, "context": waterfall.context},
    ),
)
"""In the order of the menu; the first is the one that opens."""
