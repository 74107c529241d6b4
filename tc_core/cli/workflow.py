"""`token-calc workflow`: what a run of a workflow cost, where its time went, and how it stands among the others."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.model import money
from tc_core.workflows.analysis import WorkflowAnalysis
from tc_core.workflows.compare import Distribution, RunComparison
from tc_core.workflows.optimisations import Optimization
from tc_core.workflows.timing import CriticalStep
from tc_core.workflows.tracker import WorkflowTracker

SHORT_ID = 8
MOST_ROWS = 15
LEAST_WIDTH, MOST_WIDTH = 60, 120
_SHORT_STRETCH = 0.01
"""Stretches of the critical path below this share of it are not named."""


def workflow(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workflow's id, or the name of a graph or a crew.")],
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="A run's id, or the end of one; default: the last.")
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(
            "--compare", metavar="RUN", help="A run to compare it with, by agent and by origin of its tokens."
        ),
    ] = None,
    format: Annotated[  # noqa: A002  # as it is called on the command line
        str | None,
        typer.Option("--format", metavar="FORMAT", help="Only draw it: ascii, mermaid, dot or html."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", metavar="N", min=1, max=100_000, help="How many runs it is measured against."),
    ] = 1000,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show a run of a workflow: its agents, its critical path, what it wasted, and what would make it better.

    Example: token-calc workflow support --compare 9d3e21aa
    """
    common.check_formats(format=format is not None, as_json=as_json)
    with common.told():
        tracker = WorkflowTracker(name, common.open_store(store))
        width = min(max(text.console().width, LEAST_WIDTH), MOST_WIDTH)
        if format is not None:
            typer.echo(tracker.visualize(format, run, width=width))  # type: ignore[arg-type]  # it names what there is
            return
        if other is not None:
            changed = tracker.compare(other, run)
            text.print_json(changed.to_dict()) if as_json else _print_comparison(changed)
            return
        analysis, suggested = tracker.analyze(run), tracker.suggest_optimizations(run)
        among = tracker.distribution(limit=limit)
        if as_json:
            plain = {"suggestions": [each.to_dict() for each in suggested], "distribution": among.to_dict()}
            text.print_json({**analysis.to_dict(), **plain})
            return
        _print_analysis(analysis)
        text.console().print(f"\n{tracker.visualize('ascii', run, width=width)}")
        _print_agents(analysis)
        _print_sentences(analysis, among)
        _print_suggestions(suggested)
        common.print_hint(
            f"token-calc waterfall {analysis.run_id[-SHORT_ID:]}", "says where its tokens came from", store
        )


def _print_analysis(found: WorkflowAnalysis) -> None:
    line = Text(found.workflow_id, style="bold")
    line.append(f"  run {found.run_id[-SHORT_ID:]}", style="dim")
    line.append(f"  {text.seconds(found.duration_ms)}")
    line.append(f"  {text.usd(found.total_cost_nanos)}", style="yellow" if found.total_cost_nanos is None else "bold")
    line.append(f"  in {text.plural(found.calls, 'call')}")
    line.append(f"  {found.status}", style={"ok": "", "error": "red"}.get(found.status, "yellow"))
    for count, what in ((found.unpriced_calls, "unpriced"), (found.estimated_calls, "estimated")):
        if count:
            line.append(f"  {count:,} {what}", style="yellow")
    if found.outcome is not None:
        worth = "" if found.outcome.value is None else f" (worth {found.outcome.value:g})"
        line.append(f"  {'success' if found.outcome.success else 'failure'}{worth}")
    text.console().print(text.one_line(line))


def _print_agents(found: WorkflowAnalysis) -> None:
    if not found.agents:
        return
    sheet = Sheet(
        Column("agent", least=12),
        number("calls", goes=2),
        number("tokens", goes=3),
        number("cost"),
        number("with inside", goes=1),
        number("time"),
        number("waited for", goes=4),
        Column(goes=5),
    )
    costs = [agent.cost_nanos for agent in found.agents.values()]
    decimals, most = text.column_decimals(costs), max([*(cost or 0 for cost in costs), 0])
    for agent in list(found.agents.values())[:MOST_ROWS]:
        sheet.add(
            Text(agent.agent_id),
            text.count(agent.calls),
            text.count(agent.tokens),
            text.cost_text(agent.cost_nanos, decimals),
            text.usd(agent.cost_with_inside_nanos, decimals=decimals),
            text.seconds(agent.duration_ms),
            text.seconds(agent.critical_ms),
            text.bar(agent.cost_nanos or 0, most),
        )
    console = text.console()
    console.print()
    sheet.print(console)
    if len(found.agents) > MOST_ROWS:
        console.print(Text(f"and {len(found.agents) - MOST_ROWS:,} more (--json has all)", style="dim"))


