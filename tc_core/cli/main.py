"""`token-calc`: where did the tokens and the money go?"""

import logging
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from tc_core import version
from tc_core.cli import common

COMMANDS = {
    "costs": "costs.costs",
    "compare": "compare.compare",
    "top": "top.top",
    "recommend": "recommend.recommend",
    "watch": "watch.watch",
    "runs": "runs.runs",
    "tree": "tree.show_tree",
    "show": "show.show",
    "provenance": "provenance.provenance",
    "waterfall": "waterfall.waterfall",
    "agents": "agents.agents",
    "patterns": "patterns.patterns",
    "attribute": "attribute.attribute",
    "anomalies": "anomalies.anomalies",
    "forecast": "forecast.forecast",
    "what-if": "what_if.what_if",
    "health": "health.health",
    "budget": "budget.app",
    "policies": "policies.app",
    "workflow": "workflow.workflow",
    "abtest": "abtest.app",
    "alerts": "alerts.app",
    "serve": "serve.serve",
    "demo": "demo.demo",
    "models": "models_recommend.app",
    "reprice": "models.reprice",
    "export": "data.export",
    "import": "data.import_file",
    "archive": "data.archive",
    "db": "db.app",
    "doctor": "doctor.doctor",
    "init": "init.init",
}
"""The commands in the order of the help, each with its module and the function there, or the application of several."""


def main() -> None:
    """Run the command line; of a command that is named first, only its own module is imported."""
    logging.getLogger("tc_core").setLevel(logging.ERROR)  # what a command has to say it says itself
    application([name for name in sys.argv[1:2] if name in COMMANDS] or COMMANDS)()


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands."""
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
    app.callback()(options)
    for name in names:
        module, _, what = COMMANDS[name].partition(".")
        found = getattr(import_module(f"tc_core.cli.{module}"), what)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


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


def __getattr__(name: str) -> typer.Typer:
    """Return all commands as `app`; its modules are imported then."""
    if name == "app":
        return application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
