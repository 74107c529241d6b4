"""`--token-baseline`, and answers that are recorded once against a real server and replayed after."""

import json
import re

import pytest

from tc_core.errors import ConfigurationError
from tc_core.pytest_plugin.baseline import Baseline
from tc_core.pytest_plugin.measuring import TokenUse
from tc_core.testing import ModelServer, RecordedAnswers, Step
from tests.pytest_plugin.conftest import said

REPLAYED = """
def test_booking(recorded_answers):
    assert ask(recorded_answers(upstream=os.environ.get("UPSTREAM", "http://127.0.0.1:9/v1"))) == "Good day."
"""

BASELINE = ("--token-baseline", "tokens.json")


def test_tokens_that_grow_fail_offline_and_what_grew_is_named(run, pytester):
    """The system prompt has 120 tokens more by the model's tokenizer, "Be polite. " is three; the schema grew too."""
    with ModelServer() as server:
        server.push(Step(text="Good day."))
        result = run(REPLAYED, "--token-record", *BASELINE, UPSTREAM=server.base_url)
        result.assert_outcomes(passed=1)
        assert len(server.exchanges) == 1
    assert "tokens.json: 1 added" in said(result)
    written = (pytester.path / "tokens.json").read_text()
    use = json.loads(written)["tests"]["test_agent.py::test_booking"]
    assert (use["calls"], sum(use["segments"].values())) == (1, use["tokens"])
    assert {"system prompt", "tool schema search_flights", "user", "message format", "output"} == use["segments"].keys()

    result = run(REPLAYED + REPLAYED.replace("test_booking", "test_other"), *BASELINE)  # offline: the server is gone
    result.assert_outcomes(passed=1, failed=1)
    assert "there are no recorded answers at" in said(result)
    assert (pytester.path / "tokens.json").read_text() == written

    result = run(REPLAYED, *BASELINE, WORDS="40", WIDER="1")
    result.assert_outcomes(failed=1)
    found = re.search(r"(\d+) tokens instead of (\d+) \(\+\d+ %\): (.*?)\. If that is meant", said(result))
    now, before = int(found[1]), int(found[2])
    grown = {name: int(more) for name, more in re.findall(r"(\w[\w ]*) \+(\d+)", found[3])}
    assert set(grown) == {"system prompt", "tool schema search_flights"}
    assert abs(grown["system prompt"] - 120) <= 6
    assert now - before == sum(grown.values())

    result = run(REPLAYED, *BASELINE, "--token-baseline-update", WORDS="40", WIDER="1")
    result.assert_outcomes(passed=1)
    assert "tokens.json: 1 updated" in said(result)
    assert (
        json.loads((pytester.path / "tokens.json").read_text())["tests"]["test_agent.py::test_booking"]["tokens"] == now
    )


def test_beside_xdist_one_file_is_written_and_read(run, pytester):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    many = """
@pytest.mark.parametrize("number", range(4))
def test_many(recorded_answers, number):
    ask(recorded_answers(upstream=os.environ.get("UPSTREAM", "")), f"Hello {number}?")
"""
    with ModelServer() as server:
        result = run(many, "--token-record", *BASELINE, "-n", "2", UPSTREAM=server.base_url)
    result.assert_outcomes(passed=4)
    assert "tokens.json: 4 added" in said(result)
    assert len(json.loads((pytester.path / "tokens.json").read_text())["tests"]) == 4
    assert run(many, *BASELINE, "-n", "2", WORDS="20").parseoutcomes()["failed"] == 4


def test_a_file_that_is_none_of_ours_and_options_that_make_no_sense_are_named(run, pytester):
    (pytester.path / "tokens.json").write_text("[]")
    for arguments, words in (
        (BASELINE, "tokens.json is no baseline of ours"),
        (["--token-baseline-update"], "--token-baseline-update needs --token-baseline FILE"),
        (["--token-baseline", "new.json", "--token-growth", "-1"], "--token-growth must be at least 0, not -1"),
        (["--token-baseline", "new.json", "--token-growth", "nan"], "--token-growth must be at least 0, not nan"),
    ):
        result = run("def test_it(): pass\n", *arguments, agent="")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert words in "".join(result.errlines)


