# The two commands, and the few others. Each does its own set-up, and a second run reuses what is there.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SLOW_MINUTES ?= 20
KERNELS := $(wildcard protocols/smpc/replicated/native/*.[ch])

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint bench clean

help: ## This list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.installed ## Four node processes find each other, share a detector, and lose one of their number.
	@$(BIN)/mesh demo

test: $(VENV)/.installed-all ## The test suite: types, lint and house rules included.
	@$(BIN)/python -m pytest

# CrypTen's own suite, over the mesh and over the bridge, takes the better part of an hour each, and is run by name:
#   pytest -m slow tests/slow/test_crypten_suite.py tests/slow/test_crypten_suite_bridge.py
test-slow: $(VENV)/.installed-all ## The slower tiers: real models, long fuzzing, many more cases.
	@timeout --signal=INT $$(( $(SLOW_MINUTES) * 60 )) $(BIN)/python -m pytest -m slow --maxfail=1 --ignore-glob "*test_crypten_suite*" \
	  || { status=$$?; [ $$status -eq 124 ] && echo "Out of time after $(SLOW_MINUTES) minutes; what ran had passed."; }

lint: $(VENV)/.installed-all ## Only lint, format and types.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/.installed-all ## Every benchmark: one machine-readable line each.
	@for script in tests/bench/[a-z]*.py; do echo "# $$script" >&2; \
	  $(BIN)/python -m tests.bench.$$(basename $$script .py) || exit 1; done

clean: ## Forget the virtual environment and what tools have cached.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Veilmesh needs Python 3.11 or later; name one with: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# What a camera needs: no torch. About a minute on a first run. (The egg-info that is left behind would go stale, and
# hide the entry points of what is installed from whoever runs `python -m` in this folder.)
$(VENV)/.installed: pyproject.toml constraints.txt $(KERNELS) | $(BIN)/python
	@echo "Installing Veilmesh into $(VENV) ..." >&2
	@$(PIP) install -q -c constraints.txt -e . && rm -rf *.egg-info
	@touch $@

# Every extra and the tools: torch among them, so this is the large one.
$(VENV)/.installed-all: pyproject.toml constraints.txt $(KERNELS) | $(BIN)/python
	@echo "Installing Veilmesh with every extra into $(VENV) ..." >&2
	@$(PIP) install -q -c constraints.txt -e ".[all,dev]" && rm -rf *.egg-info
	@touch $@ $(VENV)/.installed
