"""The section about policies: what could be done before calls are made; tried, applied, taken back, and by whom."""

from collections.abc import Mapping, Sequence
from typing import Any

from tc_core.costs.anomalies.present import when
from tc_core.errors import ConfigurationError
from tc_core.model import written
from tc_core.selection.policies.manager import PolicyManager
from tc_core.web.asked import Asked
from tc_core.web.table import Table, said

LATELY = "last-30-days"
_TONES = {"on": "good", "rolled back": "over"}


def standing(asked: Asked) -> Mapping[str, Any]:
    """Return how policies stand, which others would have saved something, and who has changed what."""
    manager = PolicyManager(asked.store)
    known = list(manager.list())
    names = {each.policy.name for each in known}
    proposed = [each for each in manager.proposals(**_span(asked)) if each.policy.name not in names]
    on = [each for each in known if each.is_on]
    return {
        "sentence": said(_sentence(on, proposed, asked)),
        "table": _table(known, proposed).to_dict(),
        "names": [each.policy.name for each in known] + [each.policy.name for each in proposed],
        "is_on": [each.is_on for each in known] + [False] * len(proposed),
        "may_change": asked.may_change,
        "log": _log(asked, manager).to_dict(),
        "command": asked.command("policies", "list"),
    }


def dry_run(asked: Asked) -> Mapping[str, Any]:
    """Return what one policy would have saved of the recorded calls; nothing is changed."""
    name, manager = _named(asked)
    found = manager.dry_run(name, **_span(asked))
    saved, cost = written.usd(found.saved_nanos), written.usd(found.cost_nanos)
    acts = f"It would have changed {found.acts:,} of {written.plural(found.calls, 'call')}"
    return {
        "name": name,
        "sentence": said(f"{saved} of {cost} would have been saved{_when(asked)}.  {acts}: {found.policy.said}."),
        "notes": list(found.notes),
        "hosts": [[host, what] for host, what in manager.hosts(found.policy).items()],
        "commands": {
            "apply": asked.command("policies", "apply", name),
            "undo": asked.command("policies", "undo", name),
        },
    }


def apply(asked: Asked) -> Mapping[str, Any]:
    """Have a policy hold from now on."""
    name, manager = _named(asked)
    found = manager.apply(name, by=asked.text("by") or asked.who, why=asked.text("why"), **_span(asked))
    return {"said": f"{found.policy.name} is on: {found.policy.said}."}


def undo(asked: Asked) -> Mapping[str, Any]:
    """Take back what was applied last under a name."""
    name, manager = _named(asked)
    found = manager.undo(name, by=asked.text("by") or asked.who, why=asked.text("why"))
    return {"said": f"{name} is {'as before again' if found.is_on else 'off again'}."}


def _named(asked: Asked) -> tuple[str, PolicyManager]:
    name = asked.text("name")
    if name is None:
        raise ConfigurationError("name is missing: say which policy is meant")
    return name, PolicyManager(asked.store)


def _span(asked: Asked) -> dict[str, Any]:
    since, until = asked.text("since"), asked.text("until")
    return {"start_date": since or (LATELY if until is None else None), "end_date": until, "tz": asked.zone}


def _when(asked: Asked) -> str:
    span = _span(asked)
    return when(span["start_date"], span["end_date"])


def _sentence(on: Sequence[Any], proposed: Sequence[Any], asked: Asked) -> str:
    first = "No policy is on."
    if on:
        saved = written.usd(sum(each.acted.saved_nanos for each in on))
        first = f"{'1 policy' if len(on) == 1 else f'{len(on)} policies'} on: {saved} saved."
    if not proposed:
        return first
    best = proposed[0]
    more = f"{best.policy.name} would have saved {written.usd(best.saved_nanos)} of {written.usd(best.cost_nanos)}"
    return f"{first}  {more}{_when(asked)}."


def _table(known: Sequence[Any], proposed: Sequence[Any]) -> Table:
    table = Table(label="Policies")
    policies = [each.policy for each in (*known, *proposed)]
    states = [each.state for each in known] + ["proposed"] * len(proposed)
    table.names("name", [each.name for each in policies])
    table.names("state", states, tones=[_TONES.get(each, "nothing") for each in states])
    table.names("what", [each.said for each in policies], is_wide=True)
    acts = [each.acted.calls for each in known] + [each.acts for each in proposed]
    table.numbers("acts on", acts, goes=1)
    table.money("saves", [each.acted.saved_nanos for each in known] + [each.saved_nanos for each in proposed])
    return table


def _log(asked: Asked, manager: PolicyManager) -> Table:
    found = list(manager.log())[::-1]
    table = Table(label="Who has changed what")
    table.names("when", [written.moment(each.at, asked.zone) for each in found])
    table.names("policy", [each.name for each in found])
    table.names("what", [each.kind for each in found])
    table.names("by", [each.by for each in found])
    table.names("why", [each.why or "" for each in found], is_wide=True)
    return table
