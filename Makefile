# `make help` explains every target. PYTHON chooses the interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,track,sweep,cluster,serve,video,docs,export,hub
READY := $(VENV)/.ready
TRAINS := $(VENV)/.trains
# uv is faster than pip, but does not read pip's settings, so pip is tried if uv fails. Neither compiles packages at installation:
# Python compiles modules when they are imported, unless PYTHONDONTWRITEBYTECODE is set.
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
UV := $(and $(shell command -v uv),uv pip install --python $(BIN)/python)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all chaos bench check lint types docs notebooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## create .venv with the versions pinned in constraints.txt

define pip_install
	$(if $(UV),$(UV) --quiet -c constraints.txt -e $(1) || )$(PIP) --quiet -c constraints.txt -e $(1)
endef

$(READY): $(TRAINS)
	$(call pip_install,'.[$(EXTRAS)]')
	@touch $@

$(TRAINS): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v < (3, 14) else "Python 3.10 to 3.13 is needed, this is %d.%d; say which: make $(MAKECMDGOALS) PYTHON=python3.12" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call pip_install,.)
	@touch $@

demo: $(TRAINS) ## train photo -> ukiyo-e for two minutes, evaluate it, and print where the images are
	$(BIN)/stylegan-lab train experiment=demo

test: lint types ## run the linters, the type checker and the tests except slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations=10

test-all: lint types ## run all tests, with coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov=stylegan_lab --cov-report=term:skip-covered

chaos: install ## kill runs at random, resume them, and compare the results bit for bit (some minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/training --kills=20

bench: install ## run the benchmarks: training steps, data, evaluation, start-up, overhead, translation (an hour)
	$(BIN)/python -m benchmarks.bench

check: lint types ## run the linters and the type checker (seconds); do this before each commit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python docs/check_words.py

types: install
	$(BIN)/mypy

docs: install ## write the generated pages, and build the documentation in site/
	$(BIN)/python docs/generate_datasets.py
	$(BIN)/python docs/generate_baselines.py
	$(BIN)/python docs/generate_reference.py
	$(BIN)/zensical build --strict --clean

notebooks: install ## run all notebooks and save their outputs (half an hour)
	$(BIN)/python notebooks/execute.py

clean: ## remove .venv, caches and build outputs, but not runs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .cache build dist site
