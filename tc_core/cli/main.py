"""`token-calc`: where did the tokens and the money go?"""

import logging
import os
from typing import Annotated

import typer

from tc_core import version
from tc_core.cli import (
    abtest,
    agents,
    alerts,
    anomalies,
    attribute,
    budget,
    common,
    compare,
    costs,
    data,
    db,
    demo,
    doctor,
    forecast,
    health,
    init,
    models,
    models_recommend,
    patterns,
    policies,
    provenance,
    recommend,
    runs,
    serve,
    show,
    top,
    tree,
    watch,
    waterfall,
    what_if,
    workflow,
)

app = typer.Typer(
    name="token-calc",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Where did the tokens and the money go? Ask the store that tc_core.instrument() fills.",
    epilog="Exit codes: 0 answered, 1 not found or (doctor) a fault, 2 wrong use, 3 the store cannot be used.",
)
app.command()(costs.costs)
app.command()(compare.compare)
app.command()(top.top)
app.command()(recommend.recommend)
app.command()(watch.watch)
app.command()(runs.runs)
app.command("tree")(tree.show_tree)
app.command()(show.show)
app.command()(provenance.provenance)
app.command()(waterfall.waterfall)
app.command()(agents.agents)
app.command()(patterns.patterns)
app.command()(attribute.attribute)
app.command()(anomalies.anomalies)
app.command()(forecast.forecast)
app.command("what-if")(what_if.what_if)
app.command()(health.health)
app.add_typer(budget.app, name="budget")
app.add_typer(policies.app, name="policies")
app.command()(workflow.workflow)
app.add_typer(abtest.app, name="abtest")
app.add_typer(alerts.app, name="alerts")
app.command()(serve.serve)
app.command()(demo.demo)
models.app.command("recommend")(models_recommend.recommend)
app.add_typer(models.app, name="models")
app.command()(models.reprice)
app.command()(data.export)
app.command("import")(data.import_file)
app.command()(data.archive)
app.add_typer(db.app, name="db")
app.command()(doctor.doctor)
app.command()(init.init)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show errors with their traceback.")] = False,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Set what holds for all commands."""
    if show_version:
        typer.echo(f"token-calc {version.__version__}")
        raise typer.Exit
    if debug:
        os.environ[common.DEBUG] = "1"


def main() -> None:
    """Run the command line."""
    logging.getLogger("tc_core").setLevel(logging.ERROR)  # what a command has to say it says itself
    app()
