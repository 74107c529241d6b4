"""What the terminal and the browser say of a waterfall, in the same words."""

from rich.text import Text

from tc_core.ledger.waterfall import Waterfall
from tc_core.model import written


def headline(found: Waterfall) -> Text:
    """Return the answer: how many tokens, what they cost, and how much of it was sent again."""
    line = Text()
    if not found.calls:
        return Text("No model call with input tokens is recorded there.")
    line.append(f"{written.count(found.total_tokens)} input tokens billed", style="bold")
    line.append(f", {written.usd(found.total_cost_nanos)}, in {written.plural(found.calls, 'call')}.")
    if found.resent_tokens:
        line.append(f"  Re-sent: {written.percent(found.resent_tokens, found.total_tokens)}")
        cached = min(found.cached_tokens, found.resent_tokens)
        if cached:
            line.append(f", of it {written.percent(cached, found.resent_tokens)} at the cache price")
        line.append(".")
    return line


def notes(found: Waterfall) -> list[str]:
    """Return what there is to doubt about the figures."""
    said = []
    if found.unpriced_calls:
        said.append(f"{written.plural(found.unpriced_calls, 'call')} unpriced: in the tokens, not in the costs.")
    if found.estimated_calls:
        said.append(f"{written.plural(found.estimated_calls, 'call')} estimated: the provider told no tokens.")
    if found.scale is not None and abs(found.scale - 1) > 0.02:  # what nobody would call exact
        said.append(f"Counted here and scaled by {found.scale:.2f} to what was billed.")
    return said
