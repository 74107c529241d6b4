"""Labels may be any objects: one that has no text costs itself, and never the call."""

from tests.hosts.models import MODEL

BAD_LABELS = """
import tc_core
from tc_core.record.guard import faults

class Raises:
    def __str__(self):
        raise ValueError("no text")

class Unhashable(str):
    def __hash__(self):
        raise TypeError("no hash")
    def __eq__(self, other):
        raise RuntimeError("not to be compared")

endless = []
for _ in range(100_000):
    endless = [endless]
tc_core.instrument("s.db", labels={"always": Raises(), "team": "ours"})
bad = {"raises": Raises(), "endless": endless, "digits": 10**10_000}
with tc_core.labels(kept="yes", text=Unhashable("odd"), huge="x" * 100_000_000, session_id=Raises(), **bad):
    Model().invoke("x")
    with tc_core.workflow(Raises()):
        tc_core.CostTracker("s.db").track_call("gpt-4o-mini", 1, 1, mine=Raises())
calls = [each for each in tc_core.CostTracker("s.db").storage.query_events() if each.event_type == "llm_call"]
assert len(calls) == 2, calls
for each in calls:
    assert set(each.labels) == {"kept", "text", "huge", "team"}, set(each.labels)
    assert (each.labels["text"], each.labels["huge"], each.session_id) == ("odd", "x" * 600, None)
where = "tc_core.model.scope.bounded_text"
assert {f"{where}: ValueError", f"{where}: RecursionError"} <= set(faults.counts), faults.counts
"""

EQUAL_VALUES = """
import tc_core
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

noon = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
later = noon.astimezone(timezone(timedelta(hours=2)))
values = [1, True, 1.0, Decimal("1.0"), Decimal("1.00"), Fraction(1), noon, later]
tc_core.instrument("s.db")
model = Model()
for value in values:
    with tc_core.labels(v=value):
        model.invoke("x")
groups = tc_core.CostTracker("s.db").get_costs(group_by=["v"]).groups
found = {group.key["v"]: group.calls for group in groups}
wanted = ["1", "True", "1.0", "1.00", "2026-01-01 12:00:00+00:00", "2026-01-01 14:00:00+02:00"]
assert found == {text: (2 if text in ("1", "1.0") else 1) for text in wanted}, found  # Fraction(1): 1
"""


def test_a_label_without_a_text_costs_the_label_and_not_the_call(run_python):
    run_python(MODEL + BAD_LABELS)


def test_equal_values_with_different_texts_keep_their_own(run_python):
    run_python(MODEL + EQUAL_VALUES)
