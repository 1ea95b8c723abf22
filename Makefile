# Everything runs in .venv, which `make` sets up by itself: python3 >= 3.11, venv and make are enough,
# and a C compiler for full speed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SETUP := requirements-dev.txt docs/requirements.txt constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml plugins/*/setup.py plugins/*/src/*/*/*.[ch])

.PHONY: demo test test-fast test-kernels check bench docs dist fuzz clean help

help:            ## what there is
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): $(SETUP)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): this takes minutes, torch is among it"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

demo: $(STAMP)   ## install, compare three shipped tokenizers, round-trip a hard string
	$(BIN)/tokframe compare word bpe autoencoder-fsq
	$(BIN)/python examples/round_trip.py

test: check      ## set up, lint, type-check, run every test
	$(BIN)/python -m pytest

test-fast: $(STAMP)  ## the tests that start no process and train nothing: an answer in a minute
	$(BIN)/python -m pytest -q -m "not slow"

test-kernels: $(STAMP)  ## what trains, again with the plainest kernels and one thread: no test may hang on rounding
	ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m trains

bench: $(STAMP)  ## speed against the peers; writes docs/performance.md (takes minutes)
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

docs: $(STAMP)   ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "see site/index.html; with search: python -m http.server -d site"

dist: $(STAMP)   ## build and check sdist and wheel of every distribution, into dist/
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist
	for each in . plugins/*/; do TOKFRAME_REQUIRE_COMPILED=1 $(BIN)/python -m build --outdir dist $$each || exit 1; done
	$(BIN)/python -m twine check --strict dist/*

fuzz: $(STAMP)   ## fuzzing of artifacts and encode/decode, sanitizers, power cuts (nine minutes)
	$(BIN)/python -m pip install --quiet "atheris>=3"
	$(BIN)/python -m fuzz --seconds 60
	$(BIN)/python -m fuzz.sanitized --seconds 60
	$(BIN)/python -m fuzz.powercut

check: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:           ## remove what make made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
