"""The example does what it says, and what was foreseen is what came."""

import re

import pytest

from tc_core import settings
from tests.conftest import ROOT

SECTION = (ROOT / "docs/selection.md").read_text().split("\n## Policies")[1]

pytestmark = pytest.mark.slow


def test_the_example_saves_what_its_dry_run_says(run_python):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    said = run_python((ROOT / "examples/policies.py").read_text())
    assert re.search(r"cache-assistant: \$(0\.\d+) of \$0\.\d+, 9 of 19 calls", said)
    foreseen = dict(re.findall(r"^  ([\w-]+): (\$[\d.]+) of", said, re.MULTILINE))
    done = dict(re.findall(r"^  ([\w-]+), undone: calls changed: \d+, saved: (\$[\d.]+)", said, re.MULTILINE))
    assert done["cache-assistant"] == foreseen["cache-assistant"]  # the same twelve questions, asked again
    assert "\nI had to stop here, before asking the model again: the agent has asked look_up_parcel the same 3" in said
    assert "cache-assistant, undone: calls changed: 9" in said
    assert "loop-assistant, undone: calls changed: 1" in said
    assert said.endswith("mini applied by ann\nmini undone by ann\n")


def test_the_settings_in_the_page_can_be_read(tmp_path):
    (said,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "token_calculator.yaml").write_text(said)
    settings.forget()
    assert [each.kind for each in settings.load().policies] == ["route", "trim", "cache", "loop"]


def test_the_program_in_the_page_runs(run_python):
    (program,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    printed = run_python(program)
    assert f"```text\n{printed}```" in SECTION
