# Everything a contributor runs. `make help` lists it. Needs GNU make, a POSIX shell and Python 3.11 or newer.

PYTHON ?= python3
VENV   ?= .venv
BENCH_VENV ?= .venv-bench
LOADERS_VENV ?= .venv-loaders
UV     ?= uv
# More than the two cores of a small machine: many tests, and most turns of the soak, wait for children and timers.
JOBS   ?= 3

BIN := $(VENV)/bin
# Locked versions with checked hashes; never a source build, which would fetch tools that no lock pins.
# Twice quiet: errors alone, no warnings about how this machine is set up.
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
INSTALL := $(PIP) install --require-hashes --only-binary :all:
# The build backend is in the locks: installing the project itself reaches no network.
INSTALL_SELF := $(PIP) install --no-index --no-deps --no-build-isolation --editable .
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header $(if $(UPGRADE),--upgrade) --group build

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test lint types unit test-loaders format setup lock bench bench-clients bench-clusters bench-demo bench-imports bench-lines bench-metrics bench-review bench-scale bench-speed bench-stats docs command-pages fuzz picture soak clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime ## Improve the Romeo-to-Bob prompt with the offline stand-in, no key needed
	@$(BIN)/optimizer run evals/romeo-bob.yaml

test: lint types unit ## Everything that must be green: lint, types, tests

lint: $(VENV)/.dev ## Check style and formatting
	@echo "ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "ruff format --check"
	@$(BIN)/ruff format --quiet --check . || { echo "make format puts it right"; exit 1; }

types: $(VENV)/.dev ## Check types
	@echo "mypy"
	@$(BIN)/mypy

unit: $(VENV)/.dev ## Run the tests, JOBS at a time (3)
	@echo "pytest -n $(JOBS)"
	@$(BIN)/python -m pytest -q -n $(JOBS)

test-loaders: $(LOADERS_VENV)/.loaders ## Hold exports against the programs that they are for (promptfoo too, where it is installed)
	@echo "pytest -m loaders"
	@$(LOADERS_VENV)/bin/python -m pytest -q -m loaders -n $(JOBS) tests/test_export_loaders.py

format: $(VENV)/.dev ## Rewrite the code in the project's style
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

setup: $(VENV)/.dev ## Make .venv with the runtime and the development tools

lock: ## Regenerate the lock files (UPGRADE=1 takes newer versions); needs uv
	@command -v $(UV) >/dev/null || { echo "make lock needs uv (UV=path, where it is not on the PATH)"; exit 1; }
	@$(COMPILE) pyproject.toml --output-file requirements.lock
	@$(COMPILE) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(COMPILE) pyproject.toml --extra bench --no-strip-extras --constraint requirements.lock \
		--output-file requirements-bench.lock
	@$(COMPILE) pyproject.toml --extra loaders --no-strip-extras --constraint requirements.lock \
		--output-file requirements-loaders.lock
	@if grep -nE '://|^(-i|-f|--index|--extra-index|--find-links)' requirements*.lock; \
		then echo "a lock names an index address: see the lines above"; exit 1; fi

.PHONY: audit licences
audit: $(BIN)/python ## Look up known vulnerabilities of every locked package (needs the network; no key, sends names and versions)
	@$(BIN)/python scripts/audit.py

licences: $(VENV)/.runtime ## Write docs/licences.md anew from what the runtime lock installs
	@$(BIN)/python scripts/licences.py

bench: $(VENV)/.dev $(BENCH_VENV)/.peers ## Compare the search with GEPA, MIPROv2 and HRPO on synthetic worlds; goes on where it stopped
	@$(BIN)/python benchmarks/search/run.py --tune --peers $(BENCH_VENV)/bin/python
	@$(BIN)/python benchmarks/search/run.py --peers $(BENCH_VENV)/bin/python
	@$(BIN)/python benchmarks/search/report.py

bench-clients: $(VENV)/.dev ## Time our model client against openai, litellm and bare aiohttp, on loopback
	@$(BIN)/python benchmarks/clients.py

bench-clusters: $(VENV)/.dev ## Compare clusters of failures with their true causes
	@$(BIN)/python benchmarks/clusters/run.py --write

