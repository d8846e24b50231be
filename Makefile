# Two commands on a fresh machine: `make study` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# Without compiled files every process of a study takes 14 s of a core to import torch and Ray, instead of 6, and --help
# 1.3 s instead of 0.4. Python keeps what it compiles, unless PYTHONDONTWRITEBYTECODE is set, as in many images; and
# where it may, three processes compile the same at the first start. So it is done here, on all cores, with or without
# that variable: 35 s of one core (18 s on two); with the packages' own tests, as pip does it, on one core, 59.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib
# What make runs keeps the rest too: our own files, and the tests as pytest rewrites them.
unexport PYTHONDONTWRITEBYTECODE

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
	@$(COMPILE) || true  # packages hold files that are not for this Python
	@touch $@

.venv/installed-test: .venv/installed
	$(PIP_INSTALL) --editable '.[test]'
	@$(COMPILE) || true
	@touch $@
