"""`token-calc models recommend`: which cheaper model would have answered the same calls."""

from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.cli.models import app
from tc_core.cli.sheet import Column, Sheet, number
from tc_core.model import money
from tc_core.selection import recommendation_present as present
from tc_core.selection.candidate import ModelRecommendation
from tc_core.selection.known_models import MODALITIES

MOST_ROWS = 9


@app.command()
def recommend(
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Whose calls; default: all.", show_default=False)
    ] = None,
    current_model: Annotated[
        str | None,
        typer.Option(
            "--current-model", metavar="MODEL", help="Its calls; default: what costs most.", show_default=False
        ),
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            "--candidate",
            metavar="NAME",
            help="Look at this model, or all of this provider; can be given again.",
            show_default=False,
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option("--max-cost", metavar="USD", help="US dollars that an average call may cost.", show_default=False),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option("--max-latency-ms", metavar="MS", help="What 95 of 100 calls may take.", show_default=False),
    ] = None,
    min_context: Annotated[
        int | None,
        typer.Option("--min-context", metavar="TOKENS", help="So much input must fit.", show_default=False),
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            "--modality",
            metavar="NAME",
            help=f"What prompts have in them: {', '.join(MODALITIES)}; can be given again.",
            show_default=False,
        ),
    ] = None,
    tools: Annotated[bool, typer.Option("--tools", help="It must call tools.")] = False,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="NAME", help="It must run there, such as eu.", show_default=False),
    ] = None,
    min_quality: Annotated[
        float | None,
        typer.Option("--min-quality", metavar="SHARE", help="It must be so good, from 0 to 1.", show_default=False),
    ] = None,
    quality_file: Annotated[
        str | None,
        typer.Option(
            "--quality-file",
            metavar="FILE",
            help="What you know of models (docs/selection.md); default: as in the settings.",
            show_default=False,
        ),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show all models, and why each was dropped.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="DATE",
            help="From when on calls count; default: 30 days before the last one.",
            show_default=False,
        ),
    ] = None,
    until: common.UntilOption = None,
    tz: common.ZoneOption = None,
    store: common.StoreOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Recommend a model that would have answered the recorded calls for less.

    Every call is priced again, with its own tokens, for each model that could have answered it. How good a model is
    comes from the outcomes of your workflows, else from your own table, else it is unknown.

    Example: token-calc models recommend --agent support --tools
    """
    from tc_core.selection.selector import ModelSelector  # numpy, for those who ask

    asked = {
        "agent_id": agent,
        "current_model": current_model,
        "max_cost": max_cost,
        "max_latency_ms": max_latency_ms,
        "min_context": min_context,
        "modalities": modality,
        "tools": tools or None,
        "region": region,
        "min_quality": min_quality,
    }
    with common.told():
        selector = ModelSelector(common.open_store(store), models=quality_file, candidates=candidate)
        found = selector.recommend(None, asked, start_date=since, end_date=until, tz=common.zone(tz))
        if as_json:
            text.print_json(found.to_dict())
            return
        _print(found, show_all=show_all)
        _print_next(found, store)


def _print(found: ModelRecommendation, *, show_all: bool) -> None:
    console = text.console()
    line = Text(f"{found.title}.", style="bold")
    if found.savings is not None and found.monthly_savings is not None:
        line.append(_savings(found), style="")
    console.print(line)
    console.print(Text(found.reasoning))
    kept, dropped = present.rows(found), present.dropped_rows(found)
    if len(kept) > 1 and found.evidence["calls"]:
        console.print()
        _sheet(kept if show_all else kept[:MOST_ROWS]).print(console)
    more = [] if show_all or len(kept) <= MOST_ROWS else [f"{len(kept) - MOST_ROWS:,} more that fit cost more"]
    more += [present.dropped_by(found)] if dropped else []
    if more and found.evidence["calls"]:
        console.print(Text(f"{'; '.join(more)}{'.' if show_all else ' (--all shows them).'}", style="dim"))
    if show_all and dropped:
        console.print()
        sheet = Sheet(Column("dropped", least=30), Column("why", least=40))
        for row in dropped:
            sheet.add(row.model, Text(row.reason, style="dim"))
        sheet.print(console)


def _savings(found: ModelRecommendation) -> str:
    saved, low, high, monthly = (
        money.to_nanos(round(each or 0, 9))
        for each in (found.savings, found.savings_low, found.savings_high, found.monthly_savings)
    )
    if saved < 0:
        return f"  It costs {text.usd(-saved)} more, {text.usd(-monthly)} in 30 days."
    between = f"{text.usd(low)} to {text.usd(high)}"
    sure = f"{found.confidence:.0%}".replace("%", " %")
    return f"  Saves {text.usd(saved)} ({between}), {text.usd(monthly)} in 30 days; {sure} sure."


def _sheet(shown: list[present.Row]) -> Sheet:
    sheet = Sheet(
        Column("model", least=24),
        number("would cost"),
        number("of now", goes=4),
        number("quality", goes=3),
        number("p95", goes=2),
        number("context", goes=1),
        Column("", least=10),
    )
    decimals = text.column_decimals(row.cost_nanos for row in shown)
    for row in shown:
        sheet.add(
            row.model,
            text.cost_text(row.cost_nanos, decimals),
            "" if row.share is None else _percent(row.share),
            Text(row.quality, style="dim" if row.quality == "unknown" else ""),
            text.seconds(row.p95_ms) or text.EMPTY,
            text.count(row.context),
            Text(row.mark, style="bold" if "suggested" in row.mark else ""),
        )
    return sheet


def _percent(share: float) -> str:
    return f"{share:.1f}x" if share >= 10 else f"{share:.0%}".replace("%", " %")


def _print_next(found: ModelRecommendation, store: str | None) -> None:
    if found.suggested_model is not None and found.current_model is not None:
        common.print_hint(
            f"token-calc models show {found.suggested_model}", "shows its prices; try it on some calls first"
        )
    elif found.candidates:
        common.print_hint("token-calc recommend", "shows what else would save", store)
    else:
        common.print_hint("token-calc costs --by agent,model", "shows what is recorded", store)
