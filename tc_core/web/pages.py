"""The pages there are, and who answers for each: add one here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tc_core.web.api import budgets, compare, costs, findings, policies, run, run_event, run_graph, runs, waterfall
from tc_core.web.asked import Asked

View = Callable[[Asked], Any]
"""Answers with plain JSON values."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `/NAME` in the browser, drawn by `static/pages/NAME.js` from what `/api/NAME` answers.

    `plain` is what the command prints with `--json` (`/api/NAME.json`), `csv` what it prints with `--csv`
    (`/api/NAME.csv`), None where it has no such form. `more` are further questions (`/api/NAME/WHAT`), such as the
    details of what is selected. `deeds` change something (`POST /api/NAME/WHAT`), where a token is asked for.
    """

    name: str
    title: str
    view: View
    plain: View | None = None
    csv: Callable[[Asked], str] | None = None
    more: Mapping[str, View] = field(default_factory=dict)
    deeds: Mapping[str, View] = field(default_factory=dict)


PAGES = (
    Page("costs", "Costs", costs.view, costs.plain, costs.csv),
    Page("runs", "Runs", runs.view, runs.plain, more={"findings": runs.findings}),
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
    Page(
        "findings",
        "Findings",
        findings.view,
        findings.plain,
        more={
            "anomalies": findings.anomalies,
            "conversations": findings.conversations,
            "savings": findings.savings,
            "policies": policies.standing,
            "policies/dry-run": policies.dry_run,
        },
        deeds={"policies/apply": policies.apply, "policies/undo": policies.undo},
    ),
    Page(
        "budgets",
        "Budgets",
        budgets.view,
        budgets.plain,
        more={"history": budgets.history, "backtest": budgets.backtest},
    ),
    Page("compare", "Compare", compare.view, compare.plain),
)
"""In the order of the menu; the first is the one that opens."""
