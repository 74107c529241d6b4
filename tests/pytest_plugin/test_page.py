"""What docs/testing.md shows works as it shows it."""

from tc_core.testing import ModelServer, Step
from tests.pytest_plugin.conftest import said
from tests.test_docs import blocks


def test_the_example_is_recorded_once_and_replayed_offline(run):
    (program,) = blocks("docs/testing.md", "python")
    with ModelServer() as server:
        server.push(Step(tool_calls=[("search_flights", {"to": "Rome", "day": "Friday"})]), Step(text="Booked."))
        program = program.replace(
            "    assert book(", '    assert "" == book('
        )  # the script's first answer asks for a tool
        local = program.replace("https://api.openai.com/v1", server.base_url)
        run(local, "--token-record", agent="", OPENAI_API_KEY="none").assert_outcomes(passed=1)
        assert len(server.exchanges) == 1
    run(program, "--token-baseline", "tokens.json", agent="", OPENAI_API_KEY="none").assert_outcomes(passed=1)
    grown = program.replace('" * 8', ' Be polite, and brief. " * 12')
    result = run(grown, "--token-baseline", "tokens.json", agent="", OPENAI_API_KEY="none")
    result.assert_outcomes(failed=1)
    assert "system prompt +" in said(result)
    assert "tool schema" not in said(result)
