import pytest

from tc_core.meter.cache_rules import rule_for


@pytest.mark.parametrize(
    ("model", "provider", "least"),
    [
        ("gpt-4o", None, 1024),
        ("gpt-4o-2024-08-06", "openai", 1024),
        ("openai/gpt-4.1-mini", None, 1024),
        ("o3", "openai", 1024),
        ("gpt-5.6", "openai", 1024),
        ("claude-sonnet-4-5-20250929", "anthropic", 1024),
        ("claude-sonnet-4-20250514", "anthropic", 1024),
        ("claude-opus-4-1", None, 1024),
        ("claude-opus-4-5", None, 4096),
        ("claude-opus-4-8", None, 1024),
        ("claude-opus-5", None, 512),
        ("claude-haiku-4-5", "anthropic", 4096),
        ("claude-sonnet-4-6", "anthropic", 2048),
        ("claude-3-5-sonnet-20241022", "anthropic", 1024),
        ("claude-3-5-haiku-20241022", "anthropic", 2048),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock_converse", 1024),
        ("anthropic.claude-opus-4-7-v1:0", "bedrock", 4096),
        ("gemini-2.5-flash", "google_genai", 2048),
        ("gemini-3-pro", "gemini", 4096),
    ],
)
def test_the_least_prefix_that_is_cached(model, provider, least):
    rule = rule_for(model, provider)
    assert rule is not None
    assert rule.least_tokens == least
    assert rule.is_marked == ("claude" in model)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        (None, "openai"),
        ("", None),
        ("gpt-3.5-turbo", "openai"),
        ("gpt-4-turbo", None),
        ("gpt-4o", "azure"),
        ("azure/gpt-4o", None),
        ("openrouter/openai/gpt-4o", None),
        ("claude-opus-4-7", "anthropic"),
        ("claude-9", "anthropic"),
        ("claude-sonnet-4-5", "google_vertexai"),
        ("gemini-2.0-flash", "google"),
        ("deepseek-chat", "deepseek"),
        ("grok-4", "xai"),
        ("llama3", "ollama"),
    ],
)
def test_what_no_row_knows_has_no_rule(model, provider):
    assert rule_for(model, provider) is None
