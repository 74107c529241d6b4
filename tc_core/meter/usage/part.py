"""What of a provider's body is about usage, as a small plain value that a spool can hold."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Any, Literal

from tc_core.model.usage import Report

Fields = Mapping[str, Any]

MOST_DEPTH = 6
MOST_NODES = 1000
MOST_NAME = 64
MOST_WORD = 128
MOST_NUMBER = 2**53
_LEAST = -MOST_NUMBER

NO_NUMBER = "?"
"""Stands where a text, or a number that JSON cannot hold, was in the place of a count: seen by `read`, never kept."""

_USAGE = (
    "usage",
    "usageMetadata",
    "usage_metadata",
    "token_usage",
    "token_count",
    "usage_info",
    "amazon-bedrock-invocationMetrics",
)
_WITHIN = ("response", "message", "result", "metadata", "x_groq", "meta", "delta")
"""Where streams, wrappers and Cohere keep the usage one level deeper."""


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_FLAT = _names(
    """
    prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details cached_tokens
    cached_prompt_tokens cache_creation_tokens reasoning_tokens prompt_cache_hit_tokens prompt_cache_miss_tokens
    input_tokens output_tokens input_tokens_details output_tokens_details input_token_details output_token_details
    cache_read_input_tokens cache_creation_input_tokens cache_write_input_tokens cache_creation server_tool_use
    iterations speed inference_geo promptTokenCount candidatesTokenCount thoughtsTokenCount toolUsePromptTokenCount
    totalTokenCount cachedContentTokenCount promptTokensDetails promptTokenDetails candidatesTokensDetails
    cacheTokensDetails toolUsePromptTokensDetails trafficType serviceTier prompt_token_count candidates_token_count
    thoughts_token_count tool_use_prompt_token_count total_token_count cached_content_token_count
    candidates_tokens_details cache_tokens_details tool_use_prompt_tokens_details traffic_type inputTokens outputTokens
    totalTokens cacheReadInputTokens
    cacheWriteInputTokens cacheReadInputTokenCount cacheWriteInputTokenCount cacheDetails serverToolUsage
    inputTokenCount outputTokenCount inputTextTokenCount generation_token_count prompt_eval_count eval_count
    results billed_units tokens cost cost_details is_byok num_search_queries citation_tokens
    """
)
"""What is usage where it stands among the other fields of a body, or was handed over alone."""

_OF_INPUT = frozenset(
    (
        "prompt_tokens",
        "input_tokens",
        "promptTokenCount",
        "prompt_token_count",
        "inputTokens",
        "total_tokens",
        "totalTokenCount",
        "total_token_count",
        "prompt_eval_count",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        "billed_units",
        "inputTokenCount",
        "inputTextTokenCount",
    )
)
_OF_OUTPUT = frozenset(
    (
        "completion_tokens",
        "output_tokens",
        "candidatesTokenCount",
        "candidates_token_count",
        "thoughtsTokenCount",
        "thoughts_token_count",
        "outputTokens",
        "total_tokens",
        "totalTokenCount",
        "total_token_count",
        "eval_count",
        "billed_units",
        "outputTokenCount",
        "generation_token_count",
    )
)

_COUNTS = frozenset(name for name in _FLAT if name.endswith(("_tokens", "_count", "Tokens", "TokenCount", "_units")))
_WORDS = _names("type modality ttl model service_tier serviceTier speed inference_geo traffic_type trafficType")
"""Fields of a usage whose short texts are words of the provider's, not of people."""


def usage_part(body: object) -> dict[str, Any] | None:
    """Return what a body says about usage as plain JSON, or None where it says nothing.

    `body` is a provider's answer, or its usage alone: a dict or the object of a client library. Texts are neither
    read nor copied, and size and depth are bounded, since a call waits for this. What comes out: `usage` as the
    provider spells it, and where they are told `model`, `provider`, `object`, `service_tier`, `response_cost`, `tools`
    (how often the provider's own tools ran), `searches` (how many it made) and `cache_reason` (why it says that its
    prompt cache was missed); `is_cut` where there was too much.
    An adapter that knows of a call of which the counts are only a part adds `is_partial`.
    """
    fields = _fields(body)
    if fields is None:
        return None
    found = _part(fields, fields)
    if found is not None:
        return found
    for name in _WITHIN:
        place = _fields(fields.get(name))
        if place is not None and (found := _part(place, fields)) is not None:
            return found
    return None


def _part(place: Fields, whole: Fields) -> dict[str, Any] | None:
    usage = _usage(place)
    if usage is None:
        return None
    copy = _Copy()
    copied = copy.of(usage, MOST_DEPTH)
    return _with_facts(copied, place, whole, is_cut=copy.is_cut) if copied else None


