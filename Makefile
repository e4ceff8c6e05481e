# `make help` explains every target. PYTHON chooses the interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,track,sweep,cluster,serve,video,docs,export,hub
READY := $(VENV)/.ready
TRAINS := $(VENV)/.trains
# Packages are checked against the hashes in locks/. If your index serves files of its own: make install HASHES=no
HASHES := yes
# uv is faster than pip, but does not read pip's settings, so pip is tried if uv fails. Neither compiles packages at installation:
# Python compiles modules when they are imported, unless PYTHONDONTWRITEBYTECODE is set.
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
UV := $(and $(shell command -v uv),uv pip install --python $(BIN)/python)

.DEFAULT_GOAL := help
.PHONY: help install lock demo test test-fast test-all pythons chaos mutants bench check lint types docs notebooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## create .venv with the versions pinned in constraints.txt, and check their hashes

define pip_install
	$(if $(UV),$(UV) --quiet $(1) || )$(PIP) --quiet $(1)
endef

ifeq ($(HASHES),no)
install_for_training = $(call pip_install,-c constraints.txt -e .)
install_extras = $(call pip_install,-c constraints.txt -e '.[$(EXTRAS)]')
else
# Which build of torch fits, and so its hash, depends on the machine. constraints.txt pins its version, and its metadata those of CUDA.
define install_for_training
	$(call install_locked,train)
	$(call pip_install,-c constraints.txt torch)
	$(call pip_install,--no-deps --no-build-isolation -e .)
endef
install_extras = $(call install_locked,dev)
endif
define install_locked
	$(call pip_install,--no-deps --require-hashes -r locks/$(1).txt) \
		|| { echo 'locks/$(1).txt cannot be used here; this installs the same versions without hashes: make install HASHES=no'; exit 1; }
endef

$(READY): $(TRAINS) locks/dev.txt
	$(install_extras)
	@touch $@

$(TRAINS): pyproject.toml constraints.txt locks/train.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v < (3, 14) else "Python 3.10 to 3.13 is needed, this is %d.%d; say which: make $(MAKECMDGOALS) PYTHON=python3.12" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(install_for_training)
	@touch $@

lock: ## write locks/ again after a change of pyproject.toml or constraints.txt (needs uv)
	$(call write_lock,train)
	$(call write_lock,dev,$(patsubst %,--extra %,$(subst $(comma), ,$(EXTRAS))))

# For all Pythons and systems. `-` stands for what builds the project, editable. awk removes torch and what it needs of CUDA.
comma := ,
define write_lock
	printf "hatchling\neditables\n" | uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
		--custom-compile-command 'make lock' -c constraints.txt pyproject.toml - $(2) -o locks/$(1).txt >/dev/null
	awk '/^[a-z]/ {cuda = /^(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==/} !cuda' locks/$(1).txt > locks/$(1).tmp
	mv locks/$(1).tmp locks/$(1).txt
endef

demo: $(TRAINS) ## train photo -> ukiyo-e for two minutes, evaluate it, and print where the images are
	$(BIN)/stylegan-lab train experiment=demo

test: lint types ## run the linters, the type checker and the tests except slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations=10

test-fast: $(READY) ## run the tests of the files that differ from main, and quick ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $$($(BIN)/python -m tests.changed)

test-all: lint types ## run all tests, with coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov=stylegan_lab --cov-report=term:skip-covered

pythons: $(READY) ## run the suite on Python 3.10 to 3.13, and with the lowest and the highest allowed versions (hours)
	$(BIN)/python -m tests.pythons

chaos: install ## kill runs at random, resume them, and compare the results bit for bit (some minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/training --kills=20

mutants: install ## break the package in 200 places, and list the breaks that no test notices (an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants

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
