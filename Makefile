# Works from a fresh clone with Python 3.11 or later and make. pip reads PIP_FIND_LINKS and PIP_CONSTRAINT by itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
BENCHES := .venv/benches
ARGS ?=

.PHONY: help test unit test-chart test-docker test-integrations test-rollouts faults soak lint types format demo bench bench-heavy \
	bench-latency bench-partitions bench-memory bench-metrics bench-scaling bench-swap bench-gpu test-cuda clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: lint types ## everything that CI runs: lint, types, and the tests on a real Kafka
	$(BIN)/python -m pytest --numprocesses 3 --dist load --maxschedchunk 1 $(ARGS)

unit: $(INSTALLED) ## the tests that need no Kafka
	$(BIN)/python -m pytest -m "not broker and not chart and not cuda and not docker and not integrations and not rollouts_full and not faults" $(ARGS)

test-chart: $(INSTALLED) ## the Helm chart: rendered, validated and scanned, and its scripts on a real Kafka
	$(BIN)/python -m pip install --quiet --editable '.[dev,demo,chart]'
	$(BIN)/python -m pytest -m chart tests/chart $(ARGS)

test-docker: $(INSTALLED) ## the image: built on a base of its own, run without rights, drained; takes docker.io and debootstrap
	$(BIN)/python -m pip install --quiet --editable '.[dev,demo,docker]'
	$(BIN)/python -m pytest -m docker tests/docker $(ARGS)

test-integrations: $(INSTALLED) ## versions from S3 and MLflow: a server of each is installed and started
	$(BIN)/python -m pip install --quiet --editable '.[dev,demo,integrations]'
	$(BIN)/python -m pytest -m integrations tests/integrations $(ARGS)

test-cuda: $(INSTALLED) ## what only an NVIDIA GPU can show; without one it says so
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; \
	then $(BIN)/python -m pytest -m cuda $(ARGS); \
	else echo "torch finds no CUDA device here: nothing was run"; fi

test-rollouts: $(INSTALLED) ## all rollouts under load on a real Kafka: every bad version and fault, 1,000 swaps
	$(BIN)/python -m pytest -m rollouts_full tests/end_to_end $(ARGS)

faults: $(INSTALLED) ## every fault, on one broker and on three, under both guarantees: about 40 minutes
	$(BIN)/python -m pytest -m faults tests/end_to_end tests/faults
	$(BIN)/python -m tests.faults every $(ARGS)

soak: $(INSTALLED) ## random faults, 20 to 40 s apart, for an hour under each guarantee; ARGS="--minutes 10"
	$(BIN)/python -m tests.faults soak $(ARGS)

lint: $(INSTALLED) ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED) ## mypy --strict on package and tests
	$(BIN)/mypy

format: $(INSTALLED) ## bring the code into ruff's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: $(INSTALLED) ## score a stream in this process: no Kafka, no GPU, no Docker
	$(BIN)/stream-infer demo $(ARGS)

# ARGS="--sizes 512 --rounds 1 --runners tuned,worker" and so on choose parts; -h names them all.
bench: $(BENCHES) ## the speed of the worker, of bare loops and of stock Faust, on a real Kafka
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-heavy: $(BENCHES) ## the same with a model of some milliseconds a batch
	$(BIN)/python -m benchmarks.run --model sequence $(ARGS)

bench-latency: $(BENCHES) ## latency at fixed rates, against loops
	$(BIN)/python -m benchmarks.latency $(ARGS)

bench-partitions: $(BENCHES) ## one worker on 4 and on 1,000 partitions
	$(BIN)/python -m benchmarks.partitions $(ARGS)

bench-memory: $(BENCHES) ## ten minutes at full load, and a slow output side
	$(BIN)/python -m benchmarks.memory $(ARGS)

bench-metrics: $(BENCHES) ## what the metrics page costs
	$(BIN)/python -m benchmarks.scrape $(ARGS)

bench-scaling: $(BENCHES) ## 1, 2 and 4 workers on 8 partitions
	$(BIN)/python -m benchmarks.scaling $(ARGS)

bench-swap: $(BENCHES) ## latency while versions of 100 MB swap, and between swaps, on a real Kafka
	$(BIN)/python -m benchmarks.swap $(ARGS)

bench-gpu: $(BENCHES) ## models on a CUDA device; without one it says so
	$(BIN)/python -m benchmarks.gpu $(ARGS)

clean: ## remove what the other targets made
	rm -rf .venv .kafka .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(INSTALLED): pyproject.toml hatch_build.py stream_infer/transport/_rows.c
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or later on the path; set PYTHON to one." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev,demo]'
	@touch $@

$(BENCHES): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev,demo,bench]'
	@touch $@