bench-demo: $(VENV)/.dev ## Time the demo from start to end, beside what it cannot be faster than
	@$(BIN)/python benchmarks/demo.py

bench-imports: $(VENV)/.dev ## Time the import of every dependency
	@$(BIN)/python benchmarks/imports.py

bench-metrics: $(VENV)/.dev ## Time a trivial metric of each kind, those in processes of their own among them
	@$(BIN)/python benchmarks/metrics.py

bench-lines: $(VENV)/.dev ## Hold the worth of lines against the truth, in worlds that have one
	@$(BIN)/python benchmarks/line_worth/study.py --write

bench-review: $(VENV)/.dev ## Time the review commands on a run of 500,000 results
	@$(BIN)/python benchmarks/review.py --write

bench-scale: $(VENV)/.dev ## Measure memory at 100,000 rows, start-up, what a search adds to its calls, and 100,000 calls with faults
	@$(BIN)/python benchmarks/scale/startup.py
	@$(BIN)/python benchmarks/scale/overhead.py
	@$(BIN)/python benchmarks/scale/memory.py
	@$(BIN)/python benchmarks/scale/steady.py

bench-speed: $(VENV)/.dev $(BENCH_VENV)/.peers ## Time rows a second beside DSPy, GEPA and promptfoo (PROMPTFOO=command, where it is installed)
	@$(BIN)/python benchmarks/speed/run.py --peers $(BENCH_VENV)/bin/python --write

bench-stats: $(VENV)/.dev ## Enumerate and simulate how often intervals hold, and how often nothing is claimed as a gain
	@$(BIN)/python benchmarks/statistics/coverage.py --write
	@$(BIN)/python benchmarks/statistics/nulls.py --write
	@$(BIN)/python benchmarks/statistics/null_runs.py --write

docs: $(VENV)/.dev ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "wrote site/index.html"

command-pages: $(VENV)/.dev ## Write docs/commands/ anew, and what the commands shown in docs/ print
	@$(BIN)/python scripts/command_pages.py

fuzz: $(VENV)/.dev ## Feed every reader and writer with random and spoilt input for ten minutes, and count what broke
	@$(BIN)/python -m benchmarks.fuzz.run --write

soak: $(VENV)/.dev ## Kill, stop, starve and cut off runs for half an hour, and count what was lost (QUICK=1: a minute)
	@$(BIN)/python -m benchmarks.soak.run $(if $(QUICK),--quick,--write) --jobs $(JOBS)

picture: $(VENV)/.dev ## Draw the README's picture anew from a real run
	@$(BIN)/python scripts/capture.py

# The peers have an environment of their own: they decide nothing of ours.
$(BENCH_VENV)/.peers: requirements-bench.lock | $(BIN)/python
	@$(BIN)/python -m venv $(BENCH_VENV)
	@echo "Installing the peers of the benchmark (a minute or so, once)"
	@$(BENCH_VENV)/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input \
		install --require-hashes --only-binary :all: --requirement requirements-bench.lock
	@touch $@

# In an environment of their own as well: they are many, and no part of ours needs them.
$(LOADERS_VENV)/.loaders: requirements-loaders.lock | $(BIN)/python
	@$(BIN)/python -m venv $(LOADERS_VENV)
	@echo "Installing the programs that exports are for (a minute or so, once)"
	@$(LOADERS_VENV)/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input \
		install --require-hashes --only-binary :all: --requirement requirements-loaders.lock
	@touch $@

clean: ## Remove .venv and the tools' caches; runs/, prompts/ and evals/ stay
	@rm -rf $(VENV) $(BENCH_VENV) $(LOADERS_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis site

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there: install Python 3.11 or newer, or set PYTHON=path"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is `$(PYTHON) -V 2>&1`, 3.11 or newer is needed: make PYTHON=python3.12 ..., say"; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The stamps: an install runs again only when a lock or pyproject.toml changed.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked packages (a minute or so, once)"
	@$(INSTALL) --requirement requirements.lock
	@$(INSTALL_SELF)
	@touch $@

# The development lock holds the runtime lock's versions, so both stamps are good after it.
$(VENV)/.dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked packages and the development tools (a minute or so, once)"
	@$(INSTALL) --requirement requirements-dev.lock
	@$(INSTALL_SELF)
	@touch $(VENV)/.runtime $@
