# Two commands on a fresh machine: `make study` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
# Compiling all of torch takes longer than fetching it; Python compiles what is imported.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.PHONY: study test lint clean

study: .venv/installed
	$(BIN)/python studies/kernel_sweep.py

test: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo

clean:
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "evae needs python 3.11 or newer; choose one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv (a few minutes the first time)..."
	@$(PIP_INSTALL) --upgrade pip  # what comes with Python 3.11 takes twice as long
	$(PIP_INSTALL) --editable .
	@touch $@

.venv/installed-test: .venv/installed
	$(PIP_INSTALL) --editable '.[test]'
	@touch $@