def test_ten_percent_are_allowed_and_how_much_can_be_said(tmp_path):
    known = {"test": {"calls": 1, "tokens": 1000, "segments": {"user": 600, "output": 400}}}
    (tmp_path / "tokens.json").write_text(json.dumps({"version": 1, "tests": known}))

    def grown(use, **options):
        options = {"is_update": False, "most_percent": 10.0, **options}
        return Baseline.read(tmp_path / "tokens.json", **options).grown("test", use)

    more = TokenUse(calls=2, tokens=1101, segments={"user": 550, "tool search": 151, "output": 400})
    assert grown(more) == (
        "token baseline: 1,101 tokens instead of 1,000 (+10 %) in 2 calls instead of 1: tool search +151. "
        "If that is meant, run it once with --token-baseline-update."
    )
    assert grown(TokenUse(calls=1, tokens=1100)) is None
    assert grown(more, most_percent=20.0) is None
    assert grown(more, is_update=True) is None
    assert Baseline.read(tmp_path / "none.json", is_update=False, most_percent=10.0).grown("test", more) is None


# Recorded answers by themselves


def ask(server, *messages, **options):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="secret", max_retries=0, **options).invoke(
        list(messages)
    )


def test_streams_errors_and_repeated_questions_are_replayed(server, tmp_path):
    path = tmp_path / "a" / "answers.json"
    server.push(Step(text="one two three"), Step(status=429, text="slow down"), Step(text="four"))
    with RecordedAnswers(path, upstream=server.base_url) as real:
        said = [ask(real, ("user", "stream"), streaming=True, stream_usage=True).content]
        with pytest.raises(Exception, match="slow down"):
            ask(real, ("user", "again"))
        said.append(ask(real, ("user", "again")).content)
    assert "secret" not in path.read_text()
    assert '"stream"' not in path.read_text()
    with RecordedAnswers(path) as replayed:
        answer = ask(replayed, ("user", "stream"), streaming=True, stream_usage=True)
        with pytest.raises(Exception, match="slow down"):
            ask(replayed, ("user", "again"))
        assert [answer.content, ask(replayed, ("user", "again")).content] == said == ["one two three", "four"]
        assert answer.usage_metadata["input_tokens"] == server.exchanges[0].tokens.prompt
    assert len(server.exchanges) == 3


def test_a_changed_request_gets_the_answer_it_resembles_most_with_its_own_tokens(server, tmp_path):
    path = tmp_path / "answers.json"
    server.push(Step(text="sky", usage={"prompt": 100}), Step(text="sea", usage={"prompt": 200}))
    with RecordedAnswers(path, upstream=server.base_url) as real:
        ask(real, ("system", "You know the sky."), ("user", "What colour is it?"))
        ask(real, ("system", "You know the sea."), ("user", "What colour is it?"))
    with RecordedAnswers(path) as replayed:
        answer = ask(replayed, ("system", "You know the sea."), ("user", "What colour is it in the morning?"))
        # " in the morning" is three tokens more
        assert (answer.content, answer.usage_metadata["input_tokens"]) == ("sea", 203)
        assert answer.usage_metadata["total_tokens"] == 203 + answer.usage_metadata["output_tokens"]
        again = ask(replayed, ("system", "You know the sky."), ("user", "What colour is it?"))
        assert (again.content, again.usage_metadata["input_tokens"]) == ("sky", 100)


def test_what_was_not_recorded_is_said(server, tmp_path):
    path = tmp_path / "answers.json"
    with pytest.raises(ConfigurationError, match="there are no recorded answers at"):
        RecordedAnswers(path)
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="has no recorded answers"):
        RecordedAnswers(path)
    with RecordedAnswers(tmp_path / "other.json", upstream=server.base_url) as real:
        ask(real, ("user", "one"))
    with RecordedAnswers(tmp_path / "other.json") as replayed:
        ask(replayed, ("user", "two"))
        with pytest.raises(Exception, match=r"no answer to a request of gpt-4o-mini .* is left in .*other\.json"):
            ask(replayed, ("user", "three"))


def test_a_server_that_is_not_there_is_said(tmp_path):
    with (
        RecordedAnswers(tmp_path / "answers.json", upstream="http://127.0.0.1:9/v1") as real,
        pytest.raises(Exception, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"),
    ):
        ask(real, ("user", "one"))
