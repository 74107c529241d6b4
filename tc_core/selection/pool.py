"""Which models are looked at, where nobody names them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tc_core.costs.savings.cheaper_models import SMALLER
from tc_core.meter import catalogue, own_prices
from tc_core.selection.facts import Place, Stated, place_of
from tc_core.selection.known_models import KNOWN_PROVIDERS, known

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

_NO_CHAT = re.compile(
    r"embed|image|audio|tts|transcri|realtime|whisper|moderation|ocr|rerank|live|voice|speech|veo|imagen|lyria|guard"
    r"|search|research|computer-use|instruct|robotics|omni|banana|video|^ft:|\.ft-|:free|:extended"
)
"""Models that do something else than converse, or whose price is another's."""

_SIZES = {
    **dict.fromkeys(("pro", "opus", "astra", "fable", "mythos", "ultra", "large"), 0),
    **dict.fromkeys(("mini", "flash", "haiku", "terra", "small", "fast"), 2),
    **dict.fromkeys(("nano", "lite", "luna", "tiny"), 3),
}
"""How makers call the sizes of their models, the largest first; one without such a word has the size 1."""

_FAMILY, _WORD = re.compile(r"[a-z]+"), re.compile(r"[a-z0-9.]+")


def pool(
    current: str | None, named: Sequence[str] | None, used: Iterable[str], stated: Mapping[str, Stated]
) -> list[str]:
    """Return the models to look at: those that are named, else those of the current one's provider and of the user.

    A name may be that of a provider and stands for all its models. The user's are those in the store, in the table of
    models and in the own prices. The current one comes first.
    """
    providers = _providers()
    if named is None:
        place = None if current is None else place_of(current)
        mine = [name for name in stated if name not in providers]
        own = [entry.model for entry in own_prices.load().entries]
        same = [] if place is None or place.provider not in providers else _of(providers[place.provider], place)
        found = [*used, *mine, *own, *same]
    else:
        found = [
            each for name in named for each in (_of(providers[name], None) if name in providers else [name.strip()])
        ]
    first = [] if current is None else [current]
    return _once([*first, *(name for name in found if name)])


def is_smaller_sibling(model: str, current: str) -> bool:
    """Tell whether a model is by its name a smaller one of the current one's family."""
    ours, theirs = place_of(current), place_of(model)
    if ours is None or theirs is None or ours.provider != theirs.provider:
        return False
    if theirs.model in SMALLER.get(ours.model, ()):
        return True
    return _family(ours.model) == _family(theirs.model) and _size(theirs.model) > _size(ours.model)


def _family(model: str) -> str | None:
    found = _FAMILY.search(model.rpartition("/")[2])
    return None if found is None else found[0]


def _size(model: str) -> int:
    sizes = [_SIZES[word] for word in _WORD.findall(model) if word in _SIZES]
    return max(sizes) if any(sizes) else min(sizes, default=1)


def _once(names: Iterable[str]) -> list[str]:
    """Return names, each model of the price table once, by the name that comes first."""
    found: dict[object, str] = {}
    for name in names:
        found.setdefault(place_of(name) or name, name)
    return list(found.values())


def _of(provider: "Provider", place: Place | None) -> list[str]:
    """Return the models of a provider that converse, and are of the same maker where it serves those of several."""
    maker, slash, _ = (place.model if place is not None else "").partition("/")
    models = [info.id for info in provider.models if _converses(provider.id, info)]
    return [name for name in models if not slash or name.startswith(f"{maker}/")]


def _converses(provider: str, info: "ModelInfo") -> bool:
    if provider in KNOWN_PROVIDERS:  # what is not known there is sold no more, or does not converse
        return known(provider, info.id) is not None
    if info.context_window is None or info.deprecated or _NO_CHAT.search(info.id):
        return False
    given = [each.prices for each in info.prices] if isinstance(info.prices, list) else [info.prices]
    return all(each.input_mtok is not None and each.output_mtok is not None for each in given)


def _providers() -> "dict[str, Provider]":
    from genai_prices.data import providers

    return {each.id: each for each in providers if each.id not in catalogue.LOCAL_PROVIDERS}
