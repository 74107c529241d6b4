"""`token-calc tree`: what hung under what, what it cost, and what the run waited for; or as a picture."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.events import MARKS, RELATIONS, SHORT_ID
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.lineage import find, present
from tc_core.lineage.critical import CriticalPath, critical_path
from tc_core.lineage.reads import Reads, reads
from tc_core.lineage.tree import Node, name_of, tree
from tc_core.model.attempt import Attempt
from tc_core.store.sql import SqlStore

if TYPE_CHECKING:
    from tc_core.lineage.graph import Format

_BELOW = {"": "", "├─ ": "│  ", "└─ ": "   "}
"""What leads the lines below a branch."""


def show_tree(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="`last`, an id, the end of one, or a name that `runs` shows.")
    ] = "last",
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write a page to look at in a browser.", show_default=False),
    ] = None,
    dot: Annotated[bool, typer.Option("--dot", help="Print it for Graphviz.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it for Markdown.")] = False,
    graphml: Annotated[bool, typer.Option("--graphml", help="Print it for Gephi, yEd or networkx.")] = False,
    prov: Annotated[bool, typer.Option("--prov", help="Print it as W3C PROV-JSON.")] = False,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show a run's lineage, with tokens and cost at each step, and what it waited for.

    Example: token-calc tree last --html lineage.html
    """
    formats: dict[Format, bool] = {"dot": dot, "mermaid": mermaid, "graphml": graphml, "prov": prov}
    chosen = [name for name, is_chosen in formats.items() if is_chosen]
    if len(chosen) + (html is not None) + as_json > 1:
        common.fail(
            "One format at a time: --dot, --mermaid, --graphml, --prov, --json or --html FILE.", common.WRONG_USE
        )
    with common.told():
        source = common.open_store(store)
        run_id = find.run_id(source, run)
        if html is not None:
            _write_page(source, run_id, html)
        elif chosen:
            print(_written(source, run_id, chosen[0]), end="")
        elif as_json:
            root = tree(*source.tree(run_id))
            text.print_json({**root.to_dict(), "critical_path": critical_path(root).to_dict()})
        else:
            root = tree(*source.tree(run_id))
            print_tree(root, source.attempts_in(run_id), reads(source, root.walk()))
            days = {node.event.timestamp.date() for node in root.walk()}
            common.print_removed(
                {day: events for day, events in source.removals().items() if day in days}, "Of its days"
            )


def _written(source: SqlStore, run_id: str, wanted: "Format") -> str:
    from tc_core.lineage.graph import LineageGraph  # brings networkx, which takes longer than most commands

    return LineageGraph(source, event_id=run_id).to(wanted)


def _write_page(source: SqlStore, run_id: str, path: str) -> None:
    page = _written(source, run_id, "html")
    try:
        Path(path).expanduser().write_text(page, encoding="utf-8")
    except OSError as error:
        common.fail(f"{path} cannot be written: {error.strerror}. Name another file.", common.WRONG_USE)
    text.console().print(f"Written to {path}: open it in a browser.", soft_wrap=True)


_NO_ATTEMPTS: Mapping[str, Sequence[Attempt]] = {}


def print_tree(
    root: Node, attempts: Mapping[str, Sequence[Attempt]] = _NO_ATTEMPTS, tokens_read: Reads | None = None
) -> None:
    """Print a run: its answer in the first line, its steps below, each with tokens and cost, and what it waited for.

    `attempts` are the HTTP requests of calls, by their ids; `tokens_read` is how much of a prompt is another event's
    output, where that is known.
    """
    console = text.console()
    console.print(text.one_line(headline(root, attempts)))
    sheet_of(root, attempts, tokens_read).print(console)
    _print_critical_path(critical_path(root))


