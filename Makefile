# SPDX-License-Identifier: Apache-2.0
# Set-up, test, check: everyone runs the same three, CI too. `make VENV=/some/folder test` puts the environment elsewhere.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow test-backends check docs clean

demo: $(READY)  ## the main job on real data: the guide's table, complete, in one to three minutes
	$(BIN)/lowbit compare

test: $(READY)  ## all tests but the slow ones, files shared out among processes (a process takes about 2 GiB)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(READY)  ## the tests that take minutes: whole architectures, two at a time (up to 9 GiB each)
	$(BIN)/python -m pytest -m slow --numprocesses 2 --dist load

test-backends: $(READY)  ## training, exactness and files on JAX and PyTorch, which are installed into the environment
	$(BIN)/python -m pip install --quiet -r requirements-backends.txt
	$(BIN)/python -m pytest --numprocesses 2 --dist load tests/backends tests/qat -k "backends or jax or torch"

check: $(READY)  ## lint, format of imports, types, and the rooms of the architecture
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

docs: $(READY)  ## the documentation as a site, in docs/_build; a warning is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build

clean:  ## remove the environment and caches; runs/ stays
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache

# The pinned environment. lowbit itself is installed editable, without touching the pins.
$(READY): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
