"""What notebooks show of costs."""

from typing import TYPE_CHECKING

from tc_core.costs import names
from tc_core.model import written
from tc_core.model.notebook import Bar, Shown

if TYPE_CHECKING:
    from tc_core.costs.compare import Comparison
    from tc_core.costs.report import CostReport


def of_report(report: "CostReport") -> Shown:
    """Return what a notebook shows of a report."""
    by = list(report.groups[0].key) if report.groups else []
    said = f"{written.usd(report.total_cost_nanos)} in {written.plural(report.total_calls, 'call')}."
    doubts = [f"{report.unpriced_calls:,} unpriced" if report.unpriced_calls else ""]
    doubts += [f"{report.estimated_calls:,} estimated" if report.estimated_calls else ""]
    told = ", ".join(filter(None, doubts))
    named = [[group.key[name] or written.EMPTY for name in by] for group in report.groups]
    decimals = written.column_decimals(group.cost_nanos for group in report.groups)
    costs = [written.usd(group.cost_nanos, decimals=decimals) for group in report.groups]
    rows = [
        [*key, *(written.count(each) for each in (group.calls, group.input_tokens, group.output_tokens)), cost]
        for key, group, cost in zip(named, report.groups, costs, strict=True)
    ]
    bars = [
        Bar(", ".join(key), float(group.cost_nanos or 0), cost)
        for key, group, cost in zip(named, report.groups, costs, strict=True)
    ]
    columns = [*map(names.short, by), "calls", "input", "output", "cost"]
    return Shown(f"{said}  {told}." if told else said, columns, rows, bars, len(by))


def of_comparison(found: "Comparison") -> Shown:
    """Return what a notebook shows of a comparison: the drivers, then the groups."""
    then, now = found.before.total_cost_nanos, found.after.total_cost_nanos
    change = written.signed(found.difference_nanos)
    rows = [(f"because of {each.kind.replace('_', ' ')}", each.cost_nanos) for each in found.drivers]
    rows += [(", ".join(value or written.EMPTY for value in each.key.values()) or "all", each.difference_nanos)
             for each in found.groups]  # fmt: skip
    told = [(name, nanos, written.signed(nanos)) for name, nanos in rows]
    return Shown(
        f"{written.usd(now)} after {written.usd(then)}: {change}.",
        ["", "change"],
        [[name, said] for name, _, said in told],
        [Bar(name, nanos, said) for name, nanos, said in told],
    )
