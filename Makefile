# Every verb installs what it needs by itself; a machine needs Python >= 3.11, make and a package index.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
PORT ?= 8080
export UV_PROJECT_ENVIRONMENT := .venv
export UV_LINK_MODE ?= copy

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("Tollway needs Python 3.11 or newer, this is %d.%d: set PYTHON=…" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.run: $(UV) pyproject.toml sdk/pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --no-dev --extra all
	@touch $@

.venv/.dev: $(UV) pyproject.toml sdk/pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --all-packages --all-extras --all-groups
	@touch $@ .venv/.run

setup: .venv/.dev  ## install everything the other verbs need

run: .venv/.run  ## all five services in one process on http://127.0.0.1:$(PORT)
	@exec $(BIN)/tollway up --port $(PORT)

# Two at a time, whole files each and in their order: the browser's come last (tests/conftest.py).
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

test: .venv/.dev  ## the whole suite; real servers and browsers where they can be had
	@$(BIN)/python -m pytest $(or $(TESTS),$(PARALLEL))

check: .venv/.dev  ## format, lint, types, import contracts: what CI runs before the tests
	@$(BIN)/ruff format --check --quiet . || (echo "run: make fmt" && false)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary --strict sdk/src
	@$(BIN)/lint-imports --no-cache >/tmp/lint-imports.$$$$ || (cat /tmp/lint-imports.$$$$; rm -f /tmp/lint-imports.$$$$; false); rm -f /tmp/lint-imports.$$$$
	@$(BIN)/python -m pytest -q tests/architecture

fmt: .venv/.dev  ## format and mend what can be mended
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

up: .env  ## the full stack in containers; waits until healthy
	@docker compose up --build --detach --wait

down:  ## stop the stack, keep its data
	@docker compose down

logs:  ## follow the stack's logs
	@docker compose logs --follow --tail 100

.env:
	@umask 077 && bash deploy/make-env > $@.new && mv $@.new $@ && echo "wrote $@ with fresh development secrets"

bench: .venv/.dev  ## the benchmark: a table with the peers measured in the same run
	@$(BIN)/python -m bench $(BENCH)

chaos: .venv/.dev  ## the crash and fault suite with its figures
	@$(BIN)/python -m chaos $(CHAOS)

env-example: .venv/.dev  ## write .env.example from the settings
	@$(BIN)/python -m tests.architecture.env_example > .env.example

clean:  ## remove what was built and cached here
	@rm -rf .venv .bench .mypy_cache .ruff_cache .hypothesis dist

.PHONY: help setup run test check fmt up down logs bench chaos env-example clean
