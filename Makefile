# make live       a simulated night through the whole system, in a browser
# make test       everything the tests need, then lint, types and the tests
# make help       the rest

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python

# Each worker of ours is one process: threads inside numpy would only fight each other.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help live test test-all bench lint audit format install install-test test-needs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

live: install .tools/proxy/.installed  ## simulate a night and watch it being reduced, in a browser
	@exec $(PYTHON) -m goodman_live.hub.demo $(LIVE_OPTIONS)

test: install-test test-needs  ## set up what tests need; lint, types, tests (not the slow ones)
	@sh setup/check.sh -m "not slow" $(PYTEST_OPTIONS)

test-all: install-test test-needs  ## the same with fault injection, load and random fields
	@sh setup/check.sh $(PYTEST_OPTIONS)

bench: install-test test-needs  ## print every figure that the documents quote
	@sh setup/bench.sh $(BENCHMARKS)

lint: install-test  ## ruff and mypy alone
	@sh setup/check.sh --lint

audit: install  ## look up known weaknesses of what is installed; asks the package index
	@[ -x .tools/audit/bin/pip-audit ] || { $(PYTHON) -m venv .tools/audit && .tools/audit/bin/pip install -q "pip-audit>=2.7"; }
	@$(PYTHON) setup/audit.py .tools/audit/bin/pip-audit

format: install-test  ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

install: $(VENV)/.installed  ## make .venv and install the project in it

install-test: $(VENV)/.installed-test

$(VENV)/.installed: pyproject.toml setup/environment.sh
	@sh setup/environment.sh $(VENV) .
	@touch $@

$(VENV)/.installed-test: pyproject.toml setup/environment.sh
	@sh setup/environment.sh $(VENV) ".[test]"
	@touch $(VENV)/.installed $@

.tools/proxy/.installed: hub/proxy.py | $(VENV)/.installed
	@$(PYTHON) -m goodman_live.hub.proxy install
	@touch $@

test-needs: .tools/proxy/.installed
	@sh setup/test-needs.sh $(PYTHON)

clean:  ## remove what was installed; the data in live/ stay
	rm -rf $(VENV) .tools
