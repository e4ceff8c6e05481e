# `make help` explains every target. PYTHON chooses the interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,track,sweep,cluster,serve,video,docs,export,hub
READY := $(VENV)/.ready
TRAINS := $(VENV)/.trains
# The packages are checked against the hashes in locks/. An index that serves other files needs: make install HASHES=no
HASHES := yes
# uv is faster than pip, and does not read the settings of pip, which gets a try where uv fails. Neither compiles what may never be
# imported: Python does so when it is, unless it must not write.
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
UV := $(and $(shell command -v uv),uv pip install --python $(BIN)/python)

.DEFAULT_GOAL := help
.PHONY: help install lock demo test test-fast test-all pythons chaos bench check lint types docs notebooks clean

help: ## say what every target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make .venv with the pinned versions of constraints.txt, checked by their hashes

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

lock: ## write locks/ anew, after a change of pyproject.toml or constraints.txt: needs uv
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

demo: $(TRAINS) ## train photo -> ukiyo-e for two minutes, score it, show where the images are
	$(BIN)/stylegan-lab train experiment=demo

test: lint types ## lint, types and the suite, but for what takes minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --durations=10

test-fast: $(READY) ## the tests of the files that differ from main, and quick ones: while you edit
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $$($(BIN)/python -m tests.changed)

test-all: lint types ## the whole suite, with its coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov=stylegan_lab --cov-report=term:skip-covered

pythons: $(READY) ## the suite on Python 3.10 to 3.13, and with the lowest and the highest allowed versions: hours
	$(BIN)/python -m tests.pythons

chaos: install ## kill runs at random, resume them, compare them bit for bit: some minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/training --kills=20

bench: install ## measure training steps, data, evaluation, start-up, overhead, two runs at once and translation: an hour
	$(BIN)/python -m benchmarks.bench

check: lint types ## what can be said in seconds, before each commit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

docs: install ## build the documentation site in site/, after writing the pages that are generated from the code
	$(BIN)/python docs/generate_datasets.py
	$(BIN)/python docs/generate_baselines.py
	$(BIN)/python docs/generate_reference.py
	$(BIN)/zensical build --strict --clean

notebooks: install ## run all notebooks as they stand, and keep what they show: half an hour
	$(BIN)/python notebooks/execute.py

clean: ## remove .venv and what tools left; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .cache build dist site
