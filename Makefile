PYTHON ?= python3
BIN = .venv/bin

.PHONY: help study test lint faults machines bench clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/'

study: .venv/installed  ## the default study, with its report in runs/main
	$(BIN)/python -m ablation -m arch=34,50 plain=true,false

test: .venv/dev  ## the test suite
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: .venv/dev  ## formatter, linter, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

faults: .venv/dev  ## kills, failing disks and power cuts at every point of a run; about an hour
	$(BIN)/python -m pytest -m faults -s

machines: .venv/dev  ## two machines and a file server, all emulated (Debian, QEMU); minutes
	$(BIN)/python -m pytest -m machines -s

bench: .venv/bench  ## the tables of benchmarks/README.md; half an hour on a machine with nothing else to do
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/feed.py
	$(BIN)/python benchmarks/overhead.py --parallel
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/verdicts.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/bench: .venv/dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv build dist
