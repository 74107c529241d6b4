"""Who answers at which address, as price tables call them."""

from functools import lru_cache
from urllib.parse import urlsplit

_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "inference.ai.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "googleapis.com": "google",
    "amazonaws.com": "aws",
    "api.cerebras.ai": "cerebras",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.minimax.io": "minimax",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.novita.ai": "novita",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.voyageai.com": "voyageai",
    "api.x.ai": "x-ai",
    "api.z.ai": "zai",
    "openrouter.ai": "openrouter",
}
"""The end of a host's name, and what prices call who answers there."""

_SPOKEN = frozenset({None, "openai", "anthropic"})
"""Whose language others speak too, so that a class of theirs may ask anybody; None is a class for all who do."""


def provider_of_host(host: str) -> str | None:
    """Return who answers at a host, None where that is not known."""
    host = host.lower()
    return next((name for end, name in _HOSTS.items() if host == end or host.endswith(f".{end}")), None)


def provider_at(provider: str | None, address: object) -> str | None:
    """Return whom a framework's class asks: who answers at its address, where `provider` alone does not say that.

    >>> provider_at("openai", "https://api.groq.com/openai/v1")
    'groq'
    """
    if provider not in _SPOKEN or not isinstance(address, str):
        return provider
    return _at(address) or provider


@lru_cache(maxsize=256)
def _at(address: str) -> str | None:
    try:
        host = urlsplit(address).hostname
    except ValueError:
        return None
    return None if host is None else provider_of_host(host)
