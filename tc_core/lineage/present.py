"""What the terminal and the browser say of a run and of an event, in the same words."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from tc_core.lineage.tree import name_of
from tc_core.model import written
from tc_core.model.attempt import Attempt
from tc_core.model.event import TrackingEvent
from tc_core.model.written import SHORT_ID

KINDS = {"task": "step", "retrieval": "retriever"}
"""What types of events are called, where that is another word."""

RELATIONS = {
    "retry_of": "↻ retry of",
    "fallback_for": "⇢ fallback for",
    "continuation_of": "… continues",
    "derived_from": "← derived from",
    "triggered_by": "← triggered by",
    "enhancement_of": "↑ enhances",
    "validation_of": "✓ validates",
    "part_of": "∈ part of",
}

_MOST_NAMES = 9
"""So many names stand in the line about the critical path."""


def headline(
    event: TrackingEvent,
    cost_nanos: int | None,
    *,
    calls: int,
    unpriced: int,
    estimated: int,
    attempts: Sequence[Attempt] = (),
) -> Text:
    """Return the answer about a run: what ran, how long, what it cost, and how it ended; sums are those of its tree."""
    line = Text().append(name_of(event), style="bold")
    line.append(f"  run {event.event_id[-SHORT_ID:]}", style="dim")
    if event.latency_ms is not None:
        line.append(f"  {written.seconds(event.latency_ms)}")
    line.append(f"  {written.usd(cost_nanos)}", style="bold" if cost_nanos is not None else "yellow")
    if event.is_call:
        line.append("  ").append_text(tokens(event))
    else:
        line.append(f"  in {written.plural(calls, 'call')}")
    line.append(
        f"  {event.status}", style="" if event.status == "ok" else "red" if event.status == "error" else "yellow"
    )
    if unpriced:
        line.append(f"  {unpriced:,} unpriced", style="yellow")
    if estimated:
        line.append(f"  {estimated:,} estimated", style="yellow")
    if said := again(attempts):
        line.append(f"  {said}", style="cyan")
    return line


def tokens(event: TrackingEvent) -> Text:
    """Return the tokens of a call, as far as they are known."""
    if not event.is_call or not event.has_usage:
        return Text()
    cached = (
        f" ({written.percent(event.cached_tokens, event.input_tokens)} cached)"
        if event.cached_tokens and event.input_tokens
        else ""
    )
    counted = Text(f"{written.count(event.input_tokens)} in{cached}  {written.count(event.output_tokens)} out")
    if event.usage_source != "provider":
        counted.stylize("yellow")
        counted.append("  estimated", style="yellow")
    return counted


def again(attempts: Sequence[Attempt]) -> str:
    """Say how often the client library sent the request again, and what had come before."""
    if len(attempts) < 2:
        return ""
    before = Counter("no answer" if each.status is None else str(each.status) for each in attempts[:-1])
    said = ", ".join(status if count == 1 else f"{count} x {status}" for status, count in before.items())
    retries = len(attempts) - 1
    return f"↻ {retries} {'retry' if retries == 1 else 'retries'} inside ({said})"


def path_said(names: Sequence[str], busy_ms: float, total_ms: float) -> str:
    """Say in one line what a run waited for; nothing where no time is recorded, or one step is all."""
    if len(names) < 2 or not total_ms:
        return ""
    if len(names) > _MOST_NAMES:
        left_out = f"({len(names) - _MOST_NAMES + 1:,} more)"
        names = [*names[: _MOST_NAMES - 2], left_out, names[-1]]
    took = f"({written.seconds(busy_ms)} of {written.seconds(total_ms)})"
    return f"Critical path: {' → '.join(names)} {took}"
