"""Calls of a client that no adapter knows, recorded by hand."""

import tc_core

tracker = tc_core.CostTracker("by_hand.db")


@tc_core.workflow("summarise", storage=tracker.storage)
def summarise(documents: list[str]) -> list[str]:
    """Summarise documents, each with one call."""
    summaries = []
    for number, document in enumerate(documents):
        answer, usage = document[:10], {"input": len(document) // 4, "output": 5}  # your client's call stands here
        tracker.track_call("gpt-4o-mini", usage["input"], usage["output"], agent_id="summariser", document=number)
        summaries.append(answer)
    return summaries


with tc_core.session("import-17"):
    summarise(["a long text " * 500, "a short text"])

report = tracker.get_costs(group_by=["workflow_id", "agent_id"])
for group in report.groups:
    print(f"{group.key}: ${group.cost} for {group.calls} calls")
