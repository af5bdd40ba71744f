# `make demo` and `make test` set up everything themselves in .venv; `make help` lists the rest.
# Another interpreter: make PYTHON=python3.12 ...

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What an editable installation does not pick up by itself: metadata, entry points, C extensions.
NATIVE := $(shell find builtin_layers core plugins yolo_example -name '*.[ch]' \
	-o -name 'build_*.py')
INSTALL_INPUTS := pyproject.toml setup.py constraints.txt yolo_example/pyproject.toml \
	yolo_example/setup.py $(NATIVE)

.PHONY: help setup demo lint test test-full tsan sanitize clean

help:
	@echo 'make demo       detect road users in scenes, or your IMAGE= [CFG= WEIGHTS= NAMES=]'
	@echo 'make test       set up, ruff, mypy, import-linter, pytest'
	@echo 'make test-full  the same with the long suites'
	@echo 'make tsan       our C under ThreadSanitizer (a part of test-full; needs libtsan)'
	@echo 'make sanitize   our CUDA kernels under compute-sanitizer (needs a GPU and its toolkit)'
	@echo 'make bench      measure everything, rewrite docs/performance.md [PLUGRT_DATA=]'
	@echo 'make setup      .venv with both distributions, editable'
	@echo 'make lint       ruff, mypy, import-linter'
	@echo 'make clean      remove builds, caches and .venv'

setup: $(STAMP)
	@:

$(STAMP): $(INSTALL_INPUTS)
	@.ci/check-tools $(PYTHON)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools cffi
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
		--editable '.[dev]' --editable './yolo_example[eval]'
	@touch $@

DEMO := build/demo
OWN := yolo_example/model/street

# Nothing given: the project's own model on scenes of its own. Of another model CFG and WEIGHTS
# belong together with a picture; NAMES is optional. A picture alone is for the own model.
ifneq (,$(IMAGE))
ifeq (,$(CFG)$(WEIGHTS))
CFG := $(OWN).cfg
WEIGHTS := $(OWN).weights
NAMES := $(OWN).names
endif
endif

ifeq (,$(CFG)$(WEIGHTS)$(NAMES)$(IMAGE))
demo: setup
	$(BIN)/plugrt-yolo demo -o $(DEMO)
else
demo:
	$(if $(and $(CFG),$(WEIGHTS),$(IMAGE)),,$(error give CFG=, WEIGHTS= and IMAGE= [NAMES=] \
		together, IMAGE= alone for our own model, or nothing))
	@for file in '$(CFG)' '$(WEIGHTS)' '$(IMAGE)' $(if $(NAMES),'$(NAMES)'); do \
		test -r "$$file" || { echo "demo: cannot read $$file" >&2; exit 2; }; done
	@$(MAKE) --no-print-directory setup
	@mkdir -p $(DEMO)
	$(BIN)/plugrt build '$(CFG)' '$(WEIGHTS)' $(if $(NAMES),--names '$(NAMES)' )-o $(DEMO)/model.plan
	$(BIN)/plugrt-yolo detect $(DEMO)/model.plan '$(IMAGE)' --save $(DEMO)
endif

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=typings $(BIN)/lint-imports

test: lint
	$(BIN)/pytest -m 'not slow'

test-full: lint
	$(BIN)/pytest

tsan: setup
	$(BIN)/pytest tests/thread_sanitizer

sanitize: setup
	$(BIN)/python -m tests.cuda.sanitizer

ifneq (,$(wildcard benchmarks/__main__.py))
.PHONY: bench
bench: setup
	$(BIN)/python -m benchmarks
endif

clean:
	rm -rf $(VENV) build dist src/*.egg-info yolo_example/*.egg-info yolo_example/build \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find builtin_layers core plugins yolo_example -name '*.so' -delete
