"""Writes docs/commands.md from what `token-calc --help` prints: `python docs/commands.py`."""

from pathlib import Path

from typer.testing import CliRunner

from tc_core.cli.main import app

COMMANDS = (
    *("costs", "compare", "top", "watch", "recommend", "runs", "tree", "show", "provenance", "waterfall", "patterns"),
    *("attribute", "agents", "health", "anomalies", "forecast", "what-if", "models search", "models show", "reprice"),
    "serve",
    *("budget set", "budget list", "budget status", "budget override", "budget history", "budget remove"),
    "workflow",
    "alerts list",
    "alerts history",
    "alerts test",
    "alerts silence",
    "alerts ack",
    *(
        "export",
        "import",
        "archive",
        "db check",
        "db vacuum",
        "db migrate",
        "db stats",
        "db readers",
        "db encrypt",
        "demo",
        "doctor",
        "init",
    ),
)


def page() -> str:
    """Return the page."""
    parts = ["# The commands\n", "Written by `python docs/commands.py`.\n", _help()]
    parts += [f"## token-calc {command}\n\n{_help(*command.split())}" for command in COMMANDS]
    return "\n".join(parts)


def _help(*command: str) -> str:
    printed = (
        CliRunner()
        .invoke(app, [*command, "--help"], prog_name="token-calc", env={"TERM": "dumb", "COLUMNS": "80"})
        .output
    )
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return f"```text\n{lines}\n```\n"


if __name__ == "__main__":
    (Path(__file__).parent / "commands.md").write_text(page())