def sheet_of(
    root: Node, attempts: Mapping[str, Sequence[Attempt]] = _NO_ATTEMPTS, tokens_read: Reads | None = None
) -> Sheet:
    """Return what lies below a root as lines."""
    relating = _Relating(root, attempts, tokens_read or {})
    sheet = Sheet(
        Column(least=28),
        Column(goes=2, least=SHORT_ID),
        Column(is_number=True, goes=1),
        Column(goes=4, least=32),
        number(""),
        Column(goes=3, hangs=True),
    )
    decimals = text.column_decimals(node.totals.known_cost_nanos for node in root.walk())
    lines: list[tuple[Node, str, str]] = [(root, "", "")]
    while lines:
        node, lead, branch = lines.pop()
        if node is not root:
            sheet.add(
                Text(lead + branch, style="dim") + _label(node),
                Text(node.event.event_id[-SHORT_ID:], style="dim"),
                text.seconds(node.event.latency_ms),
                present.tokens(node.event),
                _cost(node, decimals),
                relating.notes(node),
                lead=Text(f"{lead}{_BELOW[branch]}{_BELOW['├─ '] if node.children else '   '}", style="dim"),
            )
        below = lead + _BELOW[branch]
        last = len(node.children) - 1
        lines.extend(
            (child, below, "└─ " if place == last else "├─ ")
            for place, child in reversed(list(enumerate(node.children)))
        )
    return sheet


def _print_critical_path(path: CriticalPath) -> None:
    """Say in one line what the run waited for; nothing where no time is recorded, or one step is all."""
    said = present.path_said(path.names, path.busy_ms, path.total_ms)
    if said:
        text.console().print(text.one_line(said))


def headline(root: Node, attempts: Mapping[str, Sequence[Attempt]] = _NO_ATTEMPTS) -> Text:
    """Return the first line of a tree: what ran, how long, what it cost, and how it ended."""
    totals = root.totals
    return present.headline(
        root.event,
        totals.known_cost_nanos,
        calls=totals.calls,
        unpriced=totals.unpriced,
        estimated=totals.estimated,
        attempts=attempts.get(root.event.event_id, ()),
    )


def _label(node: Node) -> Text:
    event = node.event
    if event.is_call:
        return Text(name_of(event))
    kind = present.KINDS.get(event.event_type, event.event_type)
    return Text(f"{kind} ", style="dim") + Text(event.name or "")


def _cost(node: Node, decimals: int) -> Text:
    totals = node.totals
    if not totals.calls or (node.event.is_call and not node.event.has_usage and node.event.status == "error"):
        return Text()
    if totals.known_cost_nanos is None:
        return Text("unpriced", style="yellow")
    return text.cost_text(totals.known_cost_nanos, decimals, is_doubtful=bool(totals.estimated) and node.event.is_call)


class _Relating:
    """Writes how the events of a run ended, and how they stand to others."""

    def __init__(self, root: Node, attempts: Mapping[str, Sequence[Attempt]], tokens_read: Reads) -> None:
        self._attempts = attempts
        self._nodes = {node.event.event_id: node for node in root.walk()}
        self._before = {id(after): before for node in root.walk() for before, after in pairwise(node.children)}
        self._tokens_read = tokens_read

    def notes(self, node: Node) -> Text:
        notes = Text()
        event = node.event
        if event.status != "ok":
            said = event.error_type or event.status
            notes.append(f"{MARKS[event.status]} {said} ", style="red" if event.status == "error" else "yellow")
        if again := present.again(self._attempts.get(event.event_id, ())):
            notes.append(f"{again} ", style="cyan")
        for relation in node.relations:
            target = self._nodes.get(relation.target_id)
            if relation.relation == "triggered_by" and target is not None:
                continue  # a tool that the model above asked for: what everybody expects
            tokens = self._tokens_read.get((relation.source_id, relation.target_id))
            if relation.relation == "derived_from" and tokens is not None and target is not None:
                notes.append(f"← reads: {name_of(target.event)} {text.plural(tokens, 'token')} ", style="cyan")
                continue
            where = relation.target_id[-SHORT_ID:] if target is None else self._pointer(node, target)
            notes.append(f"{RELATIONS[relation.relation]} {where} ", style="cyan")
        notes.rstrip()
        return notes

    def _pointer(self, node: Node, target: Node) -> str:
        """Say which event is meant: the one right above, or by its name."""
        if self._before.get(id(node)) is target:
            return "the call above"
        return f"{name_of(target.event)} ({target.event.event_id[-SHORT_ID:]})"
