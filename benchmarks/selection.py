"""Choosing a model: whether pricing again says what was recorded, and how long it takes to look at every model.

The store is filled as a recorder fills it, with the traffic of `benchmarks.traffic`. Every priced call is priced again
by its own model: not one nano-dollar may differ. Then the calls of the model that costs most are priced for all models
of its provider, in arrays and one call after the other; both must say the same.

    python -m benchmarks.selection [--events N] [--one-by-one CALLS] [--json]
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, show, timed
from benchmarks.stores import fill, opened
from benchmarks.traffic import Traffic
from tc_core.model.period import Period
from tc_core.selection.bulk import PlainCalls
from tc_core.selection.calls import recorded
from tc_core.selection.pool import pool
from tc_core.selection.pricing import cost_again, one_by_one
from tc_core.selection.selector import ModelSelector
from tc_core.store.sql import SqlStore


def run(folder: Path, events: int, few: int) -> dict[str, Any]:
    """Measure in a store of its own."""
    with opened("sqlite", folder) as store:
        for _ in fill(store, Traffic(events).calls(), events, folder / "spool"):
            pass
        rows = [_again(store), *_arrays(store, few), _recommend(store)]
    return {"benchmark": "selection", "events": events, "rows": rows}


def _again(store: SqlStore) -> dict[str, Any]:
    """Price all calls of each model again by that model."""
    calls = before = after = differ = models = 0
    for (model,) in store.totals(("model",), {"event_type": "llm_call"}):
        if model is None:
            continue
        own = recorded(store, None, model, Period()).calls
        was, now, other = cost_again(own)
        calls, before, after, differ = calls + len(own), before + was, after + now, differ + other
        models += bool(own)
    return {"what": "again", "calls": calls, "models": models, "differ": differ, "off_nanos": abs(after - before)}


def _arrays(store: SqlStore, few: int) -> list[dict[str, Any]]:
    """Price some calls for all models of the provider, in arrays and one by one."""
    all_calls = recorded(store, None, None, Period())
    calls, names = list(all_calls.calls)[:few], all_calls.names
    models = pool(all_calls.current_model, None, (), {})
    plain, in_arrays, in_turn = PlainCalls(calls), {}, {}
    arrays = timed(lambda: in_arrays.update({model: plain.cost_with(model) for model in models}))
    each = timed(lambda: in_turn.update({model: one_by_one(model, calls, names).nanos for model in models}))
    known = [model for model in models if in_arrays[model] is not None]
    return [
        {
            "what": "arrays",
            "calls": len(calls),
            "models": len(models),
            "in_arrays": len(known),
            "differ": sum(in_arrays[model] != in_turn[model] for model in known),
            "ratio": each.cpu_s / max(arrays.cpu_s, 1e-9),
        }
    ]


def _recommend(store: SqlStore) -> dict[str, Any]:
    """Ask for a recommendation of all calls of the model that costs most."""
    selector = ModelSelector(store)
    found = selector.recommend(start_date="2020-01-01")
    took = timed(lambda: selector.recommend(start_date="2020-01-01"))
    return {
        "what": "recommend",
        "calls": found.evidence["calls"],
        "models": len(found.candidates),
        "suggested": found.suggested_model,
        "s": took.cpu_s,
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """Return the lines for the table of all figures."""
    again, arrays, asked = result["rows"]
    return [
        Figure(
            f"calls priced again by their own model, of {again['calls']:,}", "0 differ", f"{again['differ']:,} differ"
        ),
        Figure(
            f"{arrays['calls']:,} calls for {arrays['models']} models, arrays against one by one",
            "0 differ",
            f"{arrays['differ']} differ",
            to_baseline=arrays["ratio"],
        ),
        Figure(
            f"a model recommended from {asked['calls']:,} calls, {asked['models']} models",
            "<= 10 s",
            f"{asked['s']:.1f} s",
        ),
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--one-by-one", type=int, default=5_000, help="so many calls are priced one by one too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.events, options.one_by_one)
    show(result, [figure.to_dict() for figure in figures(result)], as_json=options.json)
    return result


if __name__ == "__main__":
    main()
