"""Findings: what was waste, the money first; then odd days, how conversations fare, what would save, and policies."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from rich.text import Text

from tc_core.costs.anomalies import present as odd
from tc_core.costs.anomalies.anomaly import Anomaly
from tc_core.costs.savings import present as saving
from tc_core.costs.tracker import CostTracker
from tc_core.errors import ConfigurationError
from tc_core.health import present as health
from tc_core.health import sql as recorded_health
from tc_core.lineage import find
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.patterns import present
from tc_core.lineage.patterns.pattern import PATTERN_KINDS, Pattern
from tc_core.lineage.waste import Waste
from tc_core.model import written
from tc_core.model.event import to_us
from tc_core.model.money import to_nanos
from tc_core.web.asked import Asked
from tc_core.web.table import TONES, Table, said

OPTIONS = ("kind", "agent", "since", "until", "filter", "tz")
CHOSEN = ("run", "agent", "since", "until", "filter")
"""Parameters that choose events: without any, a large store opens on its last run."""
MOST_CALLS = 5_000
"""A store with more calls opens on its last run alone."""
MOST_EVENTS = 200_000
MOST_NAMED = 12
MOST_CONVERSATIONS = 200
LATELY = "last-30-days"
_TONES = {"healthy": "", "context_rot": "doubt", "hallucination_risk": "over"}


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows first: patterns of waste."""
    run, is_opened = _run(asked)
    found = _waste(asked, run)
    sentence = present.title(found, _kinds(asked))
    if is_opened:
        sentence = Text("In the last run: ") + Text(sentence.plain[:1].lower() + sentence.plain[1:], style="bold")
    words = [] if run is None else [asked.text("run") or "last"]
    return {
        "sentence": said(sentence),
        "notes": _notes(asked, is_opened=is_opened),
        "is_empty": not found.events,
        "table": _table(found.patterns).to_dict(),
        "details": [_details(asked, each) for each in found.patterns],
        "kinds": [[kind, present.NAMES[kind][0]] for kind in PATTERN_KINDS],
        "command": asked.command("patterns", *words, options=OPTIONS),
    }


def plain(asked: Asked) -> Mapping[str, Any]:
    """Return what `token-calc patterns --json` prints."""
    return _waste(asked, _run(asked)[0]).to_dict()


def anomalies(asked: Asked) -> Mapping[str, Any]:
    """Return the days, or with `bucket=hour` the hours, that cost what nobody expected; those that still go on too."""
    since, until, bucket = asked.text("since"), asked.text("until"), asked.choice("bucket", ("day", "hour")) or "day"
    since = since or (LATELY if until is None else None)
    names = asked.names("odd-by", "agent")
    found = CostTracker(asked.store).detect_anomalies(
        start_date=since,
        end_date=until,
        by=names,
        bucket="hour" if bucket == "hour" else "day",
        direction="both",
        filters=_filters(asked),
        tz=asked.zone,
    )
    options = [f"--bucket={bucket}"] if bucket == "hour" else []
    return {
        "sentence": said(odd.title(asked.store, found, bucket, odd.when(since, until), _filters(asked))),
        "table": _odd(found, names, bucket, asked.zone).to_dict(),
        "explanations": [each.explanation for each in _largest_first(found)],
        "command": asked.command("anomalies", options=("since", "until", "filter", "tz"), more=options),
    }


def conversations(asked: Asked) -> Mapping[str, Any]:
    """Return how conversations fare, those at risk first."""
    run, _ = _run(asked)
    filters = _filters(asked) if run is None else {**_filters(asked), "root_id": run}
    span = [None if at is None else to_us(at) for at in (asked.period.start, asked.period.end)]
    found = health.conversations(recorded_health.read(asked.store, filters, *span))
    shown = found[:MOST_CONVERSATIONS]
    table = Table(label="Conversations")
    table.names("conversation", [each.short_name for each in shown], links=[_run_link(each) for each in shown])
    table.names("agent", [each.agent_id for each in shown])
    table.numbers("calls", [len(each.calls) for each in shown], goes=1)
    usage = [each.last.context_usage for each in shown]
    table.numbers("context", usage, [written.EMPTY if each is None else f"{each:.0f} %" for each in usage])
    rot = [each.last.rot_percentage for each in shown]
    table.numbers("rot", rot, [f"{each:.0f} %" for each in rot], goes=1)
    for name, label in (("repetition", "repeats"), ("injection_risk", "injection")):
        values = [each.last.signals[name] for each in shown]
        table.numbers(label, values, [f"{each:.2f}" for each in values], goes=2)
    states = [each.last.state for each in shown]
    table.names("state", [each.replace("_", " ") for each in states], tones=[_TONES[each] for each in states])
    table.names("why", [each.reason for each in shown], is_wide=True)
    rest = len(found) - len(shown)
    return {
        "sentence": said(
            health.title(found) if found else "No conversation is recorded there whose texts were read: docs/health.md."
        ),
        "table": table.to_dict(),
        "rest": f"and {rest:,} more that fare better" if rest else "",
        "command": asked.command("health", *(["last"] if run else []), options=("agent", "since", "until", "filter")),
    }


