"""What the page about A/B tests shows works as it shows it."""

import re
from pathlib import Path

import pytest

from tc_core.demo.server import ModelServer

PAGE = (Path(__file__).parents[3] / "docs" / "selection.md").read_text()
SECTION = re.search(r"^## A/B tests\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE).group(1)
IN_LANGCHAIN, BY_HAND = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)

pytestmark = pytest.mark.slow


def test_the_program_with_langchain_runs(run_python):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    with ModelServer() as server:
        said = run_python(IN_LANGCHAIN, OPENAI_API_KEY="none", OPENAI_BASE_URL=server.base_url)
    assert re.match(r"[01] outcomes of gpt-4o and [01] of gpt-4o-mini: nothing is said under 30 each\.\n", said)
    assert len(server.exchanges) == 1


def test_the_program_by_hand_prints_what_the_page_says(run_python):
    assert f"prints `{run_python(BY_HAND).strip()}`" in SECTION
