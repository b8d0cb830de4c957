# make quickstart   set up, evaluate SmolLM2 as two personas, print the board
# make test         set up, lint, check types, run all tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
QUICKSTART ?= runs/quickstart

.PHONY: setup quickstart test clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "persbench needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 2; }
	@echo "setting up $(VENV): a few minutes, about 2 GB"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# Sixteen items of each task and persona: a fixed, balanced sample that two cores finish in minutes. bfloat16 for speed;
# the board's signature says both.
quickstart: setup
	$(BIN)/persbench model fetch
	$(BIN)/persbench run --personas nedda,osmer --limit 16 --dtype bfloat16 --out $(QUICKSTART)
	$(BIN)/persbench report table $(QUICKSTART)

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --durations=10

clean:
	rm -rf $(VENV) runs
