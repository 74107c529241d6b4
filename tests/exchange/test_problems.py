"""What an import makes of files that are not as they should be."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tc_core import ConfigurationError, InMemoryStorage, ProvenanceRelationship, StoreKeeper, TrackingEvent
from tc_core.store.schema.tables import Removal, table
from tests.store.contract import NOON, call

GOOD = {
    "event_id": "good",
    "timestamp": "2026-11-20T12:00:00+00:00",
    "model": "m",
    "input_tokens": 1,
    "output_tokens": 1,
}


@pytest.fixture
def keeper():
    return StoreKeeper(InMemoryStorage())


def taken(keeper, path, *lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return keeper.import_events(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("{nonsense", "is not JSON", id="no-json"),
        pytest.param("[1]", "is not a JSON object", id="no-object"),
        pytest.param("[" * 100_000, "is not JSON: it is nested too deeply", id="deep"),
        pytest.param({"timestamp": GOOD["timestamp"]}, "event_id is missing", id="no-id"),
        pytest.param({"event_id": "x"}, "timestamp is missing", id="no-time"),
        pytest.param(GOOD | {"event_id": ""}, "event_id must not be empty", id="empty-id"),
        pytest.param(GOOD | {"timestamp": "soon"}, "timestamp must be a time", id="time"),
        pytest.param(GOOD | {"timestamp": "1969-12-31T00:00:00Z"}, "must lie between 1970 and 9999", id="before-1970"),
        pytest.param(GOOD | {"input_tokens": -1}, "input_tokens must be a whole number from 0", id="negative"),
        pytest.param(GOOD | {"input_tokens": 1.5}, "input_tokens must be a whole number", id="half"),
        pytest.param(GOOD | {"input_tokens": True}, "input_tokens must be a whole number", id="true"),
        pytest.param(GOOD | {"cost_nanos": 1 << 70}, "cost must be between 0 and", id="too-dear"),
        pytest.param(GOOD | {"cost": "free"}, "cost must be a number", id="cost"),
        pytest.param(GOOD | {"cost": float("nan")}, "a cost must be a finite number", id="nan"),
        pytest.param(GOOD | {"status": "fine"}, "status must be one of", id="status"),
        pytest.param(GOOD | {"latency_ms": -1}, "latency_ms must be between", id="latency"),
        pytest.param(GOOD | {"labels": ["a"]}, "labels must hold names and values", id="labels"),
        pytest.param(GOOD | {"relations": {}}, "relations must be a list", id="relations"),
        pytest.param(GOOD | {"relations": [{"a": 1}]}, "a relation cannot be read", id="relation"),
        pytest.param(GOOD | {"attempts": [{"a": 1}]}, "an attempt cannot be read", id="attempt"),
        pytest.param(GOOD | {"charges": [1]}, "charges must hold names and values", id="charges"),
        pytest.param(GOOD | {"charges": {"searches": -1}}, "numbers from 0 to 1,000,000,000,000", id="charge"),
        pytest.param(GOOD | {"charges": {"searches": float("nan")}}, "not 'searches' to nan", id="charge-nan"),
        pytest.param(GOOD | {"charges_nanos": 1 << 70}, "charges_nanos must be between 0 and", id="charged-too-much"),
        pytest.param(GOOD | {"price": 1}, "'price' is no field of an event", id="unknown"),
    ],
)
def test_a_line_that_holds_no_event_is_named_and_the_rest_goes_on(keeper, tmp_path, line, said):
    done = taken(keeper, tmp_path / "e.jsonl", GOOD, "", line, GOOD | {"event_id": "after"})
    assert (done.written, done.malformed, done.is_whole) == (2, 1, False)
    assert done.problems[0].startswith("line 3: ")
    assert said in done.problems[0]


def test_an_event_with_other_facts_is_refused_by_name_and_the_rest_goes_on(keeper, tmp_path):
    keeper.storage.save_event(TrackingEvent(**GOOD | {"timestamp": NOON}))
    done = taken(
        keeper,
        tmp_path / "e.jsonl",
        GOOD | {"input_tokens": 2, "relations": [ProvenanceRelationship("good", "more", "retry_of").to_dict()]},
        GOOD,
        GOOD | {"event_id": "more"},
    )
    assert (done.written, done.unchanged, done.refused) == (1, 1, 1)
    assert done.problems == ["event good is already recorded with other facts"]
    assert keeper.storage.get_event("good").input_tokens == 1
    assert keeper.storage.relationships() == []  # what is said of a refused event is not believed either


def test_an_end_after_all_is_taken_in_and_how_the_call_was_broken_off_is_an_earlier_state(keeper, tmp_path):
    cancelled = GOOD | {"status": "cancelled", "error_type": "CancelledError", "usage_source": "estimate"}
    ended = GOOD | {"status": "ok", "output_tokens": 4, "usage_source": "estimate"}
    done = [taken(keeper, tmp_path / "e.jsonl", line) for line in (cancelled, ended, cancelled)]
    assert [(each.written, each.unchanged, each.refused) for each in done] == [(1, 0, 0), (1, 0, 0), (0, 1, 0)]
    event = keeper.storage.get_event("good")
    assert (event.status, event.error_type, event.output_tokens) == ("ok", None, 4)


def test_an_open_event_is_completed_and_its_earlier_state_is_no_conflict(keeper, tmp_path):
    started = {"event_id": "good", "timestamp": GOOD["timestamp"], "model": "m", "status": "open"}
    done = taken(keeper, tmp_path / "e.jsonl", started, GOOD, started)
    assert (done.written, done.unchanged, done.refused) == (2, 1, 0)
    assert keeper.storage.get_event("good").status == "ok"
    assert keeper.storage.aggregate("calls") == {(): 1}


def test_usage_that_contradicts_itself_is_taken_as_a_provider_reported_it(keeper, tmp_path):
    done = taken(keeper, tmp_path / "e.jsonl", GOOD | {"cached_tokens": 99})
    assert done.is_whole
    assert keeper.storage.get_event("good").cached_tokens == 99


def test_a_relation_that_leads_to_nothing_or_round_is_told(keeper, tmp_path):
    there = ProvenanceRelationship("good", "nowhere", "retry_of").to_dict()
    round_ = [ProvenanceRelationship(*ends, "derived_from").to_dict() for ends in (("a", "b"), ("b", "a"))]
    done = taken(
        keeper,
        tmp_path / "e.jsonl",
        GOOD | {"relations": [there]},
        *(GOOD | {"event_id": each["source_id"], "relations": [each]} for each in round_),
    )
    assert (done.written, done.relations, done.lost_relations) == (3, 1, 2)
    assert done.problems[0].startswith("retry_of from good to nowhere: no event")
    assert "would close a cycle" in done.problems[1]


def test_an_event_of_a_day_whose_details_have_left_is_refused(keeper, tmp_path):
    keeper.storage.save_event(call(event_id="kept", cost=None))
    keeper.export_events(tmp_path / "kept.jsonl")
    with keeper.storage._database.writing() as connection:
        connection.execute(table(Removal).insert().values(day=int(NOON.timestamp()) // 86400, events=3))
    done = taken(keeper, tmp_path / "e.jsonl", GOOD)
    assert (done.written, done.refused) == (0, 1)
    assert "belongs to 2026-11-20, whose details have left this store" in done.problems[0]
    assert keeper.import_events(tmp_path / "kept.jsonl").unchanged == 1


def test_times_without_an_offset_are_in_the_zone_that_is_given(keeper, tmp_path):
    (tmp_path / "e.csv").write_text("timestamp,event_id\n2026-07-01 12:00:00,a\n2026-07-01T12:00:00-05:00,b\n")
    keeper.import_events(tmp_path / "e.csv", tz="Europe/Berlin")
    assert keeper.storage.get_event("a").timestamp.isoformat() == "2026-07-01T10:00:00+00:00"
    assert keeper.storage.get_event("b").timestamp.isoformat() == "2026-07-01T17:00:00+00:00"


def test_csv_cells_are_no_formulas_and_come_back(keeper, tmp_path):
    evil = ["=cmd()", "+1", "-1", "@a", "\ta", "\ra", "'quoted", ""]
    keeper.storage.save_events([call(n, event_id=f"e{n}", name=text) for n, text in enumerate(evil)])
    keeper.export_events(tmp_path / "e.csv")
    import csv

    with (tmp_path / "e.csv").open(newline="") as file:
        written = [row["name"] for row in csv.DictReader(file)]
    assert written == [f"'{text}" for text in evil]
    other = StoreKeeper(InMemoryStorage())
    other.import_events(tmp_path / "e.csv")
    assert [event.name for event in other.storage.query_events()] == evil


@pytest.mark.parametrize(
    ("header", "said"),
    [("event_id,when", "'when' is no field"), ("event_id,model", "it lacks timestamp"), ("", None)],
)
def test_a_csv_file_names_its_columns(keeper, tmp_path, header, said):
    (tmp_path / "e.csv").write_text(header and f"{header}\n")
    if said is None:
        assert keeper.import_events(tmp_path / "e.csv").is_whole
        return
    with pytest.raises(ConfigurationError, match=said):
        keeper.import_events(tmp_path / "e.csv")


def test_csv_rows_that_cannot_be_read_are_named(keeper, tmp_path):
    rows = [
        "\ufeffevent_id,timestamp,input_tokens,labels",
        "a,2026-11-20T12:00Z,1,",
        "b,2026-11-20T12:00Z",
        "c,2026-11-20T12:00Z,many,",
        "d,2026-11-20T12:00Z,1,{",
        'e,2026-11-20T12:00Z,1,"x"y',
        "",
        "f,2026-11-20T12:00Z,,",
    ]
    (tmp_path / "e.csv").write_text("\n".join(rows))
    done = keeper.import_events(tmp_path / "e.csv")
    assert (done.written, done.malformed) == (2, 4)
    assert [problem.split(":")[0] for problem in done.problems] == ["line 3", "line 4", "line 5", "line 6"]
    assert done.problems[0] == "line 3: has 2 cells where the header has 4"


def test_a_cell_may_be_of_any_size_and_the_limit_of_others_stays(keeper, tmp_path):
    import csv

    keeper.storage.save_event(call(metadata={"big": "x" * 1_000_000}))
    limit = csv.field_size_limit()
    keeper.export_events(tmp_path / "e.csv")
    other = StoreKeeper(InMemoryStorage())
    assert other.import_events(tmp_path / "e.csv").is_whole
    assert other.storage.query_events() == keeper.storage.query_events()
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("name", "file_format", "said"),
    [
        ("e.txt", None, "does not say how it is written: use --format jsonl, csv or parquet"),
        ("e.txt", "xml", "unknown format 'xml'"),
        ("-", "parquet", "Parquet needs a file of its own"),
        ("nowhere/e.csv", None, r"e\.csv cannot be written: No such file"),
    ],
)
def test_places_and_formats_that_cannot_be_written_are_said(keeper, name, file_format, said):
    with pytest.raises(ConfigurationError, match=said):
        keeper.export_events(name, file_format)


def test_files_that_cannot_be_read_are_said(keeper, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for name, content in (("e.parquet", b"PAR1 no"), ("e.jsonl", b"\xff\xfe\xff")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"no Parquet file|not text in UTF-8"):
            keeper.import_events(tmp_path / name)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        keeper.import_events(tmp_path / "nowhere.csv")
    for other in ("nowhere.db", "e.jsonl"):
        with pytest.raises(Exception, match=r"there is no file|cannot be read"):
            keeper.import_events(tmp_path / other, "token-calculator")


def test_a_csv_file_that_begins_with_json_is_said(keeper, tmp_path):
    (tmp_path / "e.csv").write_text('{"event_id":"a","timestamp":"b"}\n')
    with pytest.raises(ConfigurationError, match=r"e\.csv cannot be read: the first line is not CSV"):
        keeper.import_events(tmp_path / "e.csv")


def test_json_lines_may_begin_with_the_mark_of_windows(keeper, tmp_path):
    assert taken(keeper, tmp_path / "e.jsonl", "\ufeff" + json.dumps(GOOD)).written == 1


def test_a_folder_without_parquet_files_is_said(keeper, tmp_path):
    with pytest.raises(ConfigurationError, match="there is no Parquet file in"):
        keeper.import_events(tmp_path)


def test_one_damaged_file_of_an_archive_is_named_and_the_others_come(keeper, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for name in ("a", "b", "c"):
        other = StoreKeeper(InMemoryStorage())
        other.storage.save_event(call(event_id=name))
        other.export_events(tmp_path / f"{name}.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    done = keeper.import_events(tmp_path)
    assert (done.written, done.malformed) == (2, 1)
    assert done.problems[0].startswith(f"{tmp_path / 'b.parquet'} cannot be read: this is no Parquet file")


def test_exports_to_one_file_at_once_leave_one_whole_file(tmp_path):
    stores = [InMemoryStorage() for _ in range(4)]
    for number, store in enumerate(stores):
        store.save_events([call(n, event_id=f"{number}-{n}") for n in range(300 * (number + 1))])
    with ThreadPoolExecutor() as pool:
        written = [*pool.map(lambda store: StoreKeeper(store).export_events(tmp_path / "e.jsonl"), stores)]
    assert written == [300, 600, 900, 1200]
    ids = [json.loads(line)["event_id"] for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert (len(ids) in written, len({id_[0] for id_ in ids})) == (True, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["e.jsonl"]
