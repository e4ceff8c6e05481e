# `make help` explains every target. PYTHON chooses the interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,track,sweep,cluster
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all chaos check lint types docs notebooks clean

help: ## say what every target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make .venv with the pinned versions of constraints.txt

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v < (3, 14) else "Python 3.10 to 3.13 is needed, this is %d.%d; say which: make $(MAKECMDGOALS) PYTHON=python3.12" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: install ## train photo -> ukiyo-e for two minutes, score it, show where the pictures are
	$(BIN)/stylegan-lab train experiment=demo

test: lint types ## lint, types and the suite, but for what takes minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations=10

test-all: lint types ## the whole suite, with its coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov=stylegan_lab --cov-report=term:skip-covered

chaos: install ## kill runs at random, resume them, compare them bit for bit: some minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/survival --kills=20

check: lint types ## what can be said in seconds, before each commit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

docs: install ## write docs/configs.md from conf/, docs/datasets.md from the catalogue, docs/baselines.md from baselines/
	$(BIN)/python docs/generate_configs.py
	$(BIN)/python docs/generate_datasets.py
	$(BIN)/python docs/generate_baselines.py

notebooks: install ## run all notebooks as they stand, and keep what they show: half an hour
	$(BIN)/python notebooks/execute.py

clean: ## remove .venv and what tools left; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
