"""The house: imports go down, names are public on purpose, importing costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tc_core

ROOT = Path(__file__).parent.parent


def test_imports_only_go_down():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "tc_core").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_inside_the_core_nobody_imports_from_the_root_package(path):
    rooms = {each.stem for each in (ROOT / "tc_core").iterdir()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not [name.name for name in node.names if name.name == "tc_core"]
        if isinstance(node, ast.ImportFrom) and node.module == "tc_core":
            assert {name.name for name in node.names} <= rooms


def test_only_the_guard_swallows_errors():
    allowed = {
        "tc_core/record/guard.py",
        "tc_core/record/writer.py",  # a refused batch is written event by event
        "tc_core/model/apart.py",  # what another thread raises is raised again where it was asked
        "tc_core/record/context.py",  # an error is thrown on into the generator that it is for
    }
    found = {
        str(path.relative_to(ROOT))
        for package in ("tc_core", "tc_langchain", "tc_crewai", "tc_llamaindex")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id in ("Exception", "BaseException")
        and not any(isinstance(each, ast.Raise) for each in ast.walk(node))
    }
    assert found <= allowed


def test_all_is_sorted_and_every_name_is_there():
    assert tc_core.__all__ == sorted(tc_core.__all__)
    assert set(tc_core._HOMES) | {"__version__"} == set(tc_core.__all__)
    for name in tc_core.__all__:
        assert getattr(tc_core, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tc_core.nothing


def test_every_public_name_has_a_docstring():
    for name in tc_core.__all__:
        if name != "__version__":
            assert getattr(tc_core, name).__doc__, name


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import tc_core",
            ["sqlmodel", "sqlalchemy", "networkx", "pydantic", "genai_prices", "tiktoken", "langchain_core", "rich"],
        ),
        ("import tc_core.cli.main", ["langchain_core", "genai_prices", "tiktoken", "alembic", "numpy"]),
        ("import tc_langchain", ["langchain_core", "sqlmodel"]),
        ("import tc_crewai", ["crewai", "sqlmodel"]),
        ("import tc_llamaindex", ["llama_index_instrumentation", "sqlmodel"]),
        ("import tc_llamaindex; tc_llamaindex.TokenCalculatorHandler", ["llama_index", "openai"]),
        (
            "import tc_core; tc_core.CostTracker(tc_core.InMemoryStorage())",
            ["langchain_core", "genai_prices", "alembic"],
        ),
    ],
)
def test_importing_loads_only_what_is_needed(run_python, statement, absent):
    printed = run_python(f"import sys; {statement}; print([name for name in {absent} if name in sys.modules])")
    assert printed.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "framework", "adapter", "wanted"),
    [
        ("langchain", "LangChain", "tc_langchain", "TokenCalculatorCallback"),
        ("crewai", "CrewAI", "tc_crewai", "TokenCalculatorListener"),
        ("llama", "LlamaIndex", "tc_llamaindex", "TokenCalculatorHandler"),
    ],
)
def test_a_missing_framework_is_an_import_error_with_the_line_that_installs_it(
    run_python, name, framework, adapter, wanted
):
    program = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith({name!r}): raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import {adapter}
try: {adapter}.{wanted}
except ImportError as error: print(error)
"""
    extra = adapter.removeprefix("tc_")
    assert run_python(program).strip() == f"{framework} is not installed: pip install 'token-calculator-suite[{extra}]'"


def test_the_packages_are_typed():
    for package in ("tc_core", "tc_langchain", "tc_crewai", "tc_llamaindex"):
        assert (ROOT / package / "py.typed").exists()


def test_no_pinned_version_names_an_index():
    text = (
        (ROOT / "constraints.txt").read_text() + (ROOT / "pyproject.toml").read_text() + (ROOT / "Makefile").read_text()
    )
    assert "index-url" not in text
    assert "file://" not in text
    assert not [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "://" in line or "@" in line]