def _print_sentences(found: WorkflowAnalysis, among: Distribution) -> None:
    console = text.console()
    console.print()
    for sentence in (_critical(found), _shares(found), _wasted(found), _among(among)):
        if sentence:
            console.print(text.one_line(sentence))


def _critical(found: WorkflowAnalysis) -> str:
    least = found.duration_ms * _SHORT_STRETCH
    named = [step for step in found.critical_path if step.duration_ms > least and step.event_id != found.run_id]
    names: list[str] = []
    for step in named:
        name = _of_step(step)
        if not names or names[-1] != name:
            names.append(name)
    taken = sum(step.duration_ms for step in named)
    if not names:
        return ""
    shown = names if len(names) <= MOST_ROWS else [*names[: MOST_ROWS - 1], "...", names[-1]]
    return f"Critical path: {' → '.join(shown)} ({text.seconds(taken)} of {text.seconds(found.duration_ms)})"


def _of_step(step: CriticalStep) -> str:
    return step.agent_id if step.event_type == "llm_call" and step.agent_id else step.name


def _shares(found: WorkflowAnalysis) -> str:
    if found.serial_share is None or found.efficiency.busy_share is None:
        return ""
    parts = [("one thing at a time", found.serial_share), ("several at once", found.parallel_share or 0)]
    parts.append(("nothing that is known", found.idle_share or 0))
    said = [f"{text.percent(round(1000 * share), 1000)} {what}" for what, share in parts if share >= 0.005]
    return f"Time: {', '.join(said)}."


def _wasted(found: WorkflowAnalysis) -> str:
    waste = found.waste
    kinds = (
        ("retried", waste.retried_calls, waste.retried_cost_nanos),
        ("duplicate", waste.duplicate_calls, waste.duplicate_cost_nanos),
    )
    said = [f"{text.plural(calls, f'{what} call')} {text.usd(cost)}" for what, calls, cost in kinds if calls]
    line = f"Waste: {text.usd(waste.cost_nanos)}: {', '.join(said)}." if said else "Waste: none found."
    if waste.resent_tokens:
        share = text.percent(waste.resent_tokens, waste.explained_tokens)
        line += f"  Re-sent: {share} of the input tokens, {text.usd(waste.resent_cost_nanos)}."
    return line


def _among(found: Distribution) -> str:
    if found.runs < 2:
        return ""
    said = []
    if found.cost is not None:
        said.append(f"{_usd(found.cost.p50)} a run, nine in ten below {_usd(found.cost.p90)}")
    if found.duration_ms is not None:
        said.append(f"{text.seconds(found.duration_ms.p50)}, nine in ten below {text.seconds(found.duration_ms.p90)}")
    if found.outcomes:
        each = "" if found.cost_per_success is None else f", {_usd(found.cost_per_success)} a success"
        said.append(f"{found.successes:,} of {found.outcomes:,} succeeded{each}")
    return f"Of {found.runs:,} runs: {'; '.join(said)}."


def _print_suggestions(found: Sequence[Optimization]) -> None:
    console = text.console()
    for each in found[:MOST_ROWS]:
        saves = _usd(each.savings) if each.savings is not None else text.seconds(each.time_saved_ms)
        console.print()
        console.print(text.one_line(Text(f"{each.title}: saves {saves} a run", style="bold")))
        console.print(text.one_line(f"  {each.reasoning}"))


def _print_comparison(found: RunComparison) -> None:
    console = text.console()
    line = Text(f"From run {found.run_a[-SHORT_ID:]} to run {found.run_b[-SHORT_ID:]}: ", style="bold")
    line.append(f"{_signed(found.cost_nanos)}, {found.tokens:+,} tokens, {found.calls:+,} calls, ")
    line.append(f"{'-' if found.duration_ms < 0 else '+'}{text.seconds(abs(found.duration_ms))}")
    if found.unpriced_calls:
        line.append(f"  {found.unpriced_calls:,} unpriced", style="yellow")
    console.print(line)
    sheets = (
        ("agent", [(each.agent_id, each.tokens, each.cost_nanos) for each in found.agents]),
        ("origin of input", [(each.name, each.tokens, each.cost_nanos) for each in found.origins]),
    )
    for heading, rows in sheets:
        if rows:
            sheet = Sheet(Column(heading, least=20), number("tokens"), number("cost"))
            for name, tokens, cost in rows[:MOST_ROWS]:
                sheet.add(Text(name), f"{tokens:+,}", _signed(cost))
            console.print()
            sheet.print(console)


def _usd(dollars: float) -> str:
    return text.usd(money.to_nanos(dollars))


def _signed(nanos: int) -> str:
    return f"{'-' if nanos < 0 else '+'}{text.usd(abs(nanos))}"
