"""How providers spell the same counts, brought to the one spelling that genai-prices reads.

`genai_prices.extract_usage` knows where each API keeps which count. It refuses a body in which a count that it needs is
absent or one is no count, and reads one spelling of each name. What is done here by hand, each with a test:

* what is no count is left out, and said (`Counts.faults`), instead of failing the whole body;
* snake case for camel case (Gemini, Bedrock) and the reverse, as client libraries hand their objects over;
* Alibaba's writes to a cache, in the details of a prompt under Anthropic's name;
* the flat names of CrewAI (`cached_prompt_tokens`), LiteLLM (`cache_creation_tokens`), DeepSeek
  (`prompt_cache_hit_tokens`) and Moonshot (`cached_tokens`), and LangChain's details (`cache_read`, `reasoning`);
* Ollama's counts, those of Bedrock's `invoke_model` (Titan, Llama, and the metrics of its streams), which are in no
  table;
* cache counts of Anthropic's beside `prompt_tokens`, which some include and some do not;
* Gemini's `promptTokenDetails` of embeddings; audio of the Responses API and of transcriptions.

Not read as cached is Mistral's old `num_cached_tokens`: it is the engine's figure, and what is billed at a tenth is
told as `prompt_tokens_details.cached_tokens`.
"""

from tc_core.meter.usage import clouds
from tc_core.meter.usage.counts import Counts, Spelled, either
from tc_core.model.usage import is_count


def spell(counts: Counts) -> Spelled | None:
    """Return a usage as genai-prices reads it, or None for one that names no count we know."""
    if counts.has("billed_units"):
        return _cohere(counts)
    if counts.has("promptTokenCount", "totalTokenCount") or counts.has("total_token_count", "candidates_token_count"):
        return clouds.gemini(counts)
    if counts.has("prompt_token_count"):
        return clouds.llama(counts) if counts.has("generation_token_count") else clouds.gemini(counts)
    if counts.has("inputTokens", "outputTokens", "cache_write_input_tokens") and not counts.has("prompt_tokens"):
        return clouds.converse(counts)
    if counts.has("prompt_tokens", "completion_tokens"):
        return _chat(counts)
    if counts.has("input_tokens", "output_tokens"):
        return _anthropic(counts) if counts.has(*_OF_ANTHROPIC) else _responses(counts)
    return _bare(counts)


_OF_ANTHROPIC = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "server_tool_use",
    "iterations",
)


def _chat(counts: Counts) -> Spelled:
    first, read, written = counts.first, "prompt_tokens_details", "completion_tokens_details"
    if counts.has_only(_PLAIN_CHAT):
        return _plain_chat(counts)
    hit, miss = first("prompt_cache_hit_tokens"), first("prompt_cache_miss_tokens")
    prompt = first("prompt_tokens")
    if prompt is None and hit is not None and miss is not None:
        prompt = hit + miss
    completion, total = first("completion_tokens"), first("total_tokens")
    cached = either(first("cached_tokens", of=read), first("cached_prompt_tokens", "cached_tokens"), hit)
    wrote = either(
        first(*_WRITES, of=read),
        first("cache_write_tokens", "cache_creation_tokens"),
    )
    beside_read = first("cache_read_input_tokens")
    beside_wrote = first("cache_creation_input_tokens", "cache_write_input_tokens")
    if prompt is not None and _is_beside(prompt, completion, total, (beside_read or 0) + (beside_wrote or 0)):
        prompt += (beside_read or 0) + (beside_wrote or 0)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        read: {
            "cached_tokens": either(cached, beside_read),
            "cache_write_tokens": either(wrote, beside_wrote),
            "audio_tokens": first("audio_tokens", of=read),
        },
        written: {
            "reasoning_tokens": either(first("reasoning_tokens", of=written), first("reasoning_tokens")),
            "audio_tokens": first("audio_tokens", of=written),
        },
    }
    if counts.has("citation_tokens", "num_search_queries"):  # counts these and reasoning beside the completion
        usage |= {name: first(name) for name in ("reasoning_tokens", "citation_tokens", "num_search_queries")}
        return Spelled("perplexity", "default", usage)
    hour = counts.within(read, "cache_creation_token_details").first("ephemeral_1h_input_tokens")
    return Spelled("openai", "chat", usage, more={"cache_write_1h_tokens": hour})


