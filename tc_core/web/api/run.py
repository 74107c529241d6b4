"""Run: one run as a tree-table and a time line, as columns; what is selected of it in full."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from tc_core.lineage import find, present, sql
from tc_core.lineage.critical import Piece, critical_path
from tc_core.lineage.outline import Outline, outline
from tc_core.lineage.tree import tree
from tc_core.model import written
from tc_core.model.event import TrackingEvent
from tc_core.store.sql import SqlStore
from tc_core.web.asked import Asked
from tc_core.web.table import said

FOLDED_FROM = 20_000
"""Runs of more events open folded: what lies right below the root is shown."""

ID_DIGITS = 12
"""So many digits at the end of an id name an event in an address."""

MOST_FOR_PATH = 20_000
"""Of longer runs the critical path is told with the graph, which is asked for afterwards."""


def view(asked: Asked) -> Mapping[str, Any]:
    """Return what the page shows."""
    run = asked_run(asked)
    event = root_of(asked.store, run)
    attempts = asked.store.attempts_in(run.run_id)
    path = path_of(run, 0, run.waited_for()) if len(run) <= MOST_FOR_PATH else ""
    return {
        "sentence": said(_headline(run, event, attempts.get(event.event_id, ()))),
        "path": path,
        "run": run.run_id,
        "name": run.names[0],
        "open": run.statuses.count("open"),
        "columns": _columns(run),
        "again": _again(run, attempts),
        "decimals": written.column_decimals(_costs(run)),
        "is_folded": len(run) > FOLDED_FROM,
        "command": asked.command("tree", run_word(asked)),
    }


def path_of(run: Outline, place: int, pieces: Sequence[Piece]) -> str:
    """Return the line about the critical path of a run, or of a branch of it."""
    names, busy_us = run.who_was_waited_for(pieces)
    return present.path_said(names, busy_us / 1000, (run.ends[place] - run.begins[place]) / 1000)


def plain(asked: Asked) -> Mapping[str, Any]:
    """Return what `token-calc tree --json` prints."""
    root = tree(*asked.store.tree(find.run_id(asked.store, run_word(asked))))
    return {**root.to_dict(), "critical_path": critical_path(root).to_dict()}


def latest(asked: Asked) -> Mapping[str, Any]:
    """Tell how far a run is, by which a page that shows it knows that there is more."""
    run_id = find.run_id(asked.store, run_word(asked))
    with asked.store.question() as connection:
        events, still_open = sql.extent_of(connection, run_id)
    return {"events": events, "open": still_open}


def run_word(asked: Asked) -> str:
    """Return how the run is called in the address: the latest one where it is not."""
    return asked.text("run") or find.LAST


def asked_run(asked: Asked) -> Outline:
    """Return the run that is asked for; raise LineageError for one that is not recorded."""
    return outline(asked.store, find.run_id(asked.store, run_word(asked)))


def root_of(store: SqlStore, run: Outline) -> TrackingEvent:
    """Return the root of a run in full."""
    events = store.query_events({"root_id": run.run_id, "event_id": run.run_id})
    return events[0] if events else find.event(store, run.run_id)


def _headline(run: Outline, event: TrackingEvent, attempts: Sequence[Any]) -> Text:
    sums = run.sums
    return present.headline(
        event,
        sums.cost_of(0),
        calls=int(sums.calls[0]),
        unpriced=int(sums.unpriced[0]),
        estimated=int(sums.estimated[0]),
        attempts=attempts,
    )


def _costs(run: Outline) -> list[int | None]:
    """Return each subtree's cost; None where it is unknown, or has no calls."""
    sums = run.sums
    is_known = (sums.priced > 0) | (sums.cost_nanos != 0)
    return [nanos if known else None for nanos, known in zip(sums.cost_nanos.tolist(), is_known.tolist(), strict=True)]


def _columns(run: Outline) -> Mapping[str, Any]:
    """Return the columns; -1 is unknown, and a repeating text is a number in its list of words."""
    names, words = _interned(zip(run.types, run.names, strict=True))
    agents, agent_words = _interned(run.agents)
    ends, end_words = _interned(zip(run.statuses, run.errors, strict=True))
    began = run.begins[0]
    relations = sorted({relation for _, relation, _ in run.facts})
    facts = [each for each in run.facts if each[1] != "triggered_by"]  # what everybody expects
    return {
        "count": len(run),
        "depth": run.depths,
        "id": "".join(id_.hex()[-ID_DIGITS:] for id_ in run.ids),
        "name": names,
        "names": [[present.KINDS.get(kind, kind), name, kind] for kind, name in words],
        "agent": agents,
        "agents": agent_words,
        "end": ends,
        "ends": [
            [status, "" if status == "ok" else f"{written.MARKS[status]} {error or status}"]
            for status, error in end_words
        ],
        "begin": [at - began for at in run.begins],
        "took": [end - begin for begin, end in zip(run.begins, run.ends, strict=True)],
        "untimed": [place for place, took in enumerate(run.took) if took is None],
        "input": _or_unknown(run.input_tokens),
        "output": _or_unknown(run.output_tokens),
        "cached": _or_unknown(run.cached_tokens),
        "estimated": [
            place for place, source in enumerate(run.usage_sources) if source is not None and source != "provider"
        ],
        "cost": _or_unknown(_costs(run)),
        "calls": run.sums.calls.tolist(),
        "facts": [
            [newer for newer, _, _ in facts],
            [relations.index(relation) for _, relation, _ in facts],
            [older for _, _, older in facts],
        ],
        "relations": [present.RELATIONS[each] for each in relations],
    }


def _interned(values: Iterable[Any]) -> tuple[list[int], list[Any]]:
    places: dict[Any, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in values]
    return numbers, list(places)


def _or_unknown(values: Iterable[int | None]) -> list[int]:
    return [-1 if value is None else value for value in values]


def _again(run: Outline, attempts: Mapping[str, Sequence[Any]]) -> Mapping[str, str]:
    """Return of which calls the client library sent the request again, and how often, by place."""
    notes = {id_: text for id_, tried in attempts.items() if (text := present.again(tried))}
    if not notes:
        return {}
    tails = {id_.replace("-", "")[-ID_DIGITS:]: text for id_, text in notes.items()}
    found = ((place, tails.get(id_.hex()[-ID_DIGITS:])) for place, id_ in enumerate(run.ids))
    return {str(place): text for place, text in found if text}
