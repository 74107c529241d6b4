"""What a request asks: the store, and the address's parameters, read as the command line reads its options."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from urllib.parse import urlencode

from tc_core.costs import words
from tc_core.errors import ConfigurationError
from tc_core.model import period
from tc_core.model.period import Period
from tc_core.model.ports import FilterValue
from tc_core.store.sql import SqlStore

MOST_TEXT = 600
"""Characters of a parameter: as many as are kept of a label."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a page: parameters as in the address, by name; each may be there several times."""

    store: SqlStore
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shown_store: str = ""
    """What the store is called in commands, without secrets; nothing where commands find it by themselves."""

    may_change: bool = False
    """Whether something may be changed from here: where a token is asked for."""
    who: str = "the explorer"
    """Who asks, as far as that is known."""

    def text(self, name: str) -> str | None:
        """Return a parameter, None where it is missing or empty."""
        values = self.parameters.get(name, ())
        return values[0] if values and values[0] else None

    def texts(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return [value for value in self.parameters.get(name, ()) if value]

    def names(self, name: str, default: str = "") -> list[str]:
        """Return the names of dimensions and labels, written with commas between them."""
        return words.names_of(self.text(name) or default)

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to `most`; raise ConfigurationError for what is none."""
        said = self.text(name)
        if said is None:
            return default
        if not said.isascii() or not said.isdigit() or not 1 <= int(said[:20]) <= most:
            raise ConfigurationError(f"{name}={said[:40]} is no whole number from 1 to {most:,}")
        return int(said)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """Return one of some words, None where it is missing; raise ConfigurationError for another."""
        said = self.text(name)
        if said is not None and said not in choices:
            raise ConfigurationError(f"{name}={said[:40]} is none of {', '.join(choices)}")
        return said

    @property
    def zone(self) -> tzinfo:
        """The time zone of dates: the one asked for, or this machine's."""
        said = self.text("tz")
        return period.local_zone() if said is None else period.zone(said)

    @property
    def period(self) -> Period:
        """What lies between `since` and `until`."""
        return period.period(self.text("since"), self.text("until"), tz=self.zone)

    @property
    def filters(self) -> dict[str, FilterValue]:
        """The filters, written as behind `--filter`."""
        return words.filters_of(self.texts("filter"))

    def link(self, page: str, **parameters: str) -> str:
        """Return the address of another page, in the same time zone."""
        zone = self.text("tz")
        return f"/{page}?{urlencode(parameters | ({'tz': zone} if zone else {}))}"

    def with_(self, **parameters: str) -> "Asked":
        """Return the same question with some parameters changed."""
        changed = {name: [value] for name, value in parameters.items()}
        return replace(self, parameters={**self.parameters, **changed})

    def command(self, *start: str, options: Sequence[str] = (), more: Sequence[str] = ()) -> str:
        """Return the command that shows the same: `options` are names of parameters that are its options too."""
        parts = ["token-calc", *start]
        for name in options:
            for value in self.texts(name):
                parts += [f"--{name}", value]
        parts += [*more, *(["--store", self.shown_store] if self.shown_store else [])]
        return shlex.join(parts)
