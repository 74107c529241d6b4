"""What people write behind --by and --filter, and what to say where a name or a model means nothing."""

from collections.abc import Iterable

from rich.text import Text

from tc_core.cli import text
from tc_core.costs.named_models import unknown_models
from tc_core.costs.words import filters_of, names_of, not_known, unknown, written
from tc_core.model.ports import AggregateReader, Filters

__all__ = ("filters_of", "names_of", "print_unknown", "print_unknown_models", "unknown", "written")


def print_unknown(found: Iterable[str]) -> None:
    """Say which names no call has, and which are near."""
    for name in found:
        text.console().print(Text(f"\n{not_known(name)}", style="yellow"))


def print_unknown_models(reader: AggregateReader, filters: Filters) -> None:
    """Say which models of filters have no price and no call, and which are near."""
    for said in unknown_models(reader, filters):
        text.console().print(Text(f"\n{said[:1].upper()}{said[1:]}.", style="yellow"))
