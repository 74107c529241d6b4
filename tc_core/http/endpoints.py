"""Which requests ask a model: of whom, for what, and by what name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from tc_core.meter import catalogue, hosts

CallType = Literal["llm_call", "embedding"]

_OPENAI: Mapping[str, CallType] = {
    "/chat/completions": "llm_call",
    "/completions": "llm_call",
    "/responses": "llm_call",
    "/embeddings": "embedding",
}
_GOOGLE = re.compile(r"(?:/publishers/(?P<owner>[^/]+))?/models/(?P<model>[^/:]+):(?P<verb>\w+)$")
_GOOGLE_VERBS: Mapping[str, CallType] = {
    "generateContent": "llm_call",
    "streamGenerateContent": "llm_call",
    "rawPredict": "llm_call",  # Anthropic's models there
    "streamRawPredict": "llm_call",
    "embedContent": "embedding",
    "batchEmbedContents": "embedding",
}
_BEDROCK = re.compile(r"/model/(?P<model>.+)/(?:converse|converse-stream|invoke|invoke-with-response-stream)$")
_EMBEDS = re.compile(r"embed", re.IGNORECASE)
_AZURE = re.compile(r"/deployments/(?P<model>[^/]+)/")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to a model."""

    event_type: CallType
    provider: str | None
    """None for who speaks OpenAI's language at an address that we do not know, `local` for one on this machine."""
    model: str | None
    body: Mapping[str, Any]
    """What was sent, empty where that cannot be read again."""


def asked(request: Any) -> Asked | None:
    """Return what a request of httpx asks a model for; None for any other request.

    A body that the program hands over piece by piece is not read here.
    """
    if request.method != "POST" or "multipart" in request.headers.get("content-type", ""):
        return None
    path, host = request.url.path.rstrip("/"), request.url.host.lower()
    for end, event_type in _OPENAI.items():
        if path.endswith(end):
            body, deployed = _body(request), _AZURE.search(path)
            model = _text(body.get("model")) or (deployed["model"] if deployed else None)
            provider = hosts.provider_of_host(host) or (
                "azure" if deployed else catalogue.provider_at(host, request.url.port)
            )
            return Asked(event_type, provider, model, body)
    if path.endswith("/messages") and "anthropic-version" in request.headers:
        body = _body(request)
        return Asked("llm_call", hosts.provider_of_host(host) or "anthropic", _text(body.get("model")), body)
    google = _GOOGLE.search(path)
    if google is not None and google["verb"] in _GOOGLE_VERBS:
        return Asked(_GOOGLE_VERBS[google["verb"]], "google", unquote(google["model"]), _body(request))
    bedrock = _BEDROCK.search(path)
    if bedrock is not None:
        model = unquote(bedrock["model"])
        return Asked("embedding" if _EMBEDS.search(model) else "llm_call", "aws", model, _body(request))
    return None


def content(request: Any) -> bytes:
    """Return what a request sends, where that is there already; nothing of what is handed over piece by piece."""
    try:
        sent: bytes = request.content
    except RuntimeError:  # RequestNotRead, of httpx or of httpx2
        return b""
    return sent


def _body(request: Any) -> Mapping[str, Any]:
    try:
        body = orjson.loads(content(request))
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
