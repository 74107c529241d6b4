"""What people write behind --by and --filter, and what to say where a name means nothing."""

from collections.abc import Iterable

from rich.text import Text

from tc_core.cli import text
from tc_core.costs.words import filters_of, names_of, not_known, unknown, written

__all__ = ("filters_of", "names_of", "print_unknown", "unknown", "written")


def print_unknown(found: Iterable[str]) -> None:
    """Say which names no call has, and which are near."""
    for name in found:
        text.console().print(Text(f"\n{not_known(name)}", style="yellow"))