def join_parts(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return what two events of one stream report: Anthropic tells the input in the first, the output in the last.

    What is told later counts, but a zero does not take back a count: some servers fill up what they do not tell.
    """
    known = {name: value for name, value in later["usage"].items() if value not in (0, NO_NUMBER)}
    return {**earlier, **later, "usage": {**later["usage"], **earlier["usage"], **known}}


def tells_both(part: Report) -> bool:
    """Tell at a glance whether a part has input and output, or what they follow from: then no text needs counting."""
    told = part["usage"]
    return not _OF_OUTPUT.isdisjoint(told) and any(told[name] for name in _OF_INPUT.intersection(told))


def _usage(place: Fields) -> Fields | None:
    for name in _USAGE:
        found = place.get(name)
        if found is not None and (fields := _fields(found)):
            return fields
    told = _COUNTS.intersection(place)
    if told and any(place[name] is not None for name in told):
        return {name: place[name] for name in _FLAT.intersection(place)}
    return None


class _Copy:
    """A bounded plain copy of what providers report."""

    def __init__(self) -> None:
        self.left, self.is_cut = MOST_NODES, False

    def of(self, fields: Fields, depth: int) -> dict[str, Any]:
        """Return the numbers of some fields, and the words that are the provider's own."""
        copied: dict[str, Any] = {}
        room, self.left = self.left, self.left - len(fields)
        if self.left < 0:
            self.is_cut, self.left = True, 0
        for name, value in fields.items() if room >= len(fields) else islice(fields.items(), room):
            if value is None or type(name) is not str or len(name) > MOST_NAME:
                continue
            kind = type(value)
            if kind is int:
                copied[name] = value if _LEAST <= value <= MOST_NUMBER else NO_NUMBER
            elif kind is dict:
                if depth > 1:
                    copied[name] = self.of(value, depth - 1)
                else:
                    self.is_cut = True
            elif kind is bool:
                copied[name] = value
            elif kind is float:
                copied[name] = value if isfinite(value) else NO_NUMBER
            elif kind is str or _sort(kind) == "enumeration":  # type: ignore[arg-type]  # a type has a hash
                copied[name] = (_word(value) if name in _WORDS else None) or NO_NUMBER
            elif kind is list:
                copied[name] = self._items(value, depth - 1)
            else:
                inner = _fields(value)
                if inner is None:
                    copied[name] = NO_NUMBER
                elif depth <= 1:
                    self.is_cut = True
                else:
                    copied[name] = self.of(inner, depth - 1)
        return copied

    def _items(self, values: list[Any], depth: int) -> list[dict[str, Any]]:
        """Return the items of a list that have fields; nobody reports counts in bare lists."""
        self.is_cut |= depth <= 0 or len(values) > MOST_NODES
        inner = [_fields(value) for value in values[:MOST_NODES]] if depth > 0 else []
        return [self.of(fields, depth) for fields in inner if fields is not None and self.left > 0]


def _with_facts(usage: dict[str, Any], place: Fields, whole: Fields, *, is_cut: bool) -> dict[str, Any]:
    part: dict[str, Any] = {"usage": usage}
    _add_words(part, place)
    if place is not whole:
        _add_words(part, whole)
    elif _BESIDE.isdisjoint(whole):  # most answers: nothing else to look for
        if is_cut:
            part["is_cut"] = True
        return part
    if "service_tier" not in part and "serviceTier" in whole:
        tier = _word((_fields(whole["serviceTier"]) or {}).get("type"))  # of Bedrock
        part |= {"service_tier": tier} if tier else {}
    if not _COUNTED.isdisjoint(place) or not _OF_LITELLM.isdisjoint(whole):
        for name, value in (("response_cost", _cost(whole)), ("tools", _tools(place)), ("searches", _searches(place))):
            if value:
                part[name] = value
    for fields in () if _DIAGNOSED.isdisjoint(place) and _DIAGNOSED.isdisjoint(whole) else (place, whole):
        if reason := _cache_reason(fields):
            part["cache_reason"] = reason
    if is_cut or whole.get("is_cut") is True:
        part["is_cut"] = True
    return part


def _add_words(part: dict[str, Any], fields: Fields) -> None:
    for name, spelled in _facts_told(_TOLD.intersection(fields)):
        if name not in part and (word := _word(fields[spelled])):
            part[name] = word


@lru_cache(maxsize=256)
def _facts_told(told: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, spelled) for name, spelled in _FACTS if spelled in told)


