"""Model names: what frameworks call a model, and what tokenizers and price tables call it."""

import re
from collections.abc import Iterator

LOCAL_PROVIDERS = frozenset(
    {"ollama", "llamacpp", "llama_cpp", "llamafile", "hosted_vllm", "vllm", "lmstudio", "lm_studio"}
)
"""Providers that run on the user's own machine and send no bill."""

_PROVIDER_NAMES = {
    "amazon_bedrock": "aws",
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "gemini": "google",
    "google_anthropic_vertex": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertexai": "google",
    "xai": "x-ai",
}
_PREFIX = re.compile(r"([a-z][a-z0-9_\-]*)[/:](.+)")
_PUBLISHED = re.compile(r"^(?:.*/)?publishers/[^/]+/models/")  # Google's full names
_BEDROCK = re.compile(r"(?:[a-z\-]+\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\.")
_DATE = re.compile(r"[-@](20\d\d-?\d\d-?\d\d)$")


def provider_name(provider: str | None) -> str | None:
    """Return the name that price tables use for a provider as a framework calls it."""
    if provider is None:
        return None
    provider = provider.lower()
    return _PROVIDER_NAMES.get(provider, provider)


def is_local(provider: str | None, model: str) -> bool:
    """Tell whether a model runs on the user's own machine."""
    prefix = _PREFIX.match(model.lower())
    return (provider or "").lower() in LOCAL_PROVIDERS or bool(prefix and prefix[1] in LOCAL_PROVIDERS)


def spellings(model: str, provider: str | None = None) -> Iterator[tuple[str | None, str]]:
    """Yield pairs (provider, model) to look a model up by, the most literal first.

    A prefix (`openai/gpt-4o`, `models/gemini-2.5-pro`), a provider unknown to the table and a date at the
    end are given up one after another.
    """
    model = model.strip().lower()
    known = provider_name(provider)
    plain = _PUBLISHED.sub("", model).removeprefix("models/")
    prefix = _PREFIX.fullmatch(plain)
    pairs = [(known, plain), (None, plain)]
    if prefix and prefix[1] != "ft":
        pairs += [(provider_name(prefix[1]), prefix[2]), (known, prefix[2]), (None, prefix[2])]
    if known is None:
        pairs.append(("openai", plain))  # names that only OpenAI uses, such as text-embedding-3-small
        if _BEDROCK.match(plain):
            pairs.append(("aws", plain))
    pairs += [(name, _DATE.sub("", text)) for name, text in pairs if _DATE.search(text)]
    yield from dict.fromkeys(pairs)


def bare_name(model: str) -> str:
    """Return the model's name without provider prefix, `ft:` and path, for tokenizer tables."""
    name = model.strip().lower().removeprefix("ft:")
    return name.rsplit("/", 1)[-1].removeprefix("openai:").removeprefix("azure:")