_WRITES = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
"""What OpenAI, LiteLLM and Alibaba call what was written to a cache, in the details of a prompt."""

_PLAIN_CHAT = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)


def _plain_chat(counts: Counts) -> Spelled:
    """Return what most answers tell, which no other name can stand for: the same in a third of the time."""
    first, read, written = (
        counts.first,
        counts.within("prompt_tokens_details"),
        counts.within("completion_tokens_details"),
    )
    usage = {
        "prompt_tokens": first("prompt_tokens"),
        "completion_tokens": first("completion_tokens"),
        "total_tokens": first("total_tokens"),
        "prompt_tokens_details": {
            "cached_tokens": read.first("cached_tokens"),
            "cache_write_tokens": read.first(*_WRITES),
            "audio_tokens": read.first("audio_tokens"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": written.first("reasoning_tokens"),
            "audio_tokens": written.first("audio_tokens"),
        },
    }
    hour = read.within("cache_creation_token_details").first("ephemeral_1h_input_tokens")
    return Spelled("openai", "chat", usage, more={"cache_write_1h_tokens": hour})


def _is_beside(prompt: int, completion: int | None, total: int | None, cache: int) -> bool:
    """Tell whether cache counts come on top of a prompt: the total says so, or they are more than it."""
    if not cache:
        return False
    if total is not None and completion is not None and total != prompt + completion:
        return total == prompt + completion + cache
    return cache > prompt


_PLAIN_RESPONSES = frozenset(
    {"input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details"}
)
_PLAIN_READ = frozenset({"cached_tokens", "cache_write_tokens"})
_PLAIN_WRITTEN = frozenset({"reasoning_tokens"})


def _responses(counts: Counts) -> Spelled:
    first = counts.first
    if counts.has_only(_PLAIN_RESPONSES):  # as most answers are: the same in a third of the time
        details = counts.within("input_tokens_details"), counts.within("output_tokens_details")
        if details[0].has_only(_PLAIN_READ) and details[1].has_only(_PLAIN_WRITTEN):
            return _plain_responses(counts, *details)
    read, written = (
        next((name for name in names if counts.has(name)), names[0]) for names in (_READ_DETAILS, _WRITTEN_DETAILS)
    )
    tier = next((each for each in ("flex_", "priority_") if f"{each}cache_read" in counts.within(read).usage), "")
    cached = first("cached_tokens", "cache_read_input_tokens", f"{tier}cache_read", of=read)
    wrote = first("cache_write_tokens", f"{tier}cache_creation", "cache_creation_input_tokens", of=read)
    reasoning = first("reasoning_tokens", "thinking_tokens", f"{tier}reasoning", of=written)
    usage = {
        "input_tokens": first("input_tokens"),
        "output_tokens": first("output_tokens"),
        "total_tokens": first("total_tokens"),
        "input_tokens_details": {
            "cached_tokens": either(cached, first("cached_prompt_tokens")),
            "cache_write_tokens": either(_kept_writes(counts, read), wrote, first("cache_creation_tokens")),
        },
        "output_tokens_details": {"reasoning_tokens": either(reasoning, first("reasoning_tokens"))},
    }
    of_cached = counts.within(read, "cached_tokens_details")
    more = {
        "input_audio_tokens": first("audio_tokens", "audio", of=read),
        "output_audio_tokens": first("audio_tokens", "audio", of=written),
        "cache_write_1h_tokens": first("ephemeral_1h_input_tokens", of=read),
        "cache_audio_read_tokens": of_cached.first("audio_tokens"),
        "cache_image_read_tokens": of_cached.first("image_tokens"),
    }
    return Spelled("openai", "responses", usage, more=more)


def _plain_responses(counts: Counts, read: Counts, written: Counts) -> Spelled:
    usage = {
        "input_tokens": counts.first("input_tokens"),
        "output_tokens": counts.first("output_tokens"),
        "total_tokens": counts.first("total_tokens"),
        "input_tokens_details": {name: read.first(name) for name in _PLAIN_READ},
        "output_tokens_details": {"reasoning_tokens": written.first("reasoning_tokens")},
    }
    return Spelled("openai", "responses", usage)


_READ_DETAILS = ("input_tokens_details", "input_token_details", "prompt_tokens_details")
_WRITTEN_DETAILS = ("output_tokens_details", "output_token_details", "completion_tokens_details")
"""OpenAI's names, those of its realtime API and of LangChain, and those that Alibaba has beside `input_tokens`."""


def _kept_writes(counts: Counts, details: str) -> int | None:
    """Return LangChain's sum of what is kept for minutes and for an hour; its own total is zero beside them."""
    short = counts.first("ephemeral_5m_input_tokens", of=details)
    long = counts.first("ephemeral_1h_input_tokens", of=details)
    return (short or 0) + (long or 0) or None


def _anthropic(counts: Counts) -> Spelled:
    first = counts.first
    short, long = (first(f"ephemeral_{kept}_input_tokens", of="cache_creation") for kept in ("5m", "1h"))
    wrote = first("cache_creation_input_tokens", "cache_write_input_tokens")
    if wrote is None and (short is not None or long is not None):
        wrote = (short or 0) + (long or 0)
    usage = {
        "input_tokens": first("input_tokens"),
        "output_tokens": first("output_tokens"),
        "cache_creation_input_tokens": wrote,
        "cache_read_input_tokens": first("cache_read_input_tokens"),
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "server_tool_use": {"web_search_requests": first("web_search_requests", of="server_tool_use")},
        "output_tokens_details": {"thinking_tokens": first("thinking_tokens", of="output_tokens_details")},
        "total_tokens": first("total_tokens"),
    }
    return Spelled("anthropic", "default", usage, is_inclusive=False)


def _cohere(counts: Counts) -> Spelled:
    # What is billed leaves out what Cohere adds to a prompt by itself, and says nothing of a cache. Its client makes
    # floats of whole numbers.
    told = counts.within("billed_units").usage
    billed = Counts({name: int(each) if _is_whole(each) else each for name, each in told.items()}, counts.faults)
    texts, images = billed.first("input_tokens"), billed.first("image_tokens")
    read = None if texts is None and images is None else (texts or 0) + (images or 0)
    written = billed.first("output_tokens")
    if written is None and read is not None and "output_tokens" not in told:  # embeddings
        written = 0
    return Spelled("openai", "responses", {"input_tokens": read, "output_tokens": written})


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _bare(counts: Counts) -> Spelled | None:
    """Return input and output where they stand alone: Ollama's, Titan's, and the metrics of Bedrock's streams."""
    first = counts.first
    if counts.has("inputTokenCount", "outputTokenCount"):
        return clouds.invocation_metrics(counts)
    read, written = first("prompt_eval_count", "inputTextTokenCount"), first("eval_count")
    total = first("total_tokens", "totalTokens")
    if read is None and written is None and total is None:
        return None
    results = counts.usage.get("results")
    of_texts = (
        [each.get("tokenCount") for each in results if isinstance(each, dict)] if isinstance(results, list) else []
    )
    if read is not None and not counts.has("eval_count"):  # both leave out a zero, as embeddings have
        written = sum(count for count in of_texts if is_count(count))
    return Spelled("openai", "responses", {"input_tokens": read, "output_tokens": written, "total_tokens": total})
