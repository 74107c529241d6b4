"""What is known of the tokens of a call, by framework, class and way: parameters of tests, and the table in the docs.

`python docs/frameworks.py` writes the table; the tests ask each class in each way and hold what is stored against it.
"""

from typing import NamedTuple

WAYS = ("plain", "stream", "structured", "async", "tools")

EXACT = "exact"
"""Input and output, cache and reasoning are the provider's own figures."""
ESTIMATED = "estimated"
"""Counted from the texts, and marked as that."""
NOT_SEEN = "not seen"
"""The call is recorded; its tokens are not."""


class Row(NamedTuple):
    """One class of a framework that asks a provider."""

    provider: str
    name: str
    """The class, as users make it."""
    api: str
    """What answers it, in `tests.bill.providers`."""
    plain: str | None = EXACT
    stream: str | None = EXACT
    structured: str | None = EXACT
    asynchronous: str | None = EXACT
    tools: str | None = EXACT
    structured_stream: str | None = EXACT
    note: str = ""

    def seen(self, way: str) -> str | None:
        """Return what is known of a call that is made in a way; None where the class has no such way."""
        found: str | None = getattr(self, {"async": "asynchronous"}.get(way, way))
        return found


LLAMAINDEX = (
    Row("OpenAI", "OpenAI", "chat", note="streams with `stream_options={'include_usage': True}`, else estimated"),
    Row(
        "OpenAI",
        "OpenAIResponses",
        "responses",
        structured=ESTIMATED,
        note="structured: exact with `http_client=tracking_client()`",
    ),
    Row("compatible servers", "OpenAILike", "chat", note="streams as OpenAI's"),
    Row(
        "Anthropic",
        "Anthropic",
        "anthropic",
        structured=ESTIMATED,
        structured_stream=NOT_SEEN,
        note="streams do not hand on how much was written to a cache for an hour",
    ),
    Row(
        "Google",
        "GoogleGenAI",
        "gemini",
        structured=ESTIMATED,
        structured_stream=NOT_SEEN,
        note="structured: exact with a tracking client, see below",
    ),
    Row("Bedrock", "BedrockConverse", "bedrock"),
)

CREWAI = (
    Row("OpenAI", 'LLM("openai/...")', "chat", note="writes to a cache and audio only with the interceptor"),
    Row("OpenAI", 'LLM("openai/...", api="responses")', "responses", note="the same"),
    Row(
        "Anthropic",
        'LLM("anthropic/...")',
        "anthropic",
        note="what was kept for an hour, and searches, only with the interceptor",
    ),
    Row("Google", 'LLM("gemini/...")', "gemini", note="the tokens of audio are not told apart"),
    Row("Bedrock", 'LLM("bedrock/...")', "bedrock"),
)
