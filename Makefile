# Everything a person types. The environment builds itself once: see "make help".
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that is new enough; override with `make test PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PLUGIN ?= graph
ARGS ?=

# Two test processes share the machine, so each keeps to one thread; training uses what torch finds.
TEST_THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
WORKERS ?= 2

# In order, also under make -j: pytest must close.
.NOTPARALLEL:
.PHONY: help train test lint types docs unit bench reliability reproduce clean

help:
	@echo "make train PLUGIN=graph [ARGS='--recipe NAME --set optim.lr=0.001']   train and evaluate on real data"
	@echo "make test        lint, types, docs and every test"
	@echo "make lint | types | docs | unit     one of them"
	@echo "make bench       time and memory, side by side with other implementations"
	@echo "make reliability kills, full disks, broken caches and fuzzing behind docs/reliability.md (an hour)"
	@echo "make reproduce   every published method and seed behind docs/results.md (hours)"
	@echo "make clean       remove what was built"

$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Python 3.11 or newer is needed, and none was found (tried: $(if $(PYTHON),$(PYTHON),python3 and python3.11 to python3.13)). Install one, or run make with PYTHON=/path/to/python3.11." >&2; \
		exit 1; fi
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version) (once, some minutes) ..."
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

train: $(STAMP)
	@$(BIN)/sslplug train --plugin $(PLUGIN) $(ARGS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

docs: $(STAMP)
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

unit: $(STAMP)
	@$(TEST_THREADS) $(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

# pytest comes last, so that its closing line is the last line.
test: lint types docs unit

# Peers are measured and never dependencies: each lives in a folder of its own.
build/pygcl: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ PyGCL==0.1.2

build/ts3l: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ ts3l==0.70

build/ptls: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ pytorch-lifestream pytorch-lightning \
		lightning-utilities torchmetrics omegaconf hydra-core antlr4-python3-runtime==4.9.3 pymonad duckdb

build/recbole: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ recbole==1.2.1 colorlog==4.7.2 \
		colorama thop tabulate texttable psutil tqdm

bench: $(STAMP) build/pygcl build/ts3l build/ptls build/recbole
	@for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file $(ARGS); done

reliability: $(STAMP)
	@$(TEST_THREADS) $(BIN)/python tests/reliability/kill_saves.py
	@$(TEST_THREADS) $(BIN)/python tests/reliability/stop_and_resume.py
	@$(TEST_THREADS) $(BIN)/python tests/reliability/failing_writes.py
	@$(TEST_THREADS) $(BIN)/python tests/reliability/shared_cache.py --cold
	@$(TEST_THREADS) $(BIN)/python tests/reliability/stop_signal.py
	@SSLPLUG_FUZZ=3000 $(TEST_THREADS) $(BIN)/python -m pytest -q tests/reliability/test_fuzz.py

reproduce: $(STAMP)
	@$(BIN)/python tests/reproduce/run.py $(ARGS)

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
