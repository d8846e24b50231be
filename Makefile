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

.PHONY: study test test-gpu test-cpus test-cpu-plain test-cpu-avx2 docs lint clean

study: .venv/installed
	$(BIN)/python studies/kernel_sweep.py

# A process of tests that dies ends the run: pytest-xdist would start another, and then wait for ever for some tests.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: .venv/installed-test
	$(PYTEST)

# On a machine with a CUDA device; without one they are skipped, and say so. One process: the device is one.
test-gpu: .venv/installed-test
	$(BIN)/python -m pytest -m gpu -rs

# The tests that compute, as other x86-64 CPUs do: sums come in another order without vector instructions, with shorter
# ones, and on two threads.
NUMERICAL := $(PYTEST) $(addprefix --ignore=tests/,analysis cluster hosts results studies study test_lazy.py)

test-cpus: test-cpu-plain test-cpu-avx2

test-cpu-plain: .venv/installed-test
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem $(NUMERICAL)

test-cpu-avx2: .venv/installed-test
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=AVX2 OPENBLAS_CORETYPE=Haswell \
	OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive $(NUMERICAL)

# The documentation as a site; a dead link is an error.
docs: .venv/installed-test
	$(BIN)/python -m mkdocs build --strict --quiet --site-dir site
	@echo "site/index.html; with its search: python -m http.server --directory site"

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo

clean:
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt | .venv/made
	$(PIP_INSTALL) --editable .
	@$(COMPILE) || true  # packages hold files that are not for this Python
	@touch $@

# With what the tests need, in one go: who has this has the other too.
.venv/installed-test: pyproject.toml constraints.txt | .venv/made
	$(PIP_INSTALL) --editable '.[test]'
	@$(COMPILE) || true
	@touch .venv/installed $@

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "evae needs python 3.11 or newer; choose one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv (a few minutes the first time)..."
	@$(PIP_INSTALL) --upgrade pip  # what comes with Python 3.11 takes twice as long
	@touch $@
