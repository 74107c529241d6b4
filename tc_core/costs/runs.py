"""Which runs are meant by names and filters, and what there is to doubt about one."""

from tc_core.costs import filters as filtering
from tc_core.costs import reading
from tc_core.errors import ConfigurationError
from tc_core.model.period import Period
from tc_core.model.ports import Filters
from tc_core.model.run import Run
from tc_core.model.written import MARKS
from tc_core.store.sql import SqlStore


def meant(source: SqlStore, filters: Filters, asked: Period) -> tuple[Filters, Filters]:
    """Return the filters of the root, and those of any event of a run, that people mean by names such as `tool`."""
    roots: dict[str, object] = {}
    having = dict(filtering.resolved(reading.reader_of(source), filters, asked))
    if "retries" in having:
        raise ConfigurationError(
            "runs cannot be filtered by retries: `token-calc costs --by workflow,retries` tells them"
        )
    if (tool := having.pop("tool", None)) is not None:
        having |= {"event_type": "tool", "name": tool}
    if (workflow := having.pop("workflow", None)) is not None:
        if source.runs({"workflow_id": workflow}, limit=1, single_calls=True):
            having["workflow_id"] = workflow
        else:
            roots["name"] = workflow
    return roots, having  # type: ignore[return-value]  # values of filters


def doubts(run: Run) -> str:
    """Say what a run's cost leaves out, and how it ended where that was not well."""
    status, totals = run.event.status, run.totals
    said = [
        f"{MARKS[status]} {status}" if status != "ok" else "",
        f"{totals.errors:,} failed" if totals.errors else "",
        f"{totals.unpriced:,} unpriced" if totals.unpriced else "",
    ]
    return ", ".join(filter(None, said))
