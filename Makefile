# `make demo` shows what this is, `make up` runs all of it on this machine, `make test` passes.
PYTHON ?= python3
VENV := .venv/bin
# Node 20 works; its end of life is said in the README, not at every synth.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# Tiers of tests (docs/testing.md) that compute keep two cores busy: one after the other, whatever -j
# says. Those that wait share one run, `waiting`.
.NOTPARALLEL:
# Of a tier whose tests (`local`: whose files) need nothing of each other, two run at a time; `make unit WORKERS=` one.
WORKERS := -n 2 --dist worksteal
# The fast tests wait for time limits and processes: three workers use two cores meanwhile. Each collects all of them.
FAST_WORKERS = $(subst -n 2,-n 3,$(WORKERS))
# Of two plugins that came along they need nothing: one looks for its fixtures in every test, the other imports
# all of hypothesis for its summary.
FAST = $(FAST_WORKERS) -p no:anyio -p no:hypothesispytest
# The local AWS is waited for half of the time: four workers there, and a file stays with one, whose
# emulator it shares. tests/local_aws/conftest.py has the longest files first.
BY_FILE = $(if $(WORKERS),$(subst -n 2,-n 4,$(WORKERS)) --dist loadfile --no-loadscope-reorder)
# A trace and the doctor read git and AWS, and are tested on both alone: not counted, their packages would count as
# never run.
READERS := tests/local_aws/test_trace.py tests/local_aws/test_doctor.py
# What would keep this checkout's own packages from being found or installed.
unexport PYTHONSAFEPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX
# Hundreds of processes start here: without compiled modules, each compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: bootstrap deploy diff destroy synth
.PHONY: help setup demo up down clean status degrade recover pushes records killed-records test lint types unit processes coverage property property-fresh infrastructure local
.PHONY: browser chromium lifecycle stuck-states waiting docs pages dashboards diagrams pictures console-pictures page-pictures image lock
.PHONY: bench bench-batch bench-eval bench-local bench-loader bench-pages bench-scale bench-gate bench-watch bench-catalogue bench-quantities bench-rollback bench-serve parity-promptfoo

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup:  ## virtual environment, pinned packages, pinned CDK command line
	@$(PYTHON) local_aws/prepare.py

demo: setup  ## a prompt's life in seconds: no AWS, no model
	@$(VENV)/prompt-hub demo

up: setup  ## the whole lifecycle on a local AWS: push, evaluate, promote, serve, roll back
	@$(VENV)/python -m local_aws up

