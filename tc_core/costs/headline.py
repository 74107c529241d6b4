"""What a cost report says first, in the terminal and in the browser alike."""

from collections.abc import Sequence
from datetime import tzinfo

from rich.text import Text

from tc_core.costs import compare
from tc_core.costs.reading import CostReader
from tc_core.costs.report import CostReport, Question, answer
from tc_core.model import written
from tc_core.model.period import Period, period, words_of
from tc_core.model.ports import Filters

BEFORE = {
    "today": "yesterday",
    "this-week": "last week",
    "this-month": "last month",
    "this-year": "last year",
}


def same_part_before(
    reader: CostReader,
    since: str | None,
    until: str | None,
    asked: Period,
    filters: Filters,
    tz: tzinfo,
) -> CostReport | None:
    """Return what the same part of the period before has cost, where there is such a period."""
    if since not in BEFORE or until is not None:
        return None
    before = period(BEFORE[since].replace(" ", "-"), None, tz=tz)
    return answer(reader, compare.same_part(before, asked), Question((), filters, tz))


def headline(
    found: CostReport, since: str | None, until: str | None, before: CostReport | None, where: Sequence[str]
) -> Text:
    """Return the sentence that answers what a period, as it was asked for, has cost."""
    if not found.total_calls:
        return no_calls(when(since, until), f"with {', '.join(where)}" if where else "")
    comparison = ""
    if since in BEFORE and before is not None and before.total_cost_nanos and found.total_cost_nanos is not None:
        change = found.total_cost_nanos / before.total_cost_nanos - 1
        size = f"{abs(change):.0%} {'more' if change >= 0 else 'less'} than".replace("%", " %")
        if found.total_cost_nanos == before.total_cost_nanos:
            size = "the same as"
        comparison = f", {size} {BEFORE[since]} by this time"
    said_when = when(since, until)
    return title_line(found, f" {said_when}" if said_when else "", comparison)


def no_calls(when: str, where: str) -> Text:
    """Say that there are no calls of a period, or none that a filter lets through: `with model=gpt-4o`."""
    return Text(f"No calls {' '.join(filter(None, (when, where))) or 'recorded'}.")


def when(since: str | None, until: str | None) -> str:
    """Say a period as it was given."""
    if since is None and until is None:
        return ""
    if until is None:
        return f"since {since}" if since and since[:1].isdigit() else _in_words(str(since))
    return f"from {since} to {until}" if since else f"until {until}"


def title_line(found: CostReport, when: str, comparison: str = "") -> Text:
    """Return the sentence that answers the question."""
    line = Text()
    line.append(written.usd(found.total_cost_nanos), style="bold")
    line.append(f"{when} in {written.plural(found.total_calls, 'call')}{comparison}.")
    if found.total_charges_nanos:
        line.append(f"  {written.usd(found.total_charges_nanos)} of it beside tokens.")
    doubts = [
        written.plural(found.unpriced_calls, "call") + " unpriced" if found.unpriced_calls else "",
        f"{found.estimated_calls:,} estimated" if found.estimated_calls else "",
        f"{found.errors:,} failed" if found.errors else "",
    ]
    said = ", ".join(doubt for doubt in doubts if doubt)
    if said:
        line.append(f"  {said}.", style="yellow" if found.unpriced_calls or found.estimated_calls else "")
    for unit, each in found.per.items():
        if each.count:
            line.append(f"  {written.usd(each.cost_nanos)} per {unit}, of {each.count:,}.")
        else:
            line.append(f"  No call has a {unit}.", style="yellow")
    return line


def gone(found: CostReport) -> Text:
    """Say what a report leaves out, since it has left the store."""
    return Text(
        f"This leaves out up to {written.plural(found.removed_events, 'event')} that left the store: "
        f"its details are whole since {found.details_since:%Y-%m-%d} (UTC).",
        style="yellow",
    )


def _in_words(name: str) -> str:
    """Say a named period as in a sentence: `this month`, `in the last 30 days`."""
    said = words_of(name)
    return f"in the {said}" if said.endswith((" day", " days")) else said
