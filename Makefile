# Each line is a command that a person could type.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where it is set, every one of some thirty processes would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE
# A container's user may have neither name nor home, and DVC asks for both.
export LOGNAME ?= $(shell id -un 2>/dev/null)
export HOME ?= $(CURDIR)/.ganvas

.DEFAULT_GOAL := help
.PHONY: help check setup quickstart repro freshness publish test lint bench ui

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# What DVC or the records would miss, before minutes of installing.
check:
	@command -v git >/dev/null || { echo 'git is not installed; install it, then make again'; exit 1; }
	@! git rev-parse 2>&1 | grep -q safe.directory || { echo 'git does not trust this folder; type: git config --global --add safe.directory "$(CURDIR)"'; exit 1; }
	@test -e .git || { echo 'DVC needs a git repository; type: git init && git add -A && git commit -m start'; exit 1; }

setup: $(BIN)/.ready  ## create the environment in .venv

# Byte code is compiled at first use: most of what is installed is never imported.
$(BIN)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("ganvas needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo 'Installs PyTorch, DVC, MLflow and what they need in .venv: some 2 minutes, 6 GB.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(BIN)/.ready-dev: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

quickstart: check setup  ## the whole pipeline on the embedded digits, GAN, DCGAN and best: a few minutes
	@echo 'Trains and scores gan, dcgan and best on digits: 18 stages, some 5 minutes on 2 cores.'
	dvc repro report@digits
	ganvas summary --dataset digits

repro: check setup  ## everything in params.yaml: digits, MNIST, Fashion-MNIST
	dvc repro

freshness: setup  ## the commit that the results were made at, and what has changed since
	ganvas freshness

publish: setup  ## the pages' tables and pictures, from the results of a clean commit
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
