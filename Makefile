# make demo: a lake from real data, one minute; make ui: look at it; make test: all that must hold, but for what
# takes long (kill -9, storms, Spark, a real daemon on Postgres): make slow.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DAGSTER_HOME := $(CURDIR)/data/dagster_home
PORT ?= 3000

.PHONY: demo ui test slow lint benchmark clean

# one stamp a set of extras: a changed pyproject or constraints installs anew
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,spark,postgres]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/retail-pipeline datasets fetch complete-journey
	# the command above wrote whole files: nothing to wait for
	RETAIL_PIPELINE_ARRIVAL__COMPLETE_WHEN=renamed $(BIN)/retail-pipeline run
	@echo "make ui shows how all of this came about"

ui: $(VENV)/.installed
	@echo "The Dagster UI comes up on http://127.0.0.1:$(PORT) (Ctrl-C ends it); make ui PORT=… takes another port"
	mkdir -p "$(DAGSTER_HOME)" && cp -n retail_pipeline/dagster.yaml "$(DAGSTER_HOME)/"
	DAGSTER_HOME="$(DAGSTER_HOME)" PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dg dev -w workspace.yaml --host 127.0.0.1 --port $(PORT)

test: lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

slow: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --dist loadfile -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/.installed-dev
	$(BIN)/python -m retail_pipeline_tests.benchmarks
	$(BIN)/python -m retail_pipeline_tests.benchmarks.segments
	$(BIN)/python -m retail_pipeline_tests.benchmarks.snapshots
	$(BIN)/python -m retail_pipeline_tests.benchmarks.scale

clean:
	rm -rf $(VENV) data/landing data/lake data/dagster_home
