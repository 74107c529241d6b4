"""What recommendations say to people, in the terminal and in the browser alike."""

from collections.abc import Sequence

from rich.text import Text

from tc_core.costs.headline import when
from tc_core.costs.report import CostReport
from tc_core.model import money, written
from tc_core.model.recommendation import Recommendation


def title(
    found: Sequence[Recommendation],
    costs: CostReport,
    since: str | None,
    until: str | None,
    is_filtered: bool,  # noqa: FBT001  # handed on by position
) -> Text:
    """Return the sentence that says what could be saved in all, of calls with these `costs`."""
    said = f" {when(since, until)}" if since or until else ""
    if not found:
        calls = costs.total_calls
        return Text(
            f"Nothing is known that would save, of {written.plural(calls, 'call')}{said}: too few of a kind, or none "
            "that could be had for less."
            if calls
            else f"No calls{said}{' that match' if is_filtered else ''}: nothing to save."
        )
    line = Text(written.usd(sum(money.to_nanos(each.savings or 0) for each in found)), style="bold")
    ways = "in one way" if len(found) == 1 else f"in {len(found)} ways"
    line.append(f" of {written.usd(costs.total_cost_nanos)}{said} could have been saved, {ways}.")
    return line


def figures(each: Recommendation) -> str:
    """Return what it saves, between which bounds, and in 30 days."""
    saved, low, high = (
        written.usd(money.to_nanos(dollars or 0)) for dollars in (each.savings, each.savings_low, each.savings_high)
    )
    monthly = written.usd(money.to_nanos(round(each.monthly_savings or 0, 9)))
    return f"saves {saved} ({low} to {high}), {monthly} in 30 days"
