import pytest

from tc_core import analyze_prompt, calculate_cost, count_tokens

PROMPT = """Always answer in the language of the question, please.

Answer   shortly.\t\t



Always answer in the language of the question, please.
```json
{
    "name": "x",
    "values": [
        1,
        2
    ]
}
```
```python
def f():
    return    1
```
"""


def test_what_a_prompt_weighs_and_costs():
    found = analyze_prompt(PROMPT, "gpt-4o", 100)
    counted = count_tokens(PROMPT, "gpt-4o")
    assert found["tokens"] == {"input": counted, "expected_output": 100, "total": counted + 100, "source": "exact"}
    assert found["cost"]["total_cost"] == calculate_cost("gpt-4o", counted, 100)
    assert found["cost"]["input_cost"] + found["cost"]["output_cost"] == pytest.approx(found["cost"]["total_cost"])
    assert (found["context"]["window"], found["context"]["status"]) == (128_000, "safe")
    assert found["context"]["available_for_output"] == 128_000 - counted


def test_suggestions_are_measured_and_leave_code_alone():
    found = analyze_prompt(PROMPT)["optimization"]
    assert {each["strategy"] for each in found["suggestions"]} == {"json", "repetition", "whitespace"}
    assert found["total_potential_savings"] == sum(each["tokens_saved"] for each in found["suggestions"])
    assert all(each["tokens_saved"] > 0 for each in found["suggestions"])
    code = "```python\nif x:\n        return     1\n\n\n\n```"
    assert analyze_prompt(code)["optimization"]["suggestions_count"] == 0
    assert analyze_prompt("```json\n{broken\n```")["optimization"]["suggestions_count"] == 0


@pytest.mark.parametrize(
    ("tokens", "status"), [(100, "safe"), (95_000, "warning"), (120_000, "critical"), (127_900, "exceeded")]
)
def test_how_full_the_context_is(tokens, status):
    found = analyze_prompt(" a" * tokens, "gpt-4o")
    assert found["context"]["status"] == status
    assert bool(found["context"]["warnings"]) == (status != "safe")


def test_a_model_that_nobody_knows():
    found = analyze_prompt("hello", model_name="gpt-99-custom")
    assert (found["model"], found["cost"]["total_cost"], found["context"]["status"]) == (
        "gpt-99-custom",
        None,
        "unknown",
    )
    assert analyze_prompt("")["tokens"]["input"] == 0
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        analyze_prompt("x", expected_output_tokens=-1)
