"""`token-calc serve`: the explorer, in the browser."""

import os
from typing import Annotated

import typer
from rich.text import Text

from tc_core import settings
from tc_core.cli import common, text

TOKEN = "TOKEN_CALC_SERVE_TOKEN"  # noqa: S105  # the name of a variable


def serve(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65_535, help="0 takes a free one.")] = 8321,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")] = False,
    store: common.StoreOption = None,
) -> None:
    """Show everything in the browser: costs, runs, budgets and comparisons, under the names of the commands.

    It only reads. Only this machine can reach it, unless TOKEN_CALC_SERVE_TOKEN is set, which it then asks for.
    Ctrl-C ends it.

    Example: token-calc serve --port 8321
    """
    with common.told():
        source = common.open_store(store)
        try:
            from tc_core.web.security import Access
            from tc_core.web.serve import serve as run
        except ImportError as error:
            raise ImportError("The explorer needs an extra: pip install 'token-calculator-suite[ui]'") from error
        name = common.shown(store or settings.load().store)
        run(
            source,
            Access(host, os.environ.get(TOKEN) or None),
            port,
            name=name,
            shown_store="" if store is None else name,
            opens=not no_open,
            say=lambda address: _say(address, name),
        )


def _say(address: str, name: str) -> None:
    console = text.console()
    line = Text("The explorer of ")
    line.append(name, style="bold")
    line.append(f" is at {address}")
    console.print(line, soft_wrap=True)
    console.print(Text("Ctrl-C ends it.", style="dim"))
