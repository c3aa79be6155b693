# Each line is a command that a person could type.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where it is set, every one of some thirty processes would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup quickstart repro freshness publish test lint bench ui

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(BIN)/.ready  ## create the environment in .venv

# Byte code is compiled at first use: most of what is installed is never imported.
$(BIN)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("ganvas needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(BIN)/.ready-dev: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

quickstart: setup  ## the whole pipeline on the embedded digits, GAN and DCGAN: a few minutes
	dvc repro --quiet report@digits
	ganvas summary --dataset digits

repro: setup  ## everything in params.yaml: digits, MNIST, Fashion-MNIST
	dvc repro

freshness: setup  ## the commit that the results were made at, and what has changed since
	ganvas freshness

publish: setup  ## README's tables and pictures, from the results of a clean commit
	ganvas publish

test: $(BIN)/.ready-dev  ## all tests
	python -m pytest

lint: $(BIN)/.ready-dev  ## formatting, lint, types, which module may import which
	ruff format --check .
	ruff check .
	mypy
	lint-imports

bench: $(BIN)/.ready-dev  ## speed against the plain idioms
	python -m benchmarks.training
	python -m benchmarks.evaluation

ui: setup  ## MLflow at http://127.0.0.1:5000: there choose Model training, then a data set
	mlflow ui
