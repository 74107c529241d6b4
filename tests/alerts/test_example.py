"""The agent with half a cent, end to end: its program is told of nothing, and a webhook gets one signed alert."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tc_core.alerts.notifiers.webhook import signed

ROOT = Path(__file__).parents[2]
RULES = """  rules:
    - name: nearly-spent
      type: budget
      budget: half a cent
      threshold: 0.8
      channels: [webhook]
"""


def test_the_example_of_a_budget_tells_a_webhook_once(tmp_path, to_receiver, receiver, run_command):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    to_receiver(RULES)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    program = [sys.executable, str(ROOT / "examples" / "budget.py")]
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    (body,) = receiver.wait_for(1)
    ((_, headers, raw),) = receiver.requests
    again = signed(headers["Idempotency-Key"], raw, "secret", int(headers["webhook-timestamp"]))
    assert headers["webhook-signature"] == again["webhook-signature"]
    assert "half a cent" in json.dumps(body)
    status = run_command("budget", "status", "--store", tmp_path / "budget.db")
    assert "half a cent" in status.stdout
    assert "nearly-spent" in run_command("alerts", "history", "--store", tmp_path / "budget.db").stdout
    assert len(receiver.requests) == 1
