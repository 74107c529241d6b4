"""What anomalies say to people, in the terminal and in the browser alike."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from tc_core.costs import headline, words
from tc_core.costs.anomalies.anomaly import LEAST_DAYS, Anomaly
from tc_core.model import money, written
from tc_core.model.ports import Filters
from tc_core.store.sql import SqlStore

KINDS: Mapping[str, str] = {"spike": "", "drop": "", "shift": "new level", "new": "new spender"}
"""What is said of a kind beside the figures."""


def title(source: SqlStore, found: Sequence[Anomaly], bucket: str, when: str, filters: Filters) -> Text:
    """Return the sentence that says what was odd in all; `when` begins with a blank, or is empty."""
    if not found:
        total = source.totals((), filters)[()]
        if not total.calls:
            return headline.no_calls("", words.written(filters))
        if total.known_cost_nanos is None:
            return Text(f"None of {written.plural(total.calls, 'call')} has a price, so no cost can be odd.")
        spent = sum(1 for each in source.totals(("day",), filters).values() if each.cost_nanos)
        if spent <= LEAST_DAYS:
            are = "is" if spent == 1 else "are"
            return Text(f"Nothing can be judged yet: that takes {LEAST_DAYS} days with cost, and there {are} {spent}.")
        return Text(f"Nothing odd{when}: no {bucket} cost what it should not have.")
    line = Text()
    above = sum(each.excess for each in found if each.excess > 0)
    below = -sum(each.excess for each in found if each.excess < 0)
    line.append(f"{written.plural(len(found), f'odd {bucket}')}{when}", style="bold")
    parts = [f"{usd(above)} more than expected" if above else "", f"{usd(below)} less" if below else ""]
    line.append(f": {', '.join(filter(None, parts))}.")
    return line


def when(since: str | None, until: str | None) -> str:
    """Say a period as it was asked for."""
    if until is not None:
        return f" from {since or 'the first day'} to {until}"
    return "" if since is None else f" {headline.when(since, None)}"


def dearest_call(found: Sequence[Anomaly]) -> str:
    """Return the id of the dearest call of the largest anomaly, or `last`."""
    with_calls = [each for each in found if each.event_ids] or list(found)
    largest = max(with_calls, key=lambda each: abs(each.excess))
    return largest.event_ids[0] if largest.event_ids else "last"


def usd(dollars: float) -> str:
    """Write US dollars as everywhere."""
    return written.usd(money.to_nanos(dollars))
