"""Waterfall: where input tokens come from, what was sent again, what broke the cache, and what fills one context."""

from collections.abc import Mapping, Sequence
from typing import Any

from tc_core.errors import PriceNotFoundError
from tc_core.ledger import present
from tc_core.ledger.waterfall import Waterfall, WaterfallRow
from tc_core.lineage import find
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.outline import outline
from tc_core.meter import price_table
from tc_core.model import written
from tc_core.model.event import TrackingEvent
from tc_core.web.api.run import ID_DIGITS
from tc_core.web.api.run_event import asked_event
from tc_core.web.asked import Asked
from tc_core.web.table import Table, said

OPTIONS = ("agent", "since", "until", "filter", "tz")

MOST_FLOWS = 12
"""So many origins have a band of their own in the Sankey."""

MOST_TILES = 60
MOST_CALLS = 300

FULL, CACHED = "at the full price", "at the cache price"
FIRST, AGAIN = "first sent", "sent again"


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows."""
    found = _found(asked)
    run = run_of(asked)
    return {
        "sentence": said(present.headline(found)),
        "notes": present.notes(found),
        "is_empty": not found.calls,
        "run": run,
        "table": _table(found).to_dict(),
        "tiles": _tiles(found),
        "flows": _flows(found),
        "command": _command(asked),
    }


def plain(asked: Asked) -> Mapping[str, Any]:
    """Return what `token-calc waterfall --json` prints."""
    return _found(asked).to_dict()


def breaks(asked: Asked) -> Mapping[str, Any]:
    """Return where a cache should have served a prompt and did not, as patterns find it."""
    what = _what(asked)
    patterns = ProvenanceAnalyzer(asked.store).patterns(
        ["cache_break"],
        event_id=what,
        agent_id=asked.text("agent"),
        start_date=asked.text("since"),
        end_date=asked.text("until"),
        filters=asked.filters,
        tz=asked.zone,
    )
    evidence = [each.evidence for each in patterns]
    first = [asked.store.get_event(each.event_ids[0]) for each in patterns[:MOST_TILES]]
    table = Table(label="Cache breaks")
    table.names("agent or model", [each["agent"] or each["model"] for each in evidence[:MOST_TILES]])
    table.names(
        "why",
        [each["because"] for each in evidence[:MOST_TILES]],
        links=[None if event is None else _link(event) for event in first],
        is_wide=True,
    )
    table.numbers("calls", [each["events"] for each in evidence[:MOST_TILES]], goes=1)
    table.numbers("lost tokens", [each["lost_tokens"] for each in evidence[:MOST_TILES]])
    table.money("cost", [each.cost_nanos for each in patterns[:MOST_TILES]])
    return {
        "table": table.to_dict(),
        "advice": list(dict.fromkeys(each.advice for each in patterns)),
        "left_out": max(0, len(patterns) - MOST_TILES),
    }


def context(asked: Asked) -> Mapping[str, Any]:
    """Return what fills the context of one call, and the calls of its run to choose from."""
    run_id = run_of(asked)
    if run_id is None:
        return {"calls": None, "parts": None}
    run = outline(asked.store, run_id)
    places = [place for place, read in enumerate(run.input_tokens) if read and run.types[place] == "llm_call"]
    shown = sorted(sorted(places, key=lambda place: -(run.input_tokens[place] or 0))[:MOST_CALLS])
    shown.sort(key=lambda place: run.begins[place])
    if asked.text("event"):
        event = asked_event(asked)
    elif shown:
        largest = max(shown, key=lambda place: (run.input_tokens[place] or 0, -place))
        event = asked_event(asked.with_(event=run.ids[largest].hex()[-ID_DIGITS:]))
    else:
        return {"calls": None, "parts": None}
    return {
        "calls": {
            "id": [run.ids[place].hex()[-ID_DIGITS:] for place in shown],
            "tokens": [run.input_tokens[place] for place in shown],
            "cached": [run.cached_tokens[place] or 0 for place in shown],
            "text": [
                f"{run.names[place]}{f' of {agent}' if (agent := run.agents[place]) else ''}: "
                f"{written.count(run.input_tokens[place])} in"
                for place in shown
            ],
            "left_out": len(places) - len(shown),
        },
        **_context_of(asked, event),
    }


def run_of(asked: Asked) -> str | None:
    """Return the run that is asked for: the last one, unless something else is; None for calls of any run."""
    word = asked.text("run")
    if word is None and any(asked.texts(name) for name in OPTIONS if name != "tz"):
        return None
    return find.run_id(asked.store, word or find.LAST)


def _what(asked: Asked) -> str | None:
    """Return the call or the run that is asked for."""
    return asked_event(asked).event_id if asked.text("event") else run_of(asked)


def _found(asked: Asked) -> Waterfall:
    return ProvenanceAnalyzer(asked.store).waterfall(
        event_id=_what(asked),
        agent_id=asked.text("agent"),
        start_date=asked.text("since"),
        end_date=asked.text("until"),
        filters=asked.filters,
        is_single=asked.choice("single", ("yes",)) is not None,
        tz=asked.zone,
    )


def _command(asked: Asked) -> str:
    what = asked_event(asked).event_id if asked.text("event") else asked.text("run")
    if what is None and run_of(asked) is not None:
        what = find.LAST
    single = ["--single"] if asked.text("single") else []
    return asked.command("waterfall", *([] if what is None else [what]), options=OPTIONS, more=single)


def _table(found: Waterfall) -> Table:
    rows = found.rows
    table = Table(label="Origins")
    table.names("origin", [row.name for row in rows])
    if any(row.origin_id for row in rows):
        table.names("id", [(row.origin_id or "")[-written.SHORT_ID :] for row in rows], tones=["nothing"] * len(rows))
    table.numbers("tokens", [row.tokens for row in rows])
    times = [row.tokens / row.first_tokens if row.first_tokens else None for row in rows]
    table.numbers("sent", times, [f"{each:,.1f}x" if each else written.EMPTY for each in times], goes=2)
    table.numbers("first", [row.first_tokens for row in rows], goes=3)
    table.numbers("re-sent", [row.resent_tokens for row in rows], goes=1)
    table.money("cost", [row.cost_nanos for row in rows])
    if found.total_cost_nanos:
        table.shares("share", [row.cost_nanos or 0 for row in rows], found.total_cost_nanos)
    else:
        table.shares("share", [row.tokens for row in rows], found.total_tokens)
    return table


def _tiles(found: Waterfall) -> list[Mapping[str, Any]]:
    """Return the largest origins, each with what was first sent and what was sent again."""
    rows = sorted(found.rows, key=lambda row: -row.tokens)
    named, others = rows[:MOST_TILES], rows[MOST_TILES:]
    tiles = [_tile(row.name, row.origin_kind, [row]) for row in named if row.tokens]
    return [*tiles, *([_tile(written.plural(len(others), "other"), "others", others)] if others else [])]


def _tile(name: str, kind: str, rows: Sequence[WaterfallRow]) -> Mapping[str, Any]:
    first, again = sum(row.first_tokens for row in rows), sum(row.resent_tokens for row in rows)
    costs = [row.cost_nanos for row in rows if row.cost_nanos is not None]
    return {
        "name": name,
        "kind": kind,
        "first": first,
        "again": again,
        "first_text": written.count(first),
        "again_text": written.count(again),
        "text": written.plural(first + again, "token"),
        "cost": sum(costs),
        "cost_text": written.usd(sum(costs) if costs else None),
    }


def _flows(found: Waterfall) -> Mapping[str, Any]:
    """Return bands from the origins to first sent and sent again, and from there to the price; they sum exactly."""
    rows = sorted((row for row in found.rows if row.tokens), key=lambda row: -row.tokens)
    named, others = rows[:MOST_FLOWS], rows[MOST_FLOWS:]
    origins: list[tuple[str, str, int, int]] = [
        (row.name, row.origin_kind, row.first_tokens, row.resent_tokens) for row in named
    ]
    if others:
        sums = sum(row.first_tokens for row in others), sum(row.resent_tokens for row in others)
        origins.append((written.plural(len(others), "other"), "others", *sums))
    cached_again = min(found.cached_tokens, found.resent_tokens)
    cached_first = min(found.cached_tokens - cached_again, found.first_tokens)
    nodes = [{"id": f"o{place}", "name": name, "kind": kind, "text": written.count(first + again)}
             for place, (name, kind, first, again) in enumerate(origins)]  # fmt: skip
    bands: list[tuple[str, str, int]] = []
    for place, (_, _, first, again) in enumerate(origins):
        bands += [(f"o{place}", FIRST, first), (f"o{place}", AGAIN, again)]
    bands += [
        (FIRST, FULL, found.first_tokens - cached_first),
        (FIRST, CACHED, cached_first),
        (AGAIN, FULL, found.resent_tokens - cached_again),
        (AGAIN, CACHED, cached_again),
    ]
    used = {end for source, target, tokens in bands if tokens for end in (source, target)}
    sizes = {
        FIRST: found.first_tokens,
        AGAIN: found.resent_tokens,
        FULL: found.total_tokens - cached_again - cached_first,
        CACHED: cached_again + cached_first,
    }
    nodes += [{"id": name, "name": name, "kind": name, "text": written.count(sizes[name])} for name in sizes]
    return {
        "nodes": [node for node in nodes if node["id"] in used],
        "links": [
            {"source": source, "target": target, "value": tokens, "text": written.plural(tokens, "token")}
            for source, target, tokens in bands
            if tokens
        ],
    }


def _context_of(asked: Asked, event: TrackingEvent) -> Mapping[str, Any]:
    parts = ProvenanceAnalyzer(asked.store).context(event.event_id)
    whole = sum(part.tokens for part in parts)
    window = _window(event)
    table = Table(label="What fills this context, in the order sent")
    table.names("part", [part.name for part in parts])
    table.names(
        "sent",
        ["again" if part.is_resent else "first" for part in parts],
        tones=["" if part.is_resent else "nothing" for part in parts],
    )
    table.numbers("tokens", [part.tokens for part in parts])
    table.money("cost", [part.cost_nanos for part in parts])
    table.shares("share", [part.tokens for part in parts], whole)
    line = f"{written.plural(whole, 'token')} in {written.plural(len(parts), 'part')}"
    if window:
        line += (
            f": {written.percent(whole, window)} of the {window:,} that {event.served_model or event.model} can take"
        )
    return {
        "id": event.event_id.replace("-", "")[-ID_DIGITS:],
        "said": f"{line}." if parts else "Nothing is known of what this call was sent.",
        "link": _link(event),
        "parts": [
            {"name": part.name, "kind": part.origin_kind, "tokens": part.tokens, "again": part.is_resent,
             "text": f"{part.name}: {written.plural(part.tokens, 'token')}, {AGAIN if part.is_resent else FIRST}"}
            for part in parts
        ],
        "table": table.to_dict(),
    }  # fmt: skip


def _window(event: TrackingEvent) -> int | None:
    try:
        return price_table.show(event.served_model or event.model or "", event.provider).context_window
    except PriceNotFoundError:
        return None


def _link(event: TrackingEvent) -> str:
    return f"/run?run={event.root_id or event.event_id}&event={event.event_id.replace('-', '')[-ID_DIGITS:]}"
