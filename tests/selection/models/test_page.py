"""What the page says of choosing models works as it says."""

import re
import shutil
from pathlib import Path

from tc_core import settings
from tc_core.selection.requirements import KEYS

PAGE = Path(__file__).parents[3] / "docs" / "selection.md"


def section():
    return PAGE.read_text().split("## Which cheaper model would do\n")[1].split("\n## A/B tests")[0]


def blocks(language):
    found = re.findall(rf"^( *)```{language}\n(.*?)```", section(), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"(?m)^{lead}", "", text) for lead, text in found]


def test_the_example_prints_what_the_page_says(run_python):
    (program,) = blocks("python")
    assert run_python(program) == blocks("text")[0]


def test_the_command_prints_what_the_page_says(run_command, month, tmp_path):
    shutil.copy(month, tmp_path / "a_month.db")
    command, *said = blocks("text")[1].splitlines()
    printed = run_command(*command.removeprefix("$ token-calc ").split()).stdout
    assert " ".join(printed.split()) == " ".join("\n".join(said).split())


def test_the_settings_can_be_read(tmp_path, monkeypatch):
    (said,) = blocks("yaml")
    (tmp_path / "own.yaml").write_text(said)
    monkeypatch.setenv("TOKEN_CALC_CONFIG", str(tmp_path / "own.yaml"))
    assert settings.load().selection.models["mistral"].regions == ("eu",)


def test_every_requirement_is_in_the_page():
    assert all(f"`{key}`" in section() or f'"{key}"' in section() for key in KEYS)
