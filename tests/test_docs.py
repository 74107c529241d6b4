"""What the documents show works as they show it."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tc_core.demo.script import Step
from tc_core.demo.server import ModelServer
from tc_core.meter import own_prices, price_table, prices

ROOT = Path(__file__).parent.parent


@pytest.fixture
def model_environment():
    """The variables by which a program finds the model server in place of OpenAI."""
    with ModelServer() as server:
        server.push(Step(text="A piece of a word."))
        yield {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": server.base_url}


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def test_the_readme_shows_ten_lines_that_run(model_environment, run_python):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    first, one_model, second, third = blocks("README.md", "python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
    assert re.search(
        r"^\$[\d.e-]+ for 1 calls, 0 of them unpriced$", run_python(first, **model_environment), re.MULTILINE
    )
    run_python(one_model, **model_environment)
    assert "'feature': 'search'" in run_python(second, **model_environment)
    run_python(third, **model_environment)


def test_the_readme_says_the_figures_of_the_measurements():
    readme, measured = ((ROOT / name).read_text() for name in ("README.md", "docs/performance.md"))
    rows = re.findall(r"^\| (1|30) \| [\d.]+ \| ([\d.]+) \| .* \| (\d+) µs \| (\d+) µs \|$", measured, re.MULTILINE)
    slower = sorted(round(100 * (float(ratio) - 1)) for _, ratio, *_ in rows)
    by_us = sorted(int(ours) - int(idle) for *_, idle, ours in rows)
    assert f"{slower[0]} to {slower[1]} % slower" in readme
    assert f"by {by_us[0]} to {by_us[1]} microseconds" in readme
    kills, calls = re.search(r"^\| SQLite \| (\d+) \| ([\d,]+) \| 0 \|", measured, re.MULTILINE).groups()
    assert f"{kills} kills in the middle of {calls} calls lost none" in readme


def test_every_program_of_the_readme_imports_what_it_names():
    for program in blocks("README.md", "python"):
        compile(program, "README.md", "exec")
        assert "import" in program
    assert "on no package index" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("number", range(3))
def test_the_programs_about_frameworks_run(number, model_environment, run_python, tmp_path):
    pytest.importorskip("crewai", reason="CrewAI is not installed")
    pytest.importorskip("llama_index.embeddings.openai", reason="LlamaIndex is not installed")
    program = "import tc_core\ntc_core.instrument()\n" + blocks("docs/frameworks.md", "python")[number]
    said = run_python(
        program + "\nprint('calls', tc_core.CostTracker().get_costs(group_by=['labels.customer']).groups)",
        **model_environment,
        CREWAI_STORAGE_DIR=str(tmp_path),
    )
    assert ("'labels.customer': 'acme'" in said) == ("Crew(" in program)


def test_the_programs_about_extending_run(run_python):
    table, listener, kind = blocks("docs/extending.md", "python")
    run_python(kind)
    check = (
        "import sys; sys.modules['mine'] = sys.modules['__main__']\n"
        "from tc_core.runtime import parts\nparts.LIVE.append('mine')\n"
        "from tc_core import CostTracker, SQLiteStorage\n"
        "with SQLiteStorage('s.db') as store:\n"
        "    record = CostTracker(store).track_call('gpt-4o', 1000, 100, agent_id='a')\n"
        "    store.flush()\n"
        "    with store._database.reading() as connection:\n"
        "        assert connection.exec_driver_sql('SELECT * FROM agent_cost').all() == [('a', 3_500_000)]\n"
    )
    run_python(table + check)
    waits = "import builtins, threading\nsaid, shown = threading.Event(), print\n"
    waits += "builtins.print = lambda *words: (shown(*words), said.set())\n"
    assert run_python(f"{waits}{listener}\nassert said.wait(30)").strip() == "1 events are in the store"


def test_the_example_about_provenance_prints_what_the_page_says(run_python):
    program, by_hand, redaction = blocks("docs/provenance.md", "python")
    assert run_python(by_hand).startswith("0.006 {'handbook.md': {'calls': 1, 'total_tokens': 1500")
    assert run_python(f"{redaction}\nprint(without_numbers('card 47112233, room 12'))").strip() == "card #, room 12"
    said = run_python(program.replace("example.db", "another.db"))
    assert said in (ROOT / "docs/provenance.md").read_text()
    assert said.count("\n") == 5


def test_the_examples_about_patterns_print_what_the_page_says(run_python):
    afterwards, live = blocks("docs/patterns.md", "python")
    said = run_python(afterwards)
    assert said in (ROOT / "docs/patterns.md").read_text()
    assert said.count("\n") == 6
    assert run_python(live) == "found: retry_storm\n['retry_storm']\n"


def test_the_page_about_patterns_names_every_kind_and_cause():
    from typing import get_args

    from tc_core.lineage.patterns.cache_causes import Cause
    from tc_core.lineage.patterns.pattern import PATTERN_KINDS

    page = (ROOT / "docs/patterns.md").read_text()
    assert [name for name in (*PATTERN_KINDS, *get_args(Cause)) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("there.db", 2)])
def test_the_month_is_recorded_into_a_new_store_only(tmp_path, argument, code):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    (tmp_path / "there.db").touch()
    program = [sys.executable, ROOT / "examples" / "a_month.py", argument]
    assert subprocess.run(program, cwd=tmp_path, capture_output=True, timeout=120).returncode == code
    assert [(each.name, each.stat().st_size) for each in tmp_path.iterdir()] == [("there.db", 0)]


def test_the_examples_about_costs_print_what_the_page_says(run_python, month, tmp_path):
    shutil.copy(month, tmp_path / "a_month.db")
    said = run_python("\n".join(blocks("docs/costs.md", "python")))
    assert said.startswith("| agent | calls | input | output | cost | share | cost p50 |")
    if prices.table_version().endswith(" 0.2.3"):
        for printed in blocks("docs/costs.md", "text"):
            assert printed in said


def test_the_example_about_lineage_prints_what_the_page_says(run_python):
    (program,) = blocks("docs/lineage.md", "python")
    said = run_python(program)
    assert f"```\n{said}```" in (ROOT / "docs/lineage.md").read_text()
    assert said.startswith("the answer came from")


def test_the_examples_about_health_print_what_the_page_says(run_python, model_environment):
    by_hand, agent, helpers = blocks("docs/health.md", "python")
    for program in (by_hand, helpers):
        assert run_python(program) in (ROOT / "docs/health.md").read_text()
    pytest.importorskip("langchain.agents", reason="LangChain is not installed")
    assert "A piece of a word." in run_python(agent, **model_environment)


def test_the_example_about_budgets_prints_what_the_page_says(run_python):
    program, enforced, agent, cut = blocks("docs/budgets.md", "python")
    printed, _ = blocks("docs/budgets.md", "text")
    assert run_python(program) == printed
    run_python(f"import tc_core\n{enforced}{cut}")
    assert 'on_exceeded="downgrade"' in agent


def test_the_settings_in_the_page_about_budgets_can_be_read(run_python):
    (said,) = blocks("docs/budgets.md", "yaml")
    program = "import sys; open('token_calculator.yaml', 'w').write(sys.argv[1]); from tc_core import settings\n"
    assert run_python(f"{program}print(settings.load().budgets[0].name)", said).strip() == "search"


@pytest.mark.parametrize("page", ["anomalies", "forecasts"])
def test_the_examples_about_what_is_odd_and_to_come_print_what_the_pages_say(page, run_python):
    printed = blocks(f"docs/{page}.md", "text")
    programs = blocks(f"docs/{page}.md", "python")
    said = [run_python(program) for program in programs]
    assert [each for each in said if each] == printed


def test_the_commands_of_the_readme_exist(run_command):
    for command in re.findall(r"\$ token-calc ([\w-]+)", (ROOT / "README.md").read_text()):
        assert run_command(command, "--help").returncode == 0


EXAMPLES = {
    "existing_program.py": r"\$0\.\d+ for 2 calls about tokens",
    "langgraph_agent.py": r"agent grocer: \d+ nano-dollars\n  task model: \d+ nano-dollars\n    llm_call gpt-4o-mini",
    "embeddings_and_retrieval.py": r"text-embedding-3-small: 2 calls, \d+ tokens in\n(.*\n)+  retrieval nearest\n",
    "in_a_test.py": r"gpt-4o-mini: 40 in, 3 out, \$[\d.e-]+",
    "a_month.py": r"\$0\.\d+ for 600 calls in a month, in a_month\.db",
    "ab_test.py": r"gpt-4o is better than gpt-4o-mini by \d+\.\d points (.*\n)+gpt-4o-mini: \d+ sessions, \d+% helped",
    "by_hand.py": r"'agent_id': 'summariser'}: \$[\d.e-]+ for 2 calls",
}


@pytest.mark.parametrize("program", EXAMPLES)
def test_every_example_runs(program, model_environment, tmp_path):
    pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / program],
        cwd=tmp_path,
        env={**os.environ, **model_environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(EXAMPLES[program], result.stdout), result.stdout


def test_every_example_is_run_by_a_test():
    # test_one_graph.py asserts its whole tree; budgets/test_faults.py; selection/test_policy_example.py
    elsewhere = {"three_frameworks.py", "budget.py", "policies.py"}
    assert EXAMPLES.keys() | elsewhere == {path.name for path in (ROOT / "examples").glob("*.py")}


def test_the_table_of_whose_tokens_are_known_is_what_the_tests_ask():
    from docs.frameworks import PAGE, page

    assert PAGE.read_text() == page(PAGE.read_text()), "run: python docs/frameworks.py"


def test_the_list_of_commands_is_what_help_prints():
    from docs.commands import page

    assert (ROOT / "docs" / "commands.md").read_text() == page(), "run: python docs/commands.py"


def test_every_link_inside_the_documents_leads_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_changelog_speaks_of_what_is_not_released():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_the_prices_that_the_document_names_are_those_of_the_table():
    if not prices.table_version().endswith(" 0.2.3"):
        pytest.skip("the document speaks of genai-prices 0.2.3, another one is installed")
    rows = re.findall(
        r"^\| ([a-z0-9.-]+) \| ([\d.]+) \| ([\d.]*|none) \| ([\d.]*) \|",
        (ROOT / "docs/prices.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) >= 15
    for model, *named in rows:
        found = price_table.show(model, at=datetime(2026, 11, 20, 12, tzinfo=UTC)).prices  # some are cheaper at night
        written = [found.get(name, "") for name in ("input", "cached", "output")]
        assert [text.split(",")[0] and float(text.split(",")[0]) for text in written] == [
            float(text) if text not in ("", "none") else "" for text in named
        ], model


def test_the_own_prices_that_the_document_shows_are_right(monkeypatch, tmp_path):
    for number, block in enumerate(blocks("docs/prices.md", "yaml")):
        path = tmp_path / f"prices{number}.yaml"
        path.write_text(block)
        monkeypatch.setenv("TOKEN_CALC_PRICES", str(path))
        assert len(own_prices.load().entries) >= 2


def test_the_example_about_alerts_prints_what_the_page_says(run_python):
    example, check = blocks("docs/alerts.md", "python")
    (said,) = blocks("docs/alerts.md", "text")
    assert run_python(example) == said
    is_signed = (
        "\nfrom tc_core.alerts.notifiers.webhook import signed"
        "\nheaders = signed('id', b'body', 'secret', int(time.time()))"
        "\nprint(is_ours(headers, b'body', 'secret'), is_ours(headers, b'other', 'secret'))"
    )
    assert run_python(check + is_signed) == "True False\n"


def test_the_settings_about_alerts_are_right(tmp_path, run_python):
    (written,) = blocks("docs/alerts.md", "yaml")
    (tmp_path / "token_calculator.yaml").write_text(written)
    program = "for each in AlertManager('s.db').standings(): print(each.name, each.kind, each.faults)"
    assert run_python(f"from tc_core import AlertManager\n{program}").splitlines() == [
        "monthly-budget budget ()",
        "dear-call cost ('set alerts.email (TOKEN_CALC_EMAIL_ALERTS) and alerts.smtp.host',)",
    ]


def test_each_type_of_rule_is_in_the_page():
    from tc_core.alerts.kinds.registry import KINDS

    rows = [line for line in (ROOT / "docs/alerts.md").read_text().splitlines() if line.startswith("| `")]
    assert {name for name in KINDS if not any(f"`{name}`" in row for row in rows)} == set()
