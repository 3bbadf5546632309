# The only command surface for developers; CI calls nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready
KERNELS := $(shell grep -rlE '^(import|from) numba|compiled' --include='*.py' services muster)

help: ## say what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything pinned by hash

$(INSTALLED): requirements.lock muster/dev/checkout.py
	@command -v $(PYTHON) >/dev/null || { echo "muster needs Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) muster/dev/checkout.py
	@touch $@

# A compiled kernel is kept with the module it stands in, whatever the modules it calls have become: one changes, all are compiled.
$(READY): $(INSTALLED) $(KERNELS)
	@find services muster -name '*.nb[ic]' -delete
	$(PY) -c "from services.forecaster.app import warm_up; warm_up(); from services.staffing.app import warm_up; warm_up()"
	@touch $@

demo: $(READY) ## watch a day: volume in, decisions out
	@$(PY) -m muster.cli.main demo $(DEMO)

dev: $(READY) ## the same without the floor, keeping its data
	@$(PY) -m muster.cli.main dev

test: $(READY) ## every test, on a genuine Kafka
	$(PY) -m pytest tests $(PYTEST)

test-faults: $(READY) ## kill, freeze, cut and fill everything, at full size (half an hour); another order: FAULTS=SEED
	MUSTER_TEST_FAULTS=$(or $(FAULTS),full) $(PY) -m pytest tests/faults -s $(PYTEST)

test-unit: $(READY) ## the tests that need no Kafka
	$(PY) -m pytest tests/unit tests/contract $(PYTEST)

bench: $(READY) ## how fast volume is taken in, and how long to a decision
	$(PY) -m bench.ingest
	$(PY) -m bench.latency

check: $(READY) ## lint, types, import contracts, generated code, protos, deploy files
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PY) protos/generate.py --check --lint
	$(VENV)/bin/hadolint deploy/Dockerfile
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

fix: $(READY) ## format, and generate code anew
	$(PY) protos/generate.py
	$(VENV)/bin/ruff check --fix -q .
	$(VENV)/bin/ruff format -q .

lock: ## resolve the pins anew (needs uv on the PATH)
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev pyproject.toml -o requirements.lock
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header requirements-kafka.in -o requirements-kafka.lock

.PHONY: help setup demo dev test test-faults test-unit bench check fix lock
