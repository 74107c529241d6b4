"""The texts of what a program gives as labels: any object, of which the call must not depend."""

from collections.abc import Mapping

from tc_core.model.scope import MOST_CHARACTERS, bounded_text
from tc_core.record.guard import attempt


class LabelTexts(dict[str, str | None]):
    """Labels that are texts already."""


def label_texts(values: Mapping[str, object]) -> Mapping[str, str | None]:
    """Return the labels as texts, each at most `MOST_CHARACTERS` long; None stays None.

    A label whose text cannot be had is left out, and counted as a fault. Equal values with different texts, such as 1,
    True and 1.0, keep their own, since nothing is compared here.
    """
    if type(values) is LabelTexts:
        return values
    texts = LabelTexts()
    for name, value in values.items():
        is_name = type(name) is str and len(name) <= MOST_CHARACTERS
        if is_name and (value is None or (type(value) is str and len(value) <= MOST_CHARACTERS)):
            texts[name] = value
            continue
        said = attempt(bounded_text, value)
        written = name if is_name else attempt(bounded_text, name)
        if said is not None and written is not None:
            texts[written] = said
    return texts
