"""A plugin for pytest: tests that fail when they take more tokens than they may, or than they did.

It is found by itself where this package is installed, and measures nothing unless a test has the marker `token_budget`
or `--token-baseline` is given.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tc_core.demo.replay import RecordedAnswers

BASELINE = pytest.StashKey[Any]()
USED = pytest.StashKey[Any]()
"""What a test took, until its report is made."""

MOST_GROWTH_PERCENT = 10.0

MARKER = "token_budget(max_cost=, max_tokens=, max_calls=): fail the test where its model calls take more"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("token calculator")
    group.addoption(
        "--token-baseline",
        metavar="FILE",
        help="Fail a test that takes more tokens than this file says, and name what grew; new tests are added to it.",
    )
    group.addoption(
        "--token-baseline-update",
        action="store_true",
        help="Write what the tests take now into the file, and compare nothing.",
    )
    group.addoption(
        "--token-growth",
        metavar="PERCENT",
        type=float,
        default=MOST_GROWTH_PERCENT,
        help="How much more than in the baseline a test may take (default: %(default)g).",
    )
    group.addoption(
        "--token-record",
        action="store_true",
        help="Ask real models, and record what they answer, for tests that have the fixture `recorded_answers`.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and read the baseline."""
    config.addinivalue_line("markers", MARKER)
    path, is_update = config.option.token_baseline, config.option.token_baseline_update
    if path is None:
        if is_update:
            raise pytest.UsageError(
                "--token-baseline-update needs --token-baseline FILE: the file that is to be written"
            )
        return
    if not 0 <= config.option.token_growth < float("inf"):  # false for NaN too
        raise pytest.UsageError(f"--token-growth must be at least 0, not {config.option.token_growth:g}")
    from tc_core.pytest_plugin.baseline import Baseline

    config.option.token_baseline = str(Path(config.invocation_params.dir, path))  # workers of xdist get it like this
    config.stash[BASELINE] = baseline = Baseline.read(
        Path(config.option.token_baseline), is_update=is_update, most_percent=config.option.token_growth
    )
    if not hasattr(config, "workerinput"):  # the reports of all workers of xdist come to the process that began them
        config.pluginmanager.register(baseline, "token-baseline")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Load what measures before the first test, so that none of them waits for it."""
    is_wanted = BASELINE in session.config.stash or any(
        item.get_closest_marker("token_budget") for item in session.items
    )
    if is_wanted and not session.config.option.collectonly:
        from tc_core.pytest_plugin import measuring

        measuring.warm_up()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Measure a test that something is to be said of, and fail it where it took too much."""
    baseline, has_budget = (
        item.config.stash.get(BASELINE, None),
        next(item.iter_markers("token_budget"), None) is not None,
    )
    if baseline is None and not has_budget:
        return (yield)
    from tc_core.pytest_plugin.budget import budget_of, over
    from tc_core.pytest_plugin.measuring import measured

    budget = budget_of(item) if has_budget else None
    with measured(item.nodeid) as use:
        result = yield
    item.stash[USED] = use
    said = [] if budget is None else over(budget, use)
    if baseline is not None and (grown := baseline.grown(item.nodeid, use)) is not None:
        said.append(grown)
    if said:
        pytest.fail("\n".join(said), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Have the report say what the test took: it travels from the workers of xdist."""
    report: pytest.TestReport = yield
    use = item.stash.get(USED, None)
    if use is not None and call.when == "call":
        report.token_use = use.to_dict()  # type: ignore[attr-defined]  # reports carry what plugins put there
    return report


@pytest.fixture
def recorded_answers(request: pytest.FixtureRequest) -> Iterator[Callable[..., "RecordedAnswers"]]:
    """Serve recorded answers of real models: `server = recorded_answers(upstream="https://api.openai.com/v1")`.

    Without a path they lie beside the test, in `recorded_answers/`. With `--token-record` the server at `upstream` is
    asked, and what it has answered is recorded when the test is over; else nothing is asked outside.
    """
    from tc_core.demo.replay import RecordedAnswers
    from tc_core.errors import ConfigurationError

    is_recording, node = request.config.option.token_record, request.node
    with ExitStack() as open_servers:

        def serve(path: str | Path | None = None, *, upstream: str = "https://api.openai.com/v1") -> RecordedAnswers:
            where = _beside(node) if path is None else node.path.parent / path
            try:
                answers = RecordedAnswers(where, upstream=upstream if is_recording else None)
            except ConfigurationError as error:
                pytest.fail(str(error), pytrace=False)
            return open_servers.enter_context(answers)

        yield serve


def _beside(node: pytest.Item) -> Path:
    name = "".join(each if each.isalnum() or each in "-_" else "-" for each in node.name)
    return node.path.parent / "recorded_answers" / node.path.stem / f"{name}.json"