_FACTS = (
    ("model", "model"),
    ("model", "modelVersion"),
    ("model", "model_version"),
    ("model", "model_name"),
    ("model", "modelId"),
    ("provider", "provider"),
    ("provider", "model_provider"),
    ("object", "object"),
    ("service_tier", "service_tier"),
    ("service_tier", "serviceTier"),
)
_TOLD = frozenset(spelled for _, spelled in _FACTS)
_DIAGNOSED = _names("diagnostics prompt_cache_diagnostics cache_reason")
_COUNTED = _names("tools output searches candidates groundingMetadata grounding_metadata")
_OF_LITELLM = _names("_hidden_params response_cost")
_BESIDE = _names("serviceTier is_cut") | _DIAGNOSED | _COUNTED | _OF_LITELLM


def _cache_reason(place: Fields) -> str | None:
    """Return why the provider itself says that its prompt cache was missed: OpenAI's word, or Anthropic's."""
    if told := _word(place.get("cache_reason")):  # an earlier reading
        return told
    of_openai = _fields(place.get("prompt_cache_diagnostics")) or {}
    kind = _word(of_openai.get("type"))
    if kind is not None:
        return None if kind == "cache_hit" else _word(of_openai.get("reason")) or kind
    of_anthropic = (_fields(place.get("diagnostics")) or {}).get("cache_miss_reason")
    return _word((_fields(of_anthropic) or {}).get("type", of_anthropic))


def _word(value: object) -> str | None:
    if type(value) is str:
        return value if 0 < len(value) <= MOST_WORD else None
    value = value.value if isinstance(value, Enum) else value
    return str(value) if isinstance(value, str) and 0 < len(value) <= MOST_WORD else None


def _cost(whole: Fields) -> int | float | None:
    """Return the cost that LiteLLM adds to the answer."""
    hidden = whole.get("_hidden_params")
    cost = whole.get("response_cost") if hidden is None else (_fields(hidden) or {}).get("response_cost")
    return cost if isinstance(cost, (int, float)) and -MOST_NUMBER < cost < MOST_NUMBER else None


def _tools(place: Fields) -> dict[str, int] | None:
    """Count how often the provider's own tools ran, by the type of what it put out for them."""
    told, output = place.get("tools"), place.get("output")
    if type(told) is dict:  # an earlier reading
        return {name: count for name, count in told.items() if type(name) is str and type(count) is int}
    ran: dict[str, int] = {}
    for item in islice(output, MOST_NODES) if isinstance(output, list) else ():
        fields = _fields(item) or {}
        kind = fields.get("type")
        if type(kind) is not str or not kind.endswith("_call") or kind == "function_call" or len(kind) > MOST_NAME:
            continue
        action = (_fields(fields.get("action")) or {}).get("type")
        if kind != "web_search_call" or action in (None, "search"):  # opening a page that was found is no search
            ran[kind] = ran.get(kind, 0) + 1
    return ran or None


def _searches(place: Fields) -> int | None:
    """Count the searches with which Gemini grounded its candidates."""
    told, candidates = place.get("searches"), place.get("candidates")
    if type(told) is int:
        return told
    count = _grounding(place)
    for each in islice(candidates, MOST_NODES) if isinstance(candidates, list) else ():
        count += _grounding(_fields(each) or {})
    return count or None


def _grounding(place: Fields) -> int:
    fields = _fields(place.get("groundingMetadata") or place.get("grounding_metadata"))
    if fields is None:
        return 0
    found = (fields.get(name) for name in ("webSearchQueries", "web_search_queries"))
    return next((len(queries) for queries in found if isinstance(queries, list)), 0)


def _fields(value: object) -> Fields | None:
    """Return the fields of a dict or of a client library's object, without running any code of its own."""
    kind = type(value)
    if kind is dict:
        return value  # type: ignore[return-value]  # mypy does not see it in `kind`
    sort = _sort(kind)  # type: ignore[arg-type]  # a type has a hash
    if sort != "object":
        return value if sort == "mapping" else None  # type: ignore[return-value]
    fields = getattr(value, "__dict__", None)
    if type(fields) is not dict:
        return None
    extra = getattr(value, "__pydantic_extra__", None)  # what the library's model does not know yet
    private = getattr(value, "__pydantic_private__", None)  # where LiteLLM keeps the cost
    return {**fields, **(extra or {}), **(private or {})} if extra or private else fields


@lru_cache(maxsize=256)
def _sort(kind: type[Any]) -> Literal["plain", "mapping", "enumeration", "object"]:
    """Tell what the values of a type are; asking `isinstance` for each takes longer than copying it."""
    if kind is type(None) or kind in (str, int, float, bool, bytes, list, tuple, set) or issubclass(kind, type):
        return "plain"
    if issubclass(kind, Enum):
        return "enumeration"
    return "mapping" if issubclass(kind, Mapping) else "object"
