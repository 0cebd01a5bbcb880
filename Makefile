# Everything starts here. Needs git, make and Python 3.11 or newer; the rest is set up under .venv/ and build/.

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 3

UV := build/tools/uv
BIN := .venv/bin
SOURCES := src tests benchmarks tools

export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_PYTHON_DOWNLOADS := never
export COVERAGE_FILE := $(CURDIR)/build/coverage/data
unexport VIRTUAL_ENV
# Without compiled modules each of the thousand processes that tests start compiles them anew: half a second of a processor each.
unexport PYTHONDONTWRITEBYTECODE

# A missing or read-only home is no obstacle: caches then lie under build/.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export UV_CACHE_DIR ?= $(CURDIR)/build/cache/uv
endif

# Stamps hold for this folder and a Python that runs; in a moved or copied tree set-up is done again.
SETTLED := $(shell test "$$(cat build/stamps/where 2>/dev/null)" = "$(CURDIR)" && $(BIN)/python -c '' 2>/dev/null && echo yes)
AGAIN := $(if $(SETTLED),,unsettled)

##@ Use
.PHONY: demo
demo: build/stamps/runtime ## Watch an agent be held, approved and recorded (make demo ARGS=--unattended)
	@$(BIN)/keyturn demo $(ARGS)

##@ Develop
.PHONY: test
test: build/stamps/dev browser provider agents pgaudit third-party ## Set up, check the code, run all tests (WORKERS=1: one after the other)
	@mkdir -p build; status=0; \
	$(MAKE) --no-print-directory lint || status=$$?; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --junit-xml=build/test.xml $(PYTEST_ARGS) || status=$$?; \
	exit $$status

.PHONY: coverage
coverage: build/stamps/dev browser provider agents pgaudit third-party ## All tests again, with what they reach: half as long again as `make test`
	@mkdir -p build/coverage; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov=keyturn --cov-report=term --cov-report=xml:build/coverage.xml $(PYTEST_ARGS)

.PHONY: test-long
test-long: build/stamps/dev browser provider agents pgaudit third-party ## All tests, with property tests that search 30 times further
	@KEYTURN_HYPOTHESIS=long $(BIN)/python -m pytest --timeout=3600 $(PYTEST_ARGS)

.PHONY: test-approvals
test-approvals: build/stamps/dev ## 100,000 random histories of approvals, judged; and every seeded bug found (ARGS="COUNT SEED")
	@$(BIN)/python tests/approvals/approvals_random.py $(ARGS)

.PHONY: test-mutants
test-mutants: build/stamps/dev ## Every mutant of an exported log and of an evidence pack, refused by verify.py (ARGS=log or pack)
	@$(BIN)/python tests/evidence/mutation_matrix.py $(ARGS)

.PHONY: test-controls
test-controls: build/stamps/dev ## Every control of every framework: exceptions seeded, found and made up, in real packs (ARGS=rows: each)
	@$(BIN)/python tests/evidence/control_figures.py $(ARGS)

.PHONY: test-third-party
test-third-party: build/stamps/dev third-party ## Every mutant before Go's sumdb, @sigstore/verify, scitt-cose, OpenSSL and verify.py: who refuses what
	@$(BIN)/python tests/evidence/third_party_matrix.py

.PHONY: test-differential
test-differential: build/stamps/dev ## 10,000 generated commands: what they did beside what was read (ARGS="COUNT SEED")
	@$(BIN)/python tests/readers/readers_differential.py $(ARGS)

.PHONY: fuzz-shell
fuzz-shell: build/stamps/dev ## Scripts that coverage leads to, read for ten minutes (ARGS=SECONDS); finds are kept in build/fuzz
	@$(BIN)/python tests/readers/readers_fuzz.py --corpus build/fuzz/shell $(ARGS)

.PHONY: check
check: build/stamps/dev lint ## Format, lint, types and import walls, without tests

.PHONY: lint
lint:
	@status=0; \
	$(BIN)/ruff format --check --quiet $(SOURCES) || { status=1; echo "format: run $(BIN)/ruff format $(SOURCES)"; }; \
	$(BIN)/ruff check --quiet $(SOURCES) || status=1; \
	$(BIN)/mypy || status=1; \
	$(BIN)/lint-imports --no-logo || status=1; \
	exit $$status

.PHONY: bench
bench: build/stamps/dev ## All benchmarks, each beside its floor measured in the same run
	@$(BIN)/python -m benchmarks

bench-%: build/stamps/dev ## One benchmark, e.g. bench-authorize
	@$(BIN)/python -m benchmarks $*

.PHONY: sim-drift
sim-drift: build/stamps/dev ## False alarms and delays of the drift detectors over simulated agents (ARGS=AGENTS, 200 by default)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.simulation.drift $(ARGS)

.PHONY: clean
clean: ## Remove all that set-up, tests and benchmarks made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Set-up (done by the targets above)
.PHONY: uv
uv: ## Find or fetch uv, into build/tools
	@command -v $(PYTHON) >/dev/null || { echo "set-up: there is no $(PYTHON); Keyturn needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) tools/bootstrap.py build/tools

build/stamps/runtime: pyproject.toml uv.lock $(AGAIN) | uv
	@echo "set-up: Python packages"; $(UV) sync --quiet --locked --no-dev --inexact --python "$$(command -v $(PYTHON))"
	@mkdir -p $(@D); echo "$(CURDIR)" > build/stamps/where; touch $@

build/stamps/dev: pyproject.toml uv.lock $(AGAIN) | uv
	@echo "set-up: Python packages for tests"; $(UV) sync --quiet --locked --python "$$(command -v $(PYTHON))"
	@mkdir -p $(@D); echo "$(CURDIR)" > build/stamps/where; touch $@ build/stamps/runtime

.PHONY: unsettled
unsettled:

.PHONY: browser
browser: build/stamps/dev ## Find Chromium and tmux, or install them when root on Debian
	@$(BIN)/python tools/setup_test.py browser terminal

.PHONY: provider
provider: build/stamps/dev ## Install the OpenID provider that tests sign in with, into build/provider
	@$(BIN)/python tools/setup_test.py provider

.PHONY: agents
agents: build/stamps/dev ## Install the agent clients that tests drive, into build/agents
	@$(BIN)/python tools/setup_test.py agents

.PHONY: pgaudit
pgaudit: build/stamps/dev ## Find a PostgreSQL with pgaudit, or install it when root on Debian
	@$(BIN)/python tools/setup_test.py pgaudit

.PHONY: third-party
third-party: build/stamps/dev ## Find other people's verifiers of the log, or install them (Debian's Go when root, npm's @sigstore/verify)
	@$(BIN)/python tools/setup_test.py third_party

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z%-]+:.*## / {sub("%", "NAME", $$1); printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
