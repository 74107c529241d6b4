"""The examples of the document that this began with, `token_calculator` read as `tc_core` and `tc_langchain`.

What concerns forecasts, budgets, alerts and the choice of models comes with these.
"""

import pytest

import tc_core


def test_the_old_way_still_works():
    from tc_core import calculate_cost, count_tokens

    tokens = count_tokens("prompt", "gpt-4")
    cost = calculate_cost("gpt-4", tokens, 500)
    assert tokens == 1
    assert cost == pytest.approx((1 * 30 + 500 * 60) / 1_000_000)


def test_the_new_way(tmp_path):
    from tc_core import CostTracker, SQLiteStorage

    tracker = CostTracker(storage=SQLiteStorage(tmp_path / "costs.db"))
    tracker.track_call(model="gpt-4", input_tokens=1, output_tokens=500, agent_id="my-agent")
    monthly_costs = tracker.get_costs(start_date="this-month", group_by=["agent_id"])
    assert [group.key for group in monthly_costs.groups] == [{"agent_id": "my-agent"}]


def test_sqlite_storage():
    from tc_core import SQLiteStorage, TrackingEvent

    storage = SQLiteStorage(":memory:")
    event = TrackingEvent(event_id="e", model="gpt-4", input_tokens=1000, output_tokens=500, cost=0.06)
    storage.save_event(event)
    results = storage.query_events(filters={})
    assert len(results) == 1
    assert results[0] == event


def test_cost_tracker():
    from tc_core import CostTracker, InMemoryStorage

    tracker = CostTracker(InMemoryStorage())
    tracker.track_call("gpt-4", 1000, 500)
    costs = tracker.get_costs(group_by=["model"])
    assert costs.total_cost > 0


def test_langchain_integration(server, tmp_path):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    from langchain_openai import ChatOpenAI

    from tc_core import CostTracker, SQLiteStorage
    from tc_langchain import TokenCalculatorCallback

    tracker = CostTracker(storage=SQLiteStorage(tmp_path / "costs.db"))
    callback = TokenCalculatorCallback(tracker=tracker, agent_id="rag-agent", environment="production")
    ChatOpenAI(model="gpt-4", base_url=server.base_url, api_key="x", callbacks=[callback]).invoke("hello")
    (group,) = tracker.get_costs(group_by=["agent_id", "environment"]).groups
    assert (group.key, group.calls) == ({"agent_id": "rag-agent", "environment": "production"}, 1)


def test_context_health():
    from tc_core import ConversationMonitor

    monitor = ConversationMonitor(model="gpt-4", agent_id="my-agent")
    for number in range(10):
        monitor.add_turn(user_msg=f"Question {number}?", assistant_msg=f"Answer {number}.")
    health = monitor.check_health()
    assert health.status in ("healthy", "context_rot", "hallucination_risk")
    assert 0 <= health.context_usage <= 100
    assert 0 <= health.rot_percentage <= 100
    assert isinstance(health.warnings, list)
    assert isinstance(health.recommendations, list)
    compressed = monitor.compress_context(strategy="semantic", target_tokens=50)
    assert [type(message).__name__ for message in compressed[:1]] == ["Message"]
    assert compressed.is_met


def test_backward_compatibility(tmp_path, monkeypatch):
    from tc_core import analyze_prompt, count_tokens

    assert count_tokens("text", "gpt-4") == 1
    analysis = analyze_prompt("text", model_name="gpt-4", expected_output_tokens=500)
    assert set(analysis) == {"model", "tokens", "context", "cost", "optimization"}
    assert {"input", "expected_output", "total"} <= set(analysis["tokens"])
    assert {"usage_percentage", "status", "available_for_output", "warnings"} <= set(analysis["context"])
    assert {"input_cost", "output_cost", "total_cost", "formatted"} <= set(analysis["cost"])
    assert {"suggestions_count", "total_potential_savings", "suggestions"} <= set(analysis["optimization"])
    tracker = tc_core.CostTracker()
    tracker.track_call("gpt-4", 10, 5)
    assert (tmp_path / "token_calculator.db").exists()


def test_the_events_of_a_workflow_have_the_types_named_there():
    storage = tc_core.create_storage("memory")
    for kind in ("workflow_start", "llm_call", "workflow_end"):
        storage.save_event(tc_core.TrackingEvent(event_id=kind, event_type=kind, parent_id=None, labels={"w": "1"}))
    assert [event.event_type for event in storage.query_events({"w": "1"})] == [
        "workflow_start",
        "llm_call",
        "workflow_end",
    ]


def test_alerts():
    from tc_core import AlertManager, AlertRule, InMemoryStorage, TrackingEvent

    alerts, baseline = AlertManager(InMemoryStorage()), 0.5
    alerts.add_alert_rule(
        AlertRule(
            name="cost-spike",
            condition=lambda e: e.cost > baseline * 2.0,
            severity="critical",
            channels=["console", "webhook", "email"],
        )
    )
    event = TrackingEvent(event_id="e", model="gpt-4", input_tokens=1000, output_tokens=500, cost=1.06)
    (alert,) = alerts.check_alerts(event)
    assert (alert.rule, alert.severity, alert.event_id) == ("cost-spike", "critical", "e")
    assert alerts.check_alerts(TrackingEvent(cost=0.9)) == []
