"""`@pytest.mark.token_budget`, with a real framework against a real server on this machine."""

from tests.pytest_plugin.conftest import said

SERVED = """
import tc_core
from tc_core.testing import ModelServer, Step

@pytest.fixture
def server():
    with ModelServer() as server:
        server.push(Step(text="Hello.", usage={"prompt": 1000, "completion": 100}))
        yield server
"""


def test_a_test_that_takes_more_than_it_may_fails_and_says_what_took_it(run):
    # 1,000 x $0.15 + 100 x $0.60 a million is $0.00021
    result = run(
        SERVED
        + """
@pytest.mark.token_budget(max_cost=0.00021, max_tokens=1100, max_calls=1)
def test_within(server):
    assert ask(server) == "Hello."

@pytest.mark.token_budget(max_cost=0.0002)
def test_cost(server):
    ask(server)

@pytest.mark.token_budget(max_tokens=1099)
def test_tokens(server):
    ask(server)

@pytest.mark.token_budget(max_calls=0)
def test_calls(server):
    ask(server)

@pytest.mark.token_budget(max_cost=1)
def test_unpriced(server):
    ask(server, model="a-model-without-a-price")

@pytest.mark.token_budget(max_tokens=7)
def test_broken(server):
    ask(server)
    raise KeyError("of its own")
"""
    )
    result.assert_outcomes(passed=1, failed=5)
    for words in (
        "token budget: $0.000210, max_cost is $0.000200: images, audio, unseen",
        "token budget: 1,100 tokens, max_tokens is 1,099: images, audio, unseen",
        "token budget: 1 model call, max_calls is 0",
        "1 call of a-model-without-a-price without a known price, so that max_cost cannot be judged",
        "KeyError: 'of its own'",
    ):
        assert words in said(result)
    assert "max_tokens is 7" not in said(result)  # what a test raises itself comes first


def test_all_kinds_of_tests_are_measured_and_what_the_program_records_goes_on(run):
    result = run(
        SERVED
        + """
@pytest.mark.token_budget(max_calls=1)
class TestThem:
    async def test_asynchronous(self, server):
        model = ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="x")
        await model.ainvoke("a")
        await model.ainvoke("b")

    @pytest.mark.token_budget(max_calls=2)
    def test_own_limit(self, server):
        ask(server)
        ask(server)

    def test_by_hand(self):
        with tc_core.WorkflowTracker("w").track_agent("a") as agent:
            agent.track_call("gpt-4o", 10, 1)
            agent.track_call("gpt-4o", 10, 1)

    def test_nothing(self):
        pass

@pytest.fixture(scope="session")
def own_store(tmp_path_factory):
    store = tc_core.SQLiteStorage(tmp_path_factory.mktemp("own") / "own.db")
    tc_core.instrument(store)
    return store

def test_before(own_store, server):
    ask(server)

@pytest.mark.token_budget(max_calls=1)
def test_measured(own_store, server):
    ask(server)

def test_after(own_store, server):
    ask(server)
    assert own_store.totals()[()].calls == 2
"""
    )
    result.assert_outcomes(passed=5, failed=2)
    assert said(result).count("2 model calls, max_calls is 1") >= 2
    for name in ("test_asynchronous", "test_by_hand"):
        assert f"FAILED test_agent.py::TestThem::{name}" in said(result)


def test_a_marker_that_makes_no_sense_is_named(run):
    wrong = {
        "max_money=1": "token_budget takes max_cost=, max_tokens=, max_calls=, not max_money",
        "5": "max_calls=, not 5",
        "": "max_calls=, not nothing",
        "max_calls='x'": "token_budget: max_calls must be a number from 0 on, not 'x'",
        "max_cost=-1": "max_cost must be a number from 0 on, not -1",
    }
    program = "import pytest\n" + "".join(
        f"@pytest.mark.token_budget({arguments})\ndef test_{number}(): pass\n" for number, arguments in enumerate(wrong)
    )
    result = run(program, "--strict-markers", agent="")
    result.assert_outcomes(failed=5)
    for words in wrong.values():
        assert words in said(result)


def test_the_plugin_costs_nothing_where_it_is_not_used(run, run_python):
    program = "import sys\ndef test_it(): assert not {'tc_core.store', 'sqlmodel'} & sys.modules.keys()\n"
    run(program, agent="").assert_outcomes(passed=1)
    loaded = run_python(
        "import sys, pytest; before = set(sys.modules); import tc_core.pytest_plugin;"
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    assert loaded.strip() == "['tc_core', 'tc_core.pytest_plugin', 'tc_core.version']"
