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

NOT_TRIED = "not tried"
"""For lack of a package; it should be exact."""


class Row(NamedTuple):
    """One class of a framework that asks a provider."""

    provider: str
    name: str
    """The class, as users make it."""
    api: str
    """What answers it, in `tests.bill.providers`."""
    plain: str = EXACT
    stream: str = EXACT
    structured: str = EXACT
    asynchronous: str = EXACT
    tools: str = EXACT
    structured_stream: str = EXACT
    tools_run: str = EXACT
    """Tools that the class itself runs."""
    note: str = ""

    def seen(self, way: str) -> str:
        """Return what is known of a call that is made in a way."""
        found: str = getattr(self, {"async": "asynchronous"}.get(way, way))
        return found


LANGCHAIN = (
    Row("OpenAI", "ChatOpenAI", "chat", note="streams with `stream_usage=True`, else estimated"),
    Row("OpenAI", "ChatOpenAI(use_responses_api=True)", "responses"),
    Row("Anthropic", "ChatAnthropic", "anthropic", note="streams do not hand on how much was written for an hour"),
    Row("Google", "ChatGoogleGenerativeAI", "gemini", note="the tokens of audio are not told apart"),
    Row("Bedrock", "ChatBedrockConverse", "bedrock"),
)

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
    Row("Bedrock", "BedrockConverse", "bedrock", asynchronous=NOT_TRIED),
)

CREWAI = (
    Row(
        "OpenAI",
        'LLM("openai/...")',
        "chat",
        tools_run=ESTIMATED,
        note="writes to a cache and audio only with the interceptor",
    ),
    Row("OpenAI", 'LLM("openai/...", api="responses")', "responses", tools_run=ESTIMATED, note="the same"),
    Row(
        "Anthropic",
        'LLM("anthropic/...")',
        "anthropic",
        tools_run=ESTIMATED,
        note="what was written for an hour, reasoning and searches only with the interceptor, which needs anthropic 1",
    ),
    Row(
        "Google",
        'LLM("gemini/...")',
        "gemini",
        tools_run=ESTIMATED,
        note="searches and audio are not told",
    ),
    Row(
        "Bedrock",
        'LLM("bedrock/...")',
        "bedrock",
        asynchronous=NOT_TRIED,
        tools_run=ESTIMATED,
        structured_stream=ESTIMATED,
    ),
)
