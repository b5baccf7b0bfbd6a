# tinyse.  Every target makes its own set-up; the second call does no set-up work.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-all bench firmware-deps browser-deps fuzz fuzz-readers lint format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## the whole chain on the embedded corpus: table, audio and out/demo/report.html
	$(BIN)/tinyse demo --out out/demo

test: $(VENV)/.test ## the tests, but not the slow ones, the chain end to end and the proof of equality
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" \
	  --ignore=tests/end_to_end --ignore=tests/equivalence

test-all: $(VENV)/.test ## every test
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: $(VENV)/.demo ## time and memory of every published model on TensorFlow Lite Micro
	$(BIN)/tinyse bench

firmware-deps: ## the cross compiler, QEMU and a second host compiler, as Debian packages
	@{ command -v gcc && command -v clang && command -v qemu-system-arm \
	  && echo '#include <string.h>' | arm-none-eabi-gcc -E -; } >/dev/null 2>&1 \
	  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	    gcc gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm clang; }

browser-deps: ## Chromium for the tests of the pages, as a Debian package
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq \
	  --no-install-recommends chromium; }

fuzz-readers: $(VENV)/.test ## ten minutes of damaged files through each reader
	$(BIN)/python -m tests.fuzz.readers 600

fuzz: $(VENV)/.test ## ten minutes of damaged blobs and sound through the C library
	$(BIN)/python -m tests.firmware.seeds out/fuzz_seeds
	$(MAKE) -C firmware_harness fuzz SEEDS=$(CURDIR)/out/fuzz_seeds SECONDS=600

lint: $(VENV)/.test ## style, formatting and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.test ## bring the code into format
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean: ## remove what the targets made
	rm -rf $(VENV) out build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis

# A Debian python3 comes without venv; as root the package is installed, else its name is said.
$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || apt-get install -y $(notdir $(PYTHON))-venv \
	  || { echo 'install the Debian package $(notdir $(PYTHON))-venv first' >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.demo
