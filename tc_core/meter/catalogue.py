"""Model names: what frameworks call a model, and what tokenizers and price tables call it."""

import re
from collections.abc import Collection, Iterator

LOCAL_PROVIDERS = frozenset(
    {"ollama", "llamacpp", "llama_cpp", "llamafile", "hosted_vllm", "vllm", "lmstudio", "lm_studio"}
)
"""Providers that run on the user's own machine and send no bill."""

ON_LOOPBACK = "local"
"""What answers on the user's own machine at a port that does not tell: a server of models, or a gateway to others'."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal"})  # noqa: S104  # asked, not bound
_LOCAL_PORTS = {11434: "ollama", 1234: "lmstudio"}

FREE, ONLINE = ":free", ":online"
_ROUTES = (":nitro", ":floor", ":exacto", ":thinking", ":extended", ":beta", ONLINE)
"""How OpenRouter is told to choose who serves a model; the model is the same."""

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
_DATE = re.compile(r"[-@._:](20\d\d[-_.]?\d\d[-_.]?\d\d)$")
_OF_CLOUDS = ("azure/", "bedrock/", "vertex_ai/", "openrouter/")


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


def provider_at(host: str, port: int | None) -> str | None:
    """Return who answers on this machine, or in its network by a name in `.local`; None for any other host."""
    host = host.lower().strip("[]")
    if host not in _LOOPBACK and not host.endswith(".local"):
        return None
    return _LOCAL_PORTS.get(port or 0, ON_LOOPBACK)


def is_of_cloud(model: str) -> bool:
    """Tell whether a gateway's name for a model says that a cloud serves it."""
    return model.lower().startswith(_OF_CLOUDS)


def is_free(provider: str | None, model: str) -> bool:
    """Tell whether a model is one of those that OpenRouter serves for nothing."""
    return model.endswith(FREE) and (provider_name(provider) == "openrouter" or "/" in model)


def without_route(model: str) -> str:
    """Return the name of a model without OpenRouter's suffix; `:free` is a price of its own."""
    return next((model.removesuffix(each) for each in _ROUTES if model.endswith(each)), model)


def model_within(deployment: str, models: Collection[str]) -> str | None:
    """Return the one model that a deployment's name holds as whole words; None where anything in it is another's.

    `gpt-4o-prod` is gpt-4o; `gpt-4o-turbo` may be anything, since `turbo` is a word of other models' names.
    """
    words = _WORD.findall(_DATE.sub("", deployment.lower()))
    spelled = {tuple(_WORD.findall(name)): name for name in models if "-" in name and any(map(str.isdigit, name))}
    places = {(at, end) for at in range(len(words)) for end in range(at + 1, len(words) + 1)}
    held = {place for place in places if tuple(words[slice(*place)]) in spelled}
    if not held:
        return None
    at, end = max(held, key=lambda place: place[1] - place[0])
    known = {word for name in spelled for word in name}
    if any(word in known or word.isdigit() for word in (*words[:at], *words[end:])):
        return None
    return spelled[tuple(words[at:end])]


_WORD = re.compile(r"[a-z0-9.]+")


def spellings(model: str, provider: str | None = None) -> Iterator[tuple[str | None, str]]:
    """Yield pairs (provider, model) to look a model up by, the most literal first.

    A prefix (`openai/gpt-4o`, `models/gemini-2.5-pro`), a provider unknown to the table, OpenRouter's suffix and a date
    at the end are given up one after another.
    """
    model = model.strip().lower()
    known = provider_name(provider)
    if (routed := without_route(model)) != model:
        yield "openrouter", model.removeprefix("openrouter/")
        yield from spellings(routed, provider)
        return
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
    """Return the model's name without provider prefix, `ft:`, path and OpenRouter's suffix, for tokenizer tables."""
    name = without_route(model.strip().lower().removesuffix(FREE)).removeprefix("ft:")
    return name.rsplit("/", 1)[-1].removeprefix("openai:").removeprefix("azure:")
