"""The names of the first package, as its programs use them."""

import dataclasses
import inspect

import pytest

import tc_core
from tc_core import compat

OLD = {
    "ModelConfig": "name, provider, context_window, max_output_tokens, cost_per_1k_input, cost_per_1k_output, tokenizer_name, supports_function_calling, supports_vision, notes",
    "ContextBreakdown": "total_tokens, context_window, max_output_tokens, max_input_tokens, available_for_output, usage_percentage, status, input_breakdown, warnings, recommendations",
    "CostBreakdown": "input_tokens, output_tokens, input_cost, output_cost, total_cost, model_name, timestamp, details",
    "ConversationTurn": "user_message, assistant_response, user_tokens, assistant_tokens, total_tokens, cost, timestamp, metadata",
    "ConversationStats": "total_turns, total_tokens, total_cost, input_tokens, output_tokens, context_status, context_usage_percentage, estimated_turns_remaining, warnings",
    "OptimizationSuggestion": "strategy, description, estimated_tokens_saved, impact, effort, example",
    "OptimizationResult": "original_tokens, optimized_tokens, tokens_saved, reduction_percentage, optimized_text, suggestions_applied",
}  # fmt: skip
METHODS = {
    "TokenCounter": "count_tokens(text) count_messages(messages,include_function_tokens) count_function_definitions(functions)",
    "ContextAnalyzer": "analyze_messages(messages,functions,expected_output_tokens) estimate_max_turns(avg_user_tokens,avg_assistant_tokens,system_tokens,rag_tokens,function_tokens) find_optimal_context_split(messages,keep_recent)",
    "CostCalculator": "calculate_cost(input_tokens,output_tokens) calculate_message_cost(messages,estimated_output_tokens,functions) estimate_monthly_cost(requests_per_day,avg_input_tokens,avg_output_tokens) compare_models(input_tokens,output_tokens,model_names) calculate_batch_cost(batch_requests) estimate_cost_savings(current_tokens,optimized_tokens,requests_per_month,token_type)",
    "ConversationManager": "add_turn(user_message,assistant_response,metadata) get_stats() can_add_turn(estimated_user_tokens,estimated_assistant_tokens) summarize_conversation(keep_recent_turns,summary_template) get_context_breakdown() export_conversation()",
    "TokenOptimizer": "analyze_text(text) optimize_text(text,strategies,aggressive) suggest_prompt_improvements(prompt,target_reduction) compare_phrasings(phrasings)",
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_the_fields_are_there_in_their_order(name):
    wanted = OLD[name].split(", ")
    assert [each.name for each in dataclasses.fields(getattr(compat, name))][: len(wanted)] == wanted


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_take_what_they_took(name):
    for written in METHODS[name].split(") "):
        method, _, taken = written.rstrip(")").partition("(")
        parameters = list(inspect.signature(getattr(getattr(compat, name), method)).parameters)[1:]
        assert parameters[: len(taken.split(",")) if taken else 0] == (taken.split(",") if taken else [])


def test_a_program_of_then_runs():
    counter = compat.TokenCounter("gpt-4")
    assert counter.count_tokens("hello world") == tc_core.count_tokens("hello world", "gpt-4")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]
    counted = compat.count_messages(messages, "gpt-4")
    assert counted["total"] == tc_core.count_messages(messages, "gpt-4") == counted["system"] + counted["user"] + 3
    cost = compat.calculate_cost("gpt-4", 1000, 500)
    assert cost.total_cost == pytest.approx(0.03 + 0.03)
    assert cost.input_cost + cost.output_cost == pytest.approx(cost.total_cost)
    assert compat.get_model_config("gpt-4").cost_per_1k_input == pytest.approx(0.03)
    assert compat.get_model_config("gpt-4o").max_input_tokens == 128_000
    assert "gpt-4o" in compat.list_models(compat.ModelProvider.OPENAI)
    assert "gpt-4o" in compat.search_models(min_context=100_000, max_cost_per_1k_input=0.003, provider="openai")
    assert "gpt-4" not in compat.search_models(min_context=100_000, provider="openai")
    rows = compat.compare_model_costs(1000, 500, ["gpt-4", "gpt-4o", "no-such-model"])
    assert [row["model"] for row in rows] == ["gpt-4o", "gpt-4", "no-such-model"]
    calculator = compat.CostCalculator("gpt-4")
    assert calculator.estimate_monthly_cost(10, 1000, 500)["monthly"] == pytest.approx(0.06 * 300)
    assert calculator.calculate_message_cost(messages, 0).input_tokens == counted["total"]
    assert calculator.estimate_cost_savings(1000, 500, 100)["monthly_savings"] == pytest.approx(1.5)
    assert calculator.compare_models(1000, 500, ["gpt-4o"])[0]["model"] == "gpt-4o"
    requests = [{"input_tokens": 1000, "output_tokens": 0}] * 2
    assert compat.CostCalculator("gpt-4o").calculate_batch_cost(requests)["total_cost"] == pytest.approx(0.0025)
    with pytest.raises(ValueError, match="token_type is input or output, got 'both'"):
        calculator.estimate_cost_savings(1, 1, 1, "both")


def test_all_is_sorted_and_every_name_is_there():
    assert compat.__all__ == sorted(compat.__all__)
    assert all(getattr(compat, name).__doc__ for name in compat.__all__)
