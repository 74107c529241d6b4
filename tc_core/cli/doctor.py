"""`token-calc doctor`: is everything as it should be, and what to do where it is not."""

import textwrap
from typing import Annotated

import typer
from rich.text import Text

from tc_core.cli import common, text
from tc_core.runtime.doctor import examine

INDENT = 22
"""Where what is said of a subject begins."""

_STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}


def doctor(
    store: common.StoreOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Import no framework to see whether it can be hooked.")
    ] = False,
    as_json: common.JsonOption = False,
) -> None:
    """Examine the installation and the store.

    The exit code is 1 when something is at fault.

    Example: token-calc doctor
    """
    findings = list(examine(store, quick=quick))
    if as_json:
        text.print_json([finding._asdict() for finding in findings])
    else:
        console = text.console()
        for finding in findings:
            said = textwrap.wrap(finding.said, max(console.width - INDENT, INDENT), break_on_hyphens=False)
            console.print(
                Text(f"{finding.state:8}", style=_STYLES[finding.state])
                + Text(f"{finding.subject:{INDENT - 8}}", style="bold")
                + Text(f"\n{'':{INDENT}}".join(said)),
                no_wrap=True,
                overflow="ignore",
                crop=False,
            )
    if any(finding.state == "fault" for finding in findings):
        raise typer.Exit(common.NOT_FOUND)
