"""Alerts on the terminal of the program that fired them."""

import sys

from tc_core.alerts.outbox import Notice


def notify(notice: Notice) -> None:
    """Print one line to stderr; what would command a terminal is left out."""
    facts = notice.facts
    state = "resolved" if facts["type"] == "alert.resolved" else facts["severity"]
    is_test = "test, " if facts["type"] == "alert.test" else ""
    line = " ".join(f"{facts['rule']}: {facts['message']}".split())
    shown = "".join(letter for letter in line if letter.isprintable())
    stream = sys.stderr
    if stream is not None:  # a program without a terminal, such as pythonw, has none
        print(f"token-calculator [{is_test}{state}] {shown}", file=stream, flush=True)
