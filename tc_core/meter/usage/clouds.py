"""How Google and Amazon spell their counts, and their client libraries in snake case."""

from typing import Any

from tc_core.meter.usage.counts import Counts, Fields, Spelled
from tc_core.model.usage import is_count


def gemini(counts: Counts) -> Spelled:
    """Return the counts of `usageMetadata`."""
    first = counts.first
    usage: dict[str, Any] = {
        "promptTokenCount": first("promptTokenCount", "prompt_token_count"),
        "candidatesTokenCount": first(
            "candidatesTokenCount", "candidates_token_count", "responseTokenCount", "response_token_count"
        ),
        "cachedContentTokenCount": first(
            "cachedContentTokenCount", "cached_content_token_count", "cached_prompt_tokens"
        ),
        "thoughtsTokenCount": first("thoughtsTokenCount", "thoughts_token_count", "reasoning_tokens"),
        "toolUsePromptTokenCount": first("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
        "total_tokens": first("totalTokenCount", "total_token_count"),
    }
    for name, spellings in _MODALITIES.items():
        found = next((each for each in map(counts.usage.get, spellings) if isinstance(each, list)), ())
        usage[name] = [
            {"modality": _modality(each), "tokenCount": count}
            for each in found
            if isinstance(each, dict)
            and is_count(count := each.get("tokenCount", each.get("token_count")))
            and _modality(each) is not None
        ]
    return Spelled("google", "default", usage)


_MODALITIES = {
    "promptTokensDetails": ("promptTokensDetails", "prompt_tokens_details", "promptTokenDetails"),
    "candidatesTokensDetails": (
        "candidatesTokensDetails",
        "candidates_tokens_details",
        "responseTokensDetails",
        "response_tokens_details",
    ),
    "cacheTokensDetails": ("cacheTokensDetails", "cache_tokens_details"),
    "toolUsePromptTokensDetails": ("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"),
}


def _modality(each: Fields) -> str | None:
    modality = each.get("modality")
    return modality.rsplit(".", 1)[-1].upper() if isinstance(modality, str) else None


def converse(counts: Counts) -> Spelled:
    """Return the counts of Bedrock's Converse API, which counts the cache beside the input."""
    first = counts.first
    details = counts.usage.get("cacheDetails", counts.usage.get("cache_details"))
    kept = [
        {"ttl": each.get("ttl"), "inputTokens": count}
        for each in (details if isinstance(details, list) else ())
        if isinstance(each, dict) and is_count(count := each.get("inputTokens", each.get("input_tokens")))
    ]
    usage = {
        "inputTokens": first("inputTokens", "input_tokens"),
        "outputTokens": first("outputTokens", "output_tokens"),
        "total_tokens": first("totalTokens", "total_tokens"),
        "cacheReadInputTokens": first(
            "cacheReadInputTokens",
            "cacheReadInputTokenCount",
            "cache_read_input_tokens",
            "cache_read_input_token_count",
        ),
        "cacheWriteInputTokens": first(
            "cacheWriteInputTokens",
            "cacheWriteInputTokenCount",
            "cache_write_input_tokens",
            "cache_write_input_token_count",
        ),
        "cacheDetails": kept,
    }
    return Spelled("aws", "default", usage, is_inclusive=False)


def llama(counts: Counts) -> Spelled:
    """Return the counts of Llama's in `invoke_model`."""
    read, written = counts.first("prompt_token_count"), counts.first("generation_token_count")
    return Spelled("openai", "responses", {"input_tokens": read, "output_tokens": written})


def invocation_metrics(counts: Counts) -> Spelled:
    """Return the counts that end a stream of Bedrock's `invoke_model`, as those of its Converse API."""
    usage = {name: counts.usage.get(name) for name in ("cacheReadInputTokenCount", "cacheWriteInputTokenCount")}
    usage["inputTokens"], usage["outputTokens"] = counts.first("inputTokenCount"), counts.first("outputTokenCount")
    return converse(Counts(usage))
