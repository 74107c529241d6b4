"""Programs that tests run in processes of their own: they share a store, and a receiver that counts."""

RECORDS = """
import sys
from tc_core import AlertManager, AlertRule, CostTracker
path, me, start = sys.argv[1:4]
manager = AlertManager(path)
manager.add_alert_rule(AlertRule("dear", lambda event: event.cost > 1.0, "critical", ["webhook"], cooldown=3600))
tracker = CostTracker(path)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    tracker.track_call("gpt-4o", 1_000_000, 0, worker=me)
assert manager.flush(60)
"""

DIES_AFTER_THE_COMMIT = """
import os
from tc_core import CostTracker
from tc_core.record.listeners import Listeners
Listeners.tell = lambda self, records: os._exit(9)  # the batch is in the store, and nobody was told
tracker = CostTracker(os.environ["TOKEN_CALC_STORAGE"])
tracker.track_call("gpt-4o", 1_000_000, 0)
tracker.storage.flush()
"""

DIES_WHILE_IT_SENDS = """
import os, sys
from tc_core import AlertManager, AlertRule, TrackingEvent
manager = AlertManager(os.environ["TOKEN_CALC_STORAGE"])
manager.add_alert_rule(AlertRule("dear", lambda event: event.cost > 1.0, channels=["webhook"]))
manager.check_alerts(TrackingEvent(cost=2.0))
sys.stdin.readline()  # until it is killed
"""