def savings(asked: Asked) -> Mapping[str, Any]:
    """Return what would have saved money, the most first."""
    since, until, filters = asked.text("since"), asked.text("until"), _filters(asked)
    since = since or (LATELY if until is None else None)
    tracker = CostTracker(asked.store)
    found = tracker.get_recommendations(20, start_date=since, end_date=until, filters=filters, tz=asked.zone)
    costs = tracker.get_costs(since, until, filters=filters, tz=asked.zone)
    return {
        "sentence": said(saving.title(found, costs, since, until, bool(filters))),
        "rows": [
            {
                "title": each.title,
                "figures": saving.figures(each),
                "confidence": f"confidence {each.confidence:.0%}".replace("%", " %"),
                "reasoning": each.reasoning,
            }
            for each in found
        ],
        "command": asked.command("recommend", options=("since", "until", "filter", "tz"), more=["--top", "20"]),
    }


def _run(asked: Asked) -> tuple[str | None, bool]:
    """Return the run that is asked about, and whether the page chose it by itself."""
    wanted = asked.text("run")
    if wanted is not None:
        return find.run_id(asked.store, wanted), False
    if any(asked.text(name) for name in CHOSEN) or asked.store.totals()[()].calls <= MOST_CALLS:
        return None, False
    return find.run_id(asked.store, find.LAST), True


def _waste(asked: Asked, run: str | None) -> Waste:
    asked_period, filters = asked.period, _filters(asked)
    if run is None:
        count = asked.store.count(filters, asked_period.start, asked_period.end)
        if count > MOST_EVENTS:
            raise ConfigurationError(
                f"{count:,} events are too many to look through at once: choose a shorter time, an agent or a run"
            )
    return ProvenanceAnalyzer(asked.store).waste(
        _kinds(asked) or None,
        event_id=run,
        start_date=asked.text("since"),
        end_date=asked.text("until"),
        filters=filters,
        tz=asked.zone,
    )


def _kinds(asked: Asked) -> list[str]:
    return asked.texts("kind")


def _filters(asked: Asked) -> dict[str, Any]:
    agent = asked.text("agent")
    return {**asked.filters, **({} if agent is None else {"agent_id": agent})}


def _notes(asked: Asked, *, is_opened: bool) -> list[str]:
    if not is_opened:
        return []
    calls = asked.store.totals()[()].calls
    return [f"The store has {calls:,} calls, so this is about the last run alone: choose a time, an agent or a run."]


def _table(found: Sequence[Pattern]) -> Table:
    table = Table(label="Patterns")
    tones = [TONES.get(present.COLOURS[each.severity], "") for each in found]
    table.names("pattern", [present.NAMES[each.kind][0] for each in found], tones=tones)
    table.names("what", [present.facts(each) for each in found], is_wide=True)
    table.numbers("events", [len(each.event_ids) for each in found], goes=1)
    table.money("wasted", [each.cost_nanos for each in found])
    return table


def _details(asked: Asked, pattern: Pattern) -> Mapping[str, Any]:
    events = pattern.event_ids[:MOST_NAMED]
    first = next(iter(pattern.wasted_nanos), pattern.event_ids[-1])
    return {
        "advice": pattern.advice,
        "events": [[each[-8:], f"/run?event={each}"] for each in events],
        "rest": len(pattern.event_ids) - len(events),
        "command": asked.command("tree", first[-8:]),
    }


def _largest_first(found: Sequence[Anomaly]) -> list[Anomaly]:
    return sorted(found, key=lambda each: -abs(each.excess))


def _odd(found: Sequence[Anomaly], names: Sequence[str], bucket: str, zone: tzinfo) -> Table:
    rows = _largest_first(found)
    form = "%Y-%m-%d" if bucket == "day" else "%Y-%m-%d %H:%M"
    table = Table(label=f"Odd {bucket}s")
    table.names(bucket, [f"{each.period_start.astimezone(zone):{form}}" for each in rows])
    for name in names:
        table.names(name.removesuffix("_id"), [each.key[name] for each in rows])
    costs, expected = ([to_nanos(getattr(each, which)) for each in rows] for which in ("observed", "expected"))
    table.numbers("cost", costs, [odd.usd(each.observed) for each in rows], tones=[_over(each) for each in rows])
    table.numbers("expected", expected, [odd.usd(each.expected) for each in rows], goes=1)
    times = [each.observed / each.expected if each.expected else None for each in rows]
    table.numbers("times", times, [written.EMPTY if each is None else f"{each:,.1f}x" for each in times], goes=1)
    table.numbers("calls", [each.calls for each in rows], goes=2)
    states = [", ".join(filter(None, [odd.KINDS[each.kind] or each.kind, _going_on(each)])) for each in rows]
    table.names("what", states, tones=["doubt" if odd.KINDS[each.kind] else "" for each in rows])
    return table


def _over(anomaly: Anomaly) -> str:
    return "over" if anomaly.excess >= 0 else ""


def _going_on(anomaly: Anomaly) -> str:
    return "" if anomaly.is_over else "still going on"


def _run_link(found: health.Conversation) -> str:
    return f"/run?run={found.last.run_id}"
