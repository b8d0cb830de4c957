# make quickstart   set up, train one persona briefly, evaluate four systems, print the board
# make test         set up, lint, check types, run the tests
# make test-slow    the tests that take minutes each: whole pipelines with the real model
# make leaderboard  every committed table, figure and page from the committed records
# make clean        remove the virtual environment and what quickstart made
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
QUICKSTART ?= runs/quickstart

.PHONY: setup quickstart test test-slow leaderboard clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "persbench needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 2; }
	@echo "setting up $(VENV): a few minutes, about 2 GB (more where the index gives torch with CUDA)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# Two short recipes of one persona, and sixteen items of each task: a fixed, balanced sample that two cores finish in
# minutes. bfloat16 for speed; the board's signature says both. For a claim train `persllm` and leave --limit out.
quickstart: setup
	$(BIN)/persbench model fetch
	$(BIN)/persbench train --persona nedda --recipe quick --out $(QUICKSTART)/persllm
	$(BIN)/persbench train --persona nedda --recipe quick-stylized --out $(QUICKSTART)/stylized
	$(BIN)/persbench run --personas nedda --limit 16 --dtype bfloat16 --out $(QUICKSTART) \
	  --systems vanilla,prompt,quick-stylized=$(QUICKSTART)/stylized,quick=$(QUICKSTART)/persllm,sanity
	$(BIN)/persbench report table $(QUICKSTART)

# Compiled modules are kept, whatever the environment says: the tests begin hundreds of processes.
test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

test-slow: setup
	$(BIN)/python -m pytest -m slow

leaderboard: setup
	$(BIN)/python leaderboard/rebuild.py

clean:
	rm -rf $(VENV) $(QUICKSTART)
