# Everything here needs only Python 3.11 or later with its venv module, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests that kill and wait leave the processors idle much of the time; whoever is done first takes
# of what others have not begun, as the long ones stand together.
TEST_PROCESSES ?= 4
# Of a storm; the same seed decides the same kills. Without one it takes another each time.
# HANDS=1: operators pause, trigger, restart and reload meanwhile.
KILLS ?= 1000
SEED ?=
HANDS ?=

.PHONY: run test lint format docs budget bench bench-quick death lateness schedule log-store storm fuzz followers lock clean

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nerve needs Python 3.11 or later; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: $(READY)
	@exec $(BIN)/nerve run

test: $(READY)
	$(BIN)/pytest -q -n $(TEST_PROCESSES) --dist worksteal

# What a compute costs, counted anew: tests/budget/budget.json. `make test` compares with it.
budget: $(READY)
	$(BIN)/python -m tests.budget

# The references in docs/, from the models of nerve.yaml and the commands. `make test` compares.
docs: $(READY)
	$(BIN)/python -m tests.docs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All figures beside their floors and peers; kept in benchmarks/results. See benchmarks/README.md.
bench: $(READY)
	$(BIN)/python -m benchmarks.bench --save

# The same with fewer blocks, in under three minutes; nothing is kept.
bench-quick: $(READY)
	$(BIN)/python -m benchmarks.bench --extent quick

# The death of the parent, twenty times in each of six ways; some minutes.
death: $(READY)
	$(BIN)/python benchmarks/parent_death.py

# A healthy sense beside ten hostile ones; four runs of so many seconds.
SECONDS ?= 60
lateness: $(READY)
	$(BIN)/python benchmarks/lateness.py --seconds $(SECONDS)

# So many senses, a thousand computes a second; a list of sizes shows what each of them costs.
SENSES ?= 10000
schedule: SECONDS = 120
schedule: $(READY)
	$(BIN)/python benchmarks/schedule.py --senses $(SENSES) --seconds $(SECONDS)

# So many log rows in, out and to the archive; some minutes for a million.
ROWS ?= 1000000
log-store: $(READY)
	$(BIN)/python benchmarks/log_store.py --rows $(ROWS)

# SIGKILLs at random moments, then everything is compared; some minutes.
storm: $(READY)
	$(BIN)/python -m tests.storm --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(if $(HANDS),--hands)

# What 200 followers of the log, half of whom read nothing, cost a sense; two or three minutes.
followers: $(READY)
	$(BIN)/python -m benchmarks.followers

# So many frames of nonsense at each place where nerve is told something; some minutes for a million.
FRAMES ?= 1000000
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --frames $(FRAMES) $(if $(SEED),--seed $(SEED))

# Pinned with hashes and without index addresses, so that it means the same everywhere.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile --quiet --extra dev --generate-hashes --no-emit-index-url \
		--no-emit-find-links --strip-extras --allow-unsafe --output-file requirements.lock pyproject.toml
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
