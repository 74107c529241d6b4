"""A record as a flat row of named fields, the same in every kind of file, and back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Literal, NamedTuple

from tc_core.model import money
from tc_core.model.attempt import Attempt
from tc_core.model.event import TrackingEvent
from tc_core.model.provenance import ProvenanceRelationship
from tc_core.model.recorded import Recorded
from tc_core.model.scope import DIMENSIONS, label_text
from tc_core.model.usage import MOST_TOKENS, Usage, is_count

Kind = Literal["text", "int", "float", "moment", "date", "json"]
Row = Mapping[str, Any]

_TEXTS = ("name", "model", "provider", "served_model", "service_tier", "status", "error_type")

FIELDS: dict[str, Kind] = {
    "event_id": "text",
    "timestamp": "moment",
    "event_type": "text",
    "parent_id": "text",
    "root_id": "text",
    "depth": "int",
    **dict.fromkeys(_TEXTS, "text"),
    "latency_ms": "float",
    **dict.fromkeys(Usage._fields, "int"),
    "usage_source": "text",
    "cost": "float",
    "cost_nanos": "int",
    "price_source": "text",
    "price_date": "date",
    "charges": "json",
    "charges_nanos": "int",
    **dict.fromkeys(DIMENSIONS, "text"),
    "labels": "json",
    "metadata": "json",
    "relations": "json",
    "attempts": "json",
}
"""Every field and its kind, in the order in which files have them. Times are aware UTC, `cost` is US dollars."""

_DERIVED = ("root_id", "depth")  # follow from the parents, so that they are told and not read
_OWN = tuple(name for name in FIELDS if name not in ("relations", "attempts"))
_NO_USAGE = dict.fromkeys(Usage._fields)


class Line(NamedTuple):
    """What one line (row) of a file holds: a record, or why it is none. Lines count from 1; 0 is the whole file."""

    number: int
    record: Recorded | None
    problem: str = ""


def to_row(record: Recorded) -> dict[str, Any]:
    """Return all fields of a record; unset ones are None, or empty where they hold several things."""
    row = {name: getattr(record.event, name) for name in _OWN}
    row["relations"] = [relation.to_dict() for relation in record.relations]
    row["attempts"] = [attempt._asdict() for attempt in record.attempts]
    return row


def to_record(row: Row, tz: tzinfo) -> Recorded:
    """Read a row; None and missing fields are unset, a moment without an offset is in `tz`.

    Raises ValueError that names the field for what is not an event.
    """
    unknown = row.keys() - FIELDS.keys()
    if unknown:
        raise ValueError(f"{min(unknown)!r} is no field of an event")
    facts = {
        name: _READERS[FIELDS[name]](name, row[name])
        for name in _OWN
        if name not in _DERIVED and row.get(name) is not None
    }
    for name in ("event_id", "timestamp"):
        if name not in facts:
            raise ValueError(f"{name} is missing")
    if facts["timestamp"].tzinfo is None:
        facts["timestamp"] = facts["timestamp"].replace(tzinfo=tz)
    facts["timestamp"] = facts["timestamp"].astimezone(UTC)
    if "cost" in facts:
        facts.setdefault("cost_nanos", money.to_nanos(facts.pop("cost")))
    event = TrackingEvent(**facts)
    _check(event)
    return Recorded(
        event,
        [_relation(each) for each in _list("relations", row.get("relations"))],
        [_attempt(each) for each in _list("attempts", row.get("attempts"))],
    )


def lines(rows: Iterable[tuple[int, Row | str]], tz: tzinfo) -> Iterable[Line]:
    """Read numbered rows; a text in the place of a row says why there is none."""
    for number, row in rows:
        if isinstance(row, str):
            yield Line(number, None, row)
            continue
        try:
            yield Line(number, to_record(row, tz))
        except (ValueError, OverflowError) as error:
            yield Line(number, None, str(error))


def _check(event: TrackingEvent) -> None:
    """Raise ValueError for what no store can hold; usage that contradicts itself is what some provider reported."""
    replace(event, **_NO_USAGE).check()  # type: ignore[arg-type]  # all of them may be None
    for name, value in zip(Usage._fields, event.usage, strict=True):
        if value is not None and not is_count(value):
            raise ValueError(f"{name} must be a whole number from 0 to {MOST_TOKENS:,}, not {value!r}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, not {value!r}")
    return label_text(value)


def _int(name: str, value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    return value


def _float(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")
    return float(value)


def _moment(name: str, value: object) -> datetime:
    try:
        return value if isinstance(value, datetime) else datetime.fromisoformat(_text(name, value))
    except ValueError as error:
        raise ValueError(f"{name} must be a time like 2026-01-31T12:30:00+00:00, not {value!r}") from error


def _date(name: str, value: object) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(_text(name, value))
    except ValueError as error:
        raise ValueError(f"{name} must be a date like 2026-01-31, not {value!r}") from error


def _mapping(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must hold names and values, not {value!r}")
    return dict(value)


def _list(name: str, value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{name} must be a list, not {value!r}")
    return value or []


def _relation(plain: object) -> ProvenanceRelationship:
    try:
        return ProvenanceRelationship(**_mapping("relations", plain))
    except TypeError as error:
        raise ValueError(f"a relation cannot be read: {plain!r}") from error


def _attempt(plain: object) -> Attempt:
    try:
        return Attempt(**_mapping("attempts", plain))
    except TypeError as error:
        raise ValueError(f"an attempt cannot be read: {plain!r}") from error


_READERS: dict[Kind, Callable[[str, object], Any]] = {
    "text": _text,
    "int": _int,
    "float": _float,
    "moment": _moment,
    "date": _date,
    "json": _mapping,
}
