"""Runs each adapter's tests with the lowest and the newest version of its framework, and writes docs/versions.md.

python docs/versions.py [FRAMEWORK ...]

Each version gets a virtual environment of its own in a temporary folder, which takes minutes and gigabytes. Rows of
frameworks that are not asked for stay as they are.
"""

import json
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = Path(__file__).parent / "versions.md"

TOOLS = ("pytest", "pytest-asyncio", "hypothesis")
PACKAGES = {
    "langchain": ("langchain-core", "langchain", "langgraph", "langchain-openai"),
    "crewai": ("crewai",),
    "llamaindex": ("llama-index-core", "llama-index-workflows", "llama-index-llms-openai"),
}
LOWEST = {
    "langchain": ("langchain-core==1.6.0", "langchain==1.3.18"),
    "crewai": ("crewai==1.15.25",),
    "llamaindex": ("llama-index-core==0.14.3",),
}
BESIDE = {
    "langchain": ("langchain-anthropic",),
    "crewai": (),
    "llamaindex": ("llama-index-embeddings-openai", "llama-index-llms-openai-like"),
}
"""What the tests use beside the framework itself."""

HEAD = """# Versions

The tests of each adapter ran with these, written by `python docs/versions.py`. `token-calc doctor` warns below the
lowest and above the newest, whose later patches count as tried; recording goes on, since a hook of ours that meets
something new counts a fault and never stops the host.

Below them:

* LangChain 1.3.4: all but one detail (what a middleware asks a model to choose tools has no task type); 1.1.0:
  tokens and costs are right, while agents have no names.
* LlamaIndex 0.14.3: tokens and costs are right in all scenarios, while a model has the name of the one that
  answered, since this version does not tell which one was asked for (the failures in the table).
* CrewAI 1.15.15 to 1.15.24: all; it tries again after a rate limit only later. 1.15.0: tokens, costs and nearly all
  of the lineage.

| framework | which | versions | tests | Python | date |
|---|---|---|---|---|---|
"""

Row = tuple[str, ...]


def tried(framework: str, which: str) -> Row:
    """Install one version and run the adapter's tests with it; return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pins = LOWEST[framework] if which == "lowest" else PACKAGES[framework]
        wanted = [f"{ROOT}[{framework}]", *pins, *BESIDE[framework], *TOOLS]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", *wanted], check=True)
        command = [python, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", f"tests/{framework}"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        said = next((line for line in reversed(result.stdout.splitlines()) if " in " in line), result.stderr[-200:])
        if result.returncode:
            print(result.stdout[-20_000:], file=sys.stderr)
        listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
        found = {each["name"]: each["version"] for each in json.loads(listed.stdout)}
    versions = ", ".join(f"{package} {found[package]}" for package in PACKAGES[framework])
    return (framework, which, versions, said.split(" in ")[0].strip("= "), platform.python_version(), str(date.today()))


def rows_so_far() -> dict[tuple[str, str], Row]:
    """Return the rows that the page has."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("| ")]
    return {(row[0], row[1]): row for row in rows[1:]}


def main(frameworks: list[str]) -> None:
    """Try the frameworks that are asked for, all without one, and write the page."""
    rows = rows_so_far()
    for framework in frameworks or PACKAGES:
        for which in ("lowest", "newest"):
            rows[framework, which] = tried(framework, which)
            print(*rows[framework, which], sep="  ", flush=True)
            PAGE.write_text(HEAD + "".join(f"| {' | '.join(rows[key])} |\n" for key in sorted(rows)))


if __name__ == "__main__":
    main(sys.argv[1:])