# It takes the standard library alone: without `.venv` what was started by it would run on, and nothing know of it.
down:  ## stop what `make up` left running; state is kept
	@if [ -x $(VENV)/python ]; then $(VENV)/python -m local_aws down; \
	elif ls .local/*.pid >/dev/null 2>&1; then $(PYTHON) -m local_aws down; fi

# `.prompt-hub` stays: it holds answers that were paid for, batches that are open, and grades that nobody has
# written into an example file yet. So do the weights, which other checkouts read, too.
WEIGHTS = $${XDG_CACHE_HOME:-$$HOME/.cache}/prompt-hub/models
clean: down  ## stop and remove all that `make up` and benchmarks made, `.local/author` included; says what it keeps
	@rm -rf .local cdk.out
	@if [ -d .prompt-hub ]; then echo "kept .prompt-hub: paid answers, open batches, grades"; fi
	@if [ -d "$(WEIGHTS)" ]; then echo "kept $(WEIGHTS): weights of the local models"; fi

status: setup  ## what runs here now
	@$(VENV)/python -m local_aws status

pushes: setup  ## two pushes in quick succession, each promoting another task (needs `make up` first)
	@$(VENV)/python -m local_aws pushes

degrade: setup  ## the provider puts a weaker model behind `catalogue-latest`: see a version of yours rolled back
	@$(VENV)/python -m local_aws degrade

recover: setup  ## ... and the usual one again
	@$(VENV)/python -m local_aws recover

# `ROWS=FILE`: JSON lines with an `input` each; by default the examples of the task, again and again.
ROWS :=
COUNT := 10000

records: setup  ## a file of 10,000 records answered in the stage, a rollback, and the repair (needs `make up` first)
	@$(VENV)/python -m local_aws records --count $(COUNT) $(if $(ROWS),--rows '$(ROWS)')

# `SEED=N` draws the same points again.
SEED :=

killed-records: setup  ## containers killed 20 times, the local AWS ended, the provider away: every record once (six minutes, not in CI)
	@$(VENV)/python -m tests.local_aws.killed_run $(if $(SEED),--seed $(SEED))

# The CDK runs `python app.py`: ours, whatever the shell would find first, or not at all.
CDK := PATH="$(CURDIR)/$(VENV):$$PATH" node_modules/.bin/cdk
# What deploys none of our templates does not wait until they are checked, and no finding stands in its way.
UNCHECKED := CDK_VALIDATION=false $(CDK)
PIPELINE_STACK = $(shell env -u PROMPT_HUB_INSTALLATION $(VENV)/python -c 'from prompt_hub.core import aws_names; \
  print(aws_names.pipeline_stack())')
STACK = $(PIPELINE_STACK)
# `ASK=never` where nobody is there to answer.
ASK ?= broadening

# What cdk.json asks for on every role holds for the CDK's own, too, each time.
BOUNDARY = $(shell $(VENV)/python -c 'import json; context = json.load(open("cdk.json"))["context"]; \
  print(context.get("@aws-cdk/core:permissionsBoundary", {}).get("name", ""))')

# `PLACE=aws://ACCOUNT/REGION` is one place. Without it every place of the app is meant, and with a stage
# in another account no credentials reach all. `TRUST=ACCOUNT`, the pipeline's, in the account of such a stage.
PLACE :=
TRUST :=
POLICIES := arn:aws:iam::aws:policy/AdministratorAccess

bootstrap: setup  ## AWS: what the CDK needs, once for an account and region
	@$(UNCHECKED) bootstrap $(PLACE) $(if $(TRUST),--trust $(TRUST) --cloudformation-execution-policies $(POLICIES)) $(if $(BOUNDARY),--custom-permissions-boundary '$(BOUNDARY)' --apply-permissions-boundary-to-all-roles)

deploy: setup  ## AWS: the pipeline and all that it stands on, or STACK=NAME
	@$(CDK) deploy $(STACK) --require-approval $(ASK)

diff: setup  ## AWS: what a deployment would change, stages included
	@$(CDK) diff '**'

TO := cdk.out

synth: setup  ## the templates, checked by cdk-nag, written into TO=FOLDER
	@$(CDK) synth --quiet --output '$(TO)'

# The pipeline first: an execution of it would bring a stage back. The rest is in the same synthesis.
destroy: setup  ## AWS: remove every stack; docs/deployment.md says what stays
	@$(UNCHECKED) destroy $(PIPELINE_STACK) --output cdk.out $(if $(filter never,$(ASK)),--force)
	@$(UNCHECKED) destroy '**' --app cdk.out $(if $(filter never,$(ASK)),--force)

# The browser first: who has none hears of it now, and not when the tiers before the last are done.
test: setup chromium lint coverage property infrastructure waiting  ## everything that CI runs

# One run of pytest for four tiers: each waits for what another can compute meanwhile, and the output stays one.
# `coverage` runs the trace and the doctor.
waiting: chromium  ## `local`, `browser`, `lifecycle` and `types` at once, without the trace and the doctor
	@$(VENV)/pytest -q $(BY_FILE) tests/local_aws tests/browser tests/types $(addprefix --ignore=,$(READERS))

lint: setup  ## ruff, who may import whom, workflows and Dockerfile
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && PYTHONPATH=pipeline_image:. $(VENV)/lint-imports --no-logo
	@PATH="$(CURDIR)/$(VENV):$$PATH" actionlint .github/workflows/*.yml
	@$(VENV)/zizmor --offline --quiet --persona pedantic .github && $(VENV)/hadolint pipeline_image/Dockerfile

types: setup  ## mypy, strict, over the product
	@$(VENV)/mypy pipeline_image/prompt_hub cdk_app stacks app.py lambdas/rollback local_aws benchmarks docs/*.py docs/site/*.py

unit: setup  ## fast tests that stay in their process: what the core, the commands, the service and the Lambda do
	@$(VENV)/pytest -q $(FAST) tests/unit tests/lambdas -m "not processes"

processes: setup  ## the others of their folders: git, our command in a process of its own, the service's workers
	@$(VENV)/pytest -q $(FAST) tests/unit tests/lambdas -m processes

coverage: setup  ## the tests of `unit` and `processes`, of the trace and of the doctor, and how much of the product they run; fails below the floor
	@$(VENV)/pytest -q $(FAST) tests/unit tests/lambdas $(READERS) --cov --cov-report=term

property: setup  ## drawn data, the fuzz, a kill at every step; the same draws in every run
	@$(VENV)/pytest -q $(WORKERS) tests/property

property-fresh: setup  ## the property tests with new draws; SEED=... repeats a run
	@seed=$${SEED:-$$($(VENV)/python -c 'import secrets; print(secrets.randbelow(2**31))')}; \
	again="the same draws again: make property-fresh SEED=$$seed"; echo "$$again"; \
	$(VENV)/pytest -q $(WORKERS) tests/property --hypothesis-profile=fresh --hypothesis-seed=$$seed \
	|| { echo "$$again"; exit 1; }

infrastructure: setup  ## the templates: every resource, and one validated `cdk synth` with cfn-lint
	@$(VENV)/pytest -q -n 2 --dist loadfile tests/infrastructure

local: setup  ## the local AWS and the local model
	@$(VENV)/pytest -q $(BY_FILE) tests/local_aws -m "not lifecycle"

chromium: setup
	@$(PYTHON) local_aws/prepare.py --browser

browser: chromium  ## the report pages in a real browser
	@$(VENV)/pytest -q $(if $(WORKERS),$(WORKERS)) tests/browser

lifecycle: setup  ## `make up` once, end to end, and the README's words of a deployment, each in a folder of its own
	@$(VENV)/pytest -q $(if $(WORKERS),$(WORKERS) --dist loadfile) tests/local_aws -m lifecycle

# Not of `make test`: minutes in which stacks fail and are mended. AWS's own command line runs the page's words.
stuck-states: setup  ## every stuck state of docs/operations.md, left by the command that stands there
	@$(VENV)/uv venv --quiet --allow-existing .local/aws-cli
	@$(VENV)/python local_aws/pip_settings.py pip install --quiet --require-hashes --only-binary :all: \
	  --python .local/aws-cli/bin/python --requirement requirements-aws-cli.lock
	@PATH="$(CURDIR)/.local/aws-cli/bin:$$PATH" $(VENV)/pytest -q $(if $(WORKERS),$(WORKERS) --dist loadfile) tests/stuck_states

# Then all pages as a site that needs no server, for people and for its warnings: a dead link ends it.
SITE := .local/site
docs: setup  ## the pages and schemas that are made from the code, again, and the site of all pages
	@$(VENV)/prompt-hub validate --rules > docs/rules.md
	@$(VENV)/prompt-hub validate --write-schemas
	@$(VENV)/python -m prompt_hub.promotion.states_page docs/states.md
	@$(VENV)/python -m prompt_hub.service.errors_page docs/http-api.md
	@$(VENV)/python -m prompt_hub.scoring.scorers_page docs/scorers.md
	@$(VENV)/python -m prompt_hub.llm.schemas_page docs/schemas.md
	@$(VENV)/python -m docs.settings_page
	@$(VENV)/python docs/decision_index.py
	@$(VENV)/sphinx-build --quiet --fail-on-warning --conf-dir docs/site --doctree-dir $(SITE)-doctrees . $(SITE)
	@echo "open $(SITE)/index.html"

pages: setup  ## the pages that are made from the example's templates, again: permissions and costs
	@CDK_VALIDATION=false $(VENV)/python -m docs.example_app .local/pages
	@$(VENV)/python -m docs.permissions_page .local/pages --recorded
	@$(VENV)/python -m docs.costs_page .local/pages

CALLS_MINUTES := 20
# What else was done, for people who look at the pictures.
NOTE :=
dashboards: setup  ## pictures of the dashboards after `make up`, and after CALLS_MINUTES=20 of calls of its service
	@$(VENV)/python -m docs.dashboard_calls .local --minutes $(CALLS_MINUTES)
	@$(VENV)/python -m docs.dashboard_picture .local --note '$(NOTE)'

pictures: chromium  ## the pictures in the README, from the pages of `make demo`
	@$(VENV)/python -m docs.page_pictures

console-pictures: chromium  ## the pictures in docs/console.md: a rollback on a local AWS, watched in the console
	@$(VENV)/python -m docs.console_pictures

page-pictures: chromium  ## every page of a running `make up` in each size and theme, into .local/page-pictures, to look at
	@$(VENV)/python -m docs.every_page .local

diagrams: chromium  ## the diagrams of the pages as SVG, for the site: those that have changed
	@$(VENV)/python -m docs.diagrams

# The largest set is resolved first, the others are held to it: one version of a package everywhere. AWS's command
# line has an environment of its own, and needs an older docutils than what builds the site.
LOCK := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --only-binary :all: --no-emit-package prompt-hub --no-emit-index-url --no-emit-find-links \
  --custom-compile-command 'make lock'
lock: setup  ## lock files with hashes from the requirements; UPGRADE=--upgrade takes newer packages
	@$(LOCK) $(UPGRADE) requirements-dev.txt --output-file requirements-dev.lock
	@for name in requirements pipeline_image/requirements requirements-install; do \
	  $(LOCK) $$name.txt --constraints requirements-dev.lock --output-file $$name.lock || exit; done
	@$(LOCK) $(UPGRADE) requirements-aws-cli.txt --output-file requirements-aws-cli.lock

image: setup  ## build the service's image with a Docker engine
	@$(VENV)/prompt-hub image --local --release dev

bench: chromium  ## every benchmark of waiting times, then docs/performance.md (a quiet machine)
	@$(VENV)/python -m benchmarks

bench-eval: setup  ## the evaluation engine beside promptfoo and a bare SDK loop (2 GB, a quiet machine)
	@$(VENV)/python -m benchmarks.eval

bench-batch: setup  ## a million records beside a bare aiohttp loop and Ray Data, and what shards cost (a quiet machine)
	@$(VENV)/python -m benchmarks.batch

bench-local: setup  ## `make up`, pushes and tests beside the tree before, from fresh clones (two hours)
	@$(VENV)/python -m benchmarks.local

bench-loader: setup  ## look-up and rendering of the active prompt, beside Langfuse and plain Jinja2
	@$(VENV)/python -m benchmarks.loader

bench-scale: setup  ## `validate` of a million example lines, `cdk synth` beside a bare app (5 GB for the earlier tree)
	@$(VENV)/python -m benchmarks.scale

bench-pages: chromium  ## milliseconds to first paint and to a filter: 500 tasks of 20 versions, 20,000 examples, in Chromium
	@$(VENV)/python -m benchmarks.pages

bench-gate: setup  ## error rates of the gate beside other rules, in worlds where the truth is known
	@$(VENV)/python -m benchmarks.gate --opponents

bench-watch: setup  ## false rollbacks of the score watch beside other rules, and seconds to a right one
	@$(VENV)/python -m benchmarks.watch

bench-catalogue: setup  ## real catalogue data on the model that `make up` has started
	@PROMPT_HUB_MODELS=$${PROMPT_HUB_MODELS:-.local/models.json} $(VENV)/python -m benchmarks.catalogue

bench-quantities: setup  ## values of real catalogue parts, compared as texts and as quantities
	@$(VENV)/python -m benchmarks.quantities

bench-serve: setup  ## the service beside LiteLLM, Portkey's gateway, the tree before and the bare call
	@$(VENV)/python -m benchmarks.serve

bench-rollback: setup  ## 20 rollbacks asked for by the score watch and 20 by the alarm alone, on a local AWS
	@$(VENV)/python -m benchmarks.rollback

parity-promptfoo: setup  ## generated promptfoo configurations through promptfoo and us, test by test
	@$(VENV)/python -m benchmarks.parity_promptfoo
