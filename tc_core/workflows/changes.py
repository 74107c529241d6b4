"""What a comparison of two periods says first, in the terminal and in the browser alike."""

from datetime import tzinfo

from rich.text import Text

from tc_core.costs import compare as comparing
from tc_core.costs import words
from tc_core.costs.compare import Comparison, GroupChange
from tc_core.costs.drivers import Driver
from tc_core.costs.headline import when
from tc_core.ledger.waterfall import WaterfallChange
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.model import written
from tc_core.model.ports import Filters
from tc_core.store.sql import SqlStore

WORDS = {"price": "price", "volume": "volume", "tokens_per_call": "tokens per call", "model_mix": "model mix"}
"""What each kind of reason is called."""

MOST_ORIGINS = 5


def span(said: str) -> str | tuple[str | None, str | None]:
    """Read `A..B` as a start and an end."""
    start, separator, end = said.partition("..")
    return (start or None, end or None) if separator else said


def headline(found: Comparison, before: str, after: str, filters: Filters, tz: tzinfo) -> Text:
    """Return the sentence that says what changed; where the earlier period was cut to the later one's length, so."""
    then, now = found.before, found.after
    if not then.total_calls and not now.total_calls:
        none = " ".join(filter(None, ("No calls", words.written(filters), _said(after))))
        return Text(f"{none}, and none {_said(before)}.")
    line = Text(written.usd(now.total_cost_nanos), style="bold")
    line.append(f" {_said(after)} in {written.plural(now.total_calls, 'call')}, ")
    is_whole = then.end == comparing.as_period(span(before), tz).end
    earlier = _said(before) if is_whole else f"in as much of {_said(before).removeprefix('in ').removeprefix('on ')}"
    line.append(f"{written.usd(then.total_cost_nanos)} {earlier} in {written.plural(then.total_calls, 'call')}: ")
    if then.total_cost_nanos is None or now.total_cost_nanos is None:
        is_unpriced = then.unpriced_calls or now.unpriced_calls
        line.append(f"not to be compared, since {'no price is known' if is_unpriced else 'all calls failed'}")
    elif not found.difference_nanos:
        line.append("the same")
    elif found.ratio is None:
        line.append(written.signed(found.difference_nanos))
    else:
        share = f"{abs(found.ratio - 1):.0%}".replace("%", " %")
        line.append(f"{written.signed(found.difference_nanos)}, {share} {'more' if found.ratio >= 1 else 'less'}")
    line.append(".")
    unpriced = [each.unpriced_calls for each in (then, now)]
    if any(unpriced):
        line.append(f"  Unpriced and left out: {unpriced[0]:,} and {unpriced[1]:,} calls.", style="yellow")
    return line


def mostly(group: GroupChange) -> str:
    """Say what the change of a group is mostly due to."""
    first: Driver = group.drivers[0]
    return f"{WORDS[first.kind]}: {first.explanation}" if first.cost_nanos else ""


def origins(store: SqlStore, found: Comparison) -> tuple[str, list[WaterfallChange]]:
    """Return the agent whose prompts grew most, and what of them; nothing where calls take no more tokens."""
    driver = next((each for each in found.drivers if each.kind == "tokens_per_call"), None)
    grown = [group for group in found.groups if group.key.get("agent_id")]
    if driver is None or driver.cost_nanos <= 0 or not grown:
        return "", []
    group = max(grown, key=lambda each: next(d.cost_nanos for d in each.drivers if d.kind == "tokens_per_call"))
    agent, analyzer = group.key["agent_id"], ProvenanceAnalyzer(store)
    spans = [(each.start, each.end) for each in (found.before, found.after)]
    sides = [analyzer.waterfall(agent_id=agent, start_date=start, end_date=end) for start, end in spans]
    changes = [each for each in analyzer.compare(sides[0], sides[1]) if each.cost_nanos > 0][:MOST_ORIGINS]
    return agent or "", changes


def _said(period: str) -> str:
    start, separator, end = period.partition("..")
    if separator:
        return when(start or None, end or None) or "ever"
    return f"on {period}" if period[:1].isdigit() else when(period, None)
