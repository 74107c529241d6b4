"""Labels with so many values that they are not rolled up: questions for them are answered from the rows."""

from sqlalchemy import Connection

from tc_core.store.engine.interning import InternedTexts

MOST_VALUES = 1_000
"""How many values a label may have before it is no longer rolled up."""


def meaning_of(label: str) -> str:
    """Say what it means that a label is wide, and what to do."""
    return (
        f"the label {label!r} has more than {MOST_VALUES:,} values: questions for it read all events of their period; "
        "put what differs from call to call into metadata"
    )


def wide_labels(connection: Connection, interned: InternedTexts) -> dict[str, int]:
    """Return the labels that are not rolled up, and since when (us UTC)."""
    found = connection.exec_driver_sql("SELECT label, since FROM wide_label").all()
    texts = interned.values(connection, {label for label, _ in found}) if found else {}
    return {texts[label]: since for label, since in found}
