# Every target sets up what it needs by itself. PYTHON is used once, to make the environment.
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: demo test mutations lint setup organism benchmark dist clean help

## demo        compare two safeguards on the organism: about four minutes
demo: setup
	$(RUN) -m experiments.sweep name=demo safeguard=kl,interleave_ppl

## test        lint, check types, run all tests
test: lint
	$(RUN) -m pytest

## mutations   whether the tests would notice: makes line after line wrong, in a copy; about ten minutes
mutations: setup
	$(RUN) tests/mutations.py

## lint        check style and types
lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

## setup       make the environment in .venv, or bring it up to date
setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	test -x $(RUN) || $(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --constraint constraints.txt torch
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

## organism    train the default model again, over the shipped weights: about twelve minutes
organism: setup
	$(RUN) -m experiments.organism --output experiments/organism/weights

## benchmark   time and memory of every safeguard against the plain trainer; best on an idle machine
benchmark: setup
	$(RUN) -m experiments.benchmark

## dist        the wheel and the source distribution, in dist/
dist: setup
	rm -rf dist
	$(RUN) -m hatchling build

## clean       remove results and caches
clean:
	rm -rf dist outputs .mypy_cache .ruff_cache .pytest_cache

## help        this list
help:
	@sed -n 's/^## /make /p' Makefile
