"""`token-calc demo`: a real agent, recorded, and what there is to see afterwards."""

import importlib.metadata
import os
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, cost_sheet, patterns, text, waterfall
from tc_core.cli.events import SHORT_ID
from tc_core.cli.new_store import kept_if_used
from tc_core.cli.tree import print_tree
from tc_core.costs.headline import title_line
from tc_core.costs.report import report
from tc_core.lineage.analyzer import ProvenanceAnalyzer
from tc_core.lineage.reads import reads
from tc_core.lineage.tree import tree
from tc_core.model.period import Period
from tc_core.model.run import Run
from tc_core.runtime.instrument import instrument, uninstrument
from tc_core.runtime.recorders import open_storage
from tc_core.store.sql import SqlStore

GROUP = "tc_core.demos"
"""The entry-point group in which adapters announce their demos, by the framework's name."""

STORE = "token_calculator_demo.db"


def demo(
    framework: Annotated[str, typer.Option(metavar="NAME", help="Whose agent to run.")] = "langchain",
    live: Annotated[
        bool, typer.Option("--live", help="Ask a real model: needs OPENAI_API_KEY, heeds OPENAI_BASE_URL.")
    ] = False,
    llm: Annotated[
        str, typer.Option(metavar="script|local", help="Who answers: a script, or a small real model on this machine.")
    ] = "script",
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The model for --live.", show_default=False)] = None,
    store: Annotated[str, typer.Option("--store", metavar="PATH", help="Where to record.")] = STORE,
    as_json: common.JsonOption = False,
) -> None:
    """Run an agent, record it with one line, and show what it cost.

    Without --live it talks over a real socket to a model server on this machine, which costs nothing. With --llm local
    a small real model answers there (extra local-llm).

    Example: token-calc demo
    """
    with common.told(), kept_if_used(store):
        _check(framework, llm, live=live)
        storage, shown = open_storage(store), common.shown(store)
        if not isinstance(storage, SqlStore):
            common.fail(f"{shown} cannot be asked afterwards: name a file.", common.WRONG_USE)
        storage.check_writable()
        console = text.console(stderr=as_json)
        began = datetime.now(UTC)
        console.print(f"Recording into {shown}, with one line:  tc_core.instrument({shown!r})\n")
        instrument(storage, frameworks=[framework])
        try:
            if llm == "local":
                _demo(framework).chat(say=console.print)
            else:
                _demo(framework).run(say=console.print, model=(model or "gpt-4o-mini") if live else None)
        except ImportError as error:
            common.fail(str(error), common.WRONG_USE)
        finally:
            uninstrument()
        if as_json:
            text.print_json({"store": shown, **_plain(storage, began)})
        else:
            _print(storage, began, shown)


def _check(framework: str, llm: str, *, live: bool) -> None:
    if llm not in ("script", "local") or (live and llm == "local"):
        common.fail("--llm is script or local, and goes without --live.", common.WRONG_USE)
    known = sorted(entry.name for entry in importlib.metadata.entry_points(group=GROUP))
    if framework not in known:
        common.fail(f"There is no demo for {framework!r}: there are {', '.join(known)}.", common.WRONG_USE)
    if live and not os.environ.get("OPENAI_API_KEY"):
        common.fail(
            "--live needs a model: set OPENAI_API_KEY, and OPENAI_BASE_URL for another server.", common.WRONG_USE
        )


def _demo(framework: str):  # type: ignore[no-untyped-def]  # a module of an adapter, which the core does not know
    (entry,) = (entry for entry in importlib.metadata.entry_points(group=GROUP) if entry.name == framework)
    try:
        return entry.load()
    except ImportError as error:
        common.fail(str(error), common.WRONG_USE)


def _print(storage: SqlStore, began: datetime, path: str) -> None:
    console = text.console()
    found = report(storage, Period(began), group_by=["agent_id", "model"])
    console.print(Text("\nWhat it cost, by agent and model\n", style="bold"))
    cost_sheet.print_report(found, ["agent_id", "model"], title=title_line(found, ""))
    console.print(Text("\nWhat hung under what\n", style="bold"))
    shown = [run for run in storage.runs({}, limit=10) if run.event.timestamp >= began]
    for run in reversed(shown):
        id_ = run.event.event_id
        root = tree(*storage.tree(id_))
        print_tree(root, storage.attempts_in(id_), reads(storage, root.walk()))
        console.print()
    console.print(Text("Where its input tokens came from\n", style="bold"))
    waterfall.print_waterfall(ProvenanceAnalyzer(storage).waterfall(start_date=began))
    console.print(Text("\nWhat of it was waste\n", style="bold"))
    patterns.print_waste(ProvenanceAnalyzer(storage).waste(start_date=began))
    console.print()
    console.print(_legend())
    option = "" if path == "token_calculator.db" else f" --store {path}"
    console.print(Text("\nNext", style="bold"))
    for command, what in (
        (f"token-calc costs --by agent,model,day{option}", "the same table, at any time"),
        (f"token-calc waterfall last{option}", "where the last run's input tokens came from"),
        (f"token-calc tree {_largest(shown)} --html lineage.html{option}", "its first run as a picture, in a browser"),
        (f"token-calc patterns{option}", "what was waste, at any time"),
        (f"token-calc runs{option}", "all runs; `token-calc tree RUN` opens one"),
        (f"token-calc doctor{option}", "is everything as it should be?"),
    ):
        console.print(Text(f"  # {what}", style="dim"))
        console.print(f"  {command}", soft_wrap=True)
    console.print(Text("  # all of it in the browser, until Ctrl-C", style="dim"))
    console.print(f"  token-calc serve{option}", soft_wrap=True)


def _largest(shown: list[Run]) -> str:
    """Return what names the run with the most to see."""
    return max(shown, key=lambda run: run.events).event.event_id[-SHORT_ID:] if shown else "last"


def _legend() -> Text:
    return Text(
        "estimated: the provider reported no usage, so the tokens were counted here.  "
        "unpriced: no price is known for the model, which is not a price of zero.",
        style="dim",
    )


def _plain(storage: SqlStore, began: datetime) -> dict[str, object]:
    roots = [run for run in storage.runs({}, limit=10) if run.event.timestamp >= began]
    return {
        "costs": report(storage, Period(began), group_by=["agent_id", "model"]).to_dict(),
        "waterfall": ProvenanceAnalyzer(storage).waterfall(start_date=began).to_dict(),
        "waste": ProvenanceAnalyzer(storage).waste(start_date=began).to_dict(),
        "runs": [tree(*storage.tree(run.event.event_id)).to_dict() for run in reversed(roots)],
    }
