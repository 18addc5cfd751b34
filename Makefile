PYTHON ?= python3
BIN = .venv/bin

.PHONY: study test lint faults clean

study: .venv/installed  ## the default study, with its report in runs/main
	$(BIN)/python -m ablation -m arch=34,50 plain=true,false

test: .venv/dev  ## the test suite
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: .venv/dev  ## formatter, linter, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

faults: .venv/dev  ## kills a sweep 50 times at random moments and compares it with one left alone
	$(BIN)/python -m pytest -m faults -s

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist
