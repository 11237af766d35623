# `make demo` and `make test` need Python 3.11 or newer, make and a package index; a second call sets nothing up.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint check

demo: .venv/ready
	$(BIN)/harness run quickstart
	@echo "(harness is $(BIN)/harness here)"

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.support.sizes # modules up to 250 lines, functions up to 40

check: .venv/ready # what git tracks under results/ and in README.md is what the records there say
	$(BIN)/python -m tests.support.committed

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@
