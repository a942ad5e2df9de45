# Two commands matter: `make up` runs the whole lifecycle on this machine, `make test` passes.
PYTHON ?= python3
VENV := .venv/bin
# Node 20 works; its end of life is said in the README, not at every synth.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# Tiers of tests share two cores with a language model: one after the other, whatever -j says.
.NOTPARALLEL:
# What would keep this checkout's own packages from being found or installed.
unexport PYTHONSAFEPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX

.DEFAULT_GOAL := help
.PHONY: help setup up down clean status drill test lint types unit synth local browser lifecycle docs image
.PHONY: bench-eval bench-gate bench-catalogue

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup:  ## virtual environment, pinned packages, pinned CDK command line
	@$(PYTHON) local_aws/prepare.py

up: setup  ## the whole lifecycle on a local AWS: push, evaluate, promote, serve, roll back
	@$(VENV)/python -m local_aws up

down:  ## stop what `make up` left running; state is kept
	@if [ -x $(VENV)/python ]; then $(VENV)/python -m local_aws down; fi

clean: down  ## stop and remove everything that `make up` made
	@rm -rf .local .prompt-hub cdk.out

status: setup  ## what runs here now
	@$(VENV)/python -m local_aws status

drill: setup  ## two pushes in quick succession, each promoting another task (needs `make up` first)
	@$(VENV)/python -m local_aws drill

test: setup lint types unit synth local browser lifecycle  ## everything that CI runs

lint: setup
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && PYTHONPATH=pipeline_image:. $(VENV)/lint-imports --no-logo

types: setup
	@$(VENV)/mypy pipeline_image/prompt_hub cdk_app stacks app.py lambdas/rollback local_aws benchmarks docs/decision_index.py

unit: setup  ## fast tests: the core, the Lambda, the templates
	@$(VENV)/pytest -q tests/unit tests/lambdas tests/infrastructure -m "not synth"

synth: setup  ## one fully validated `cdk synth` without credentials, cfn-lint on every template
	@$(VENV)/pytest -q tests/infrastructure -m synth

local: setup  ## the local AWS and the local model
	@$(VENV)/pytest -q tests/local_aws -m "not lifecycle"

browser: setup  ## the report pages in a real browser
	@$(PYTHON) local_aws/prepare.py --browser
	@$(VENV)/pytest -q tests/browser

lifecycle: setup  ## `make up` once, end to end, in a folder of its own
	@$(VENV)/pytest -q tests/local_aws -m lifecycle

docs: setup  ## the pages and schemas that are made from the code, again
	@$(VENV)/prompt-hub validate --rules > docs/rules.md
	@$(VENV)/prompt-hub validate --write-schemas
	@$(VENV)/python -m prompt_hub.promotion.states_page docs/states.md
	@$(VENV)/python docs/decision_index.py

image: setup  ## build the service's image with a Docker engine
	@$(VENV)/prompt-hub image --local --release dev

bench-eval: setup  ## the evaluation engine beside promptfoo and a bare SDK loop (2 GB, a quiet machine)
	@$(VENV)/python -m benchmarks.eval

bench-gate: setup  ## error rates of the gate in worlds where the truth is known
	@$(VENV)/python -m benchmarks.gate

bench-catalogue: setup  ## real catalogue data on the model that `make up` has started
	@PROMPT_HUB_MODELS=$${PROMPT_HUB_MODELS:-.local/models.json} $(VENV)/python -m benchmarks.catalogue
