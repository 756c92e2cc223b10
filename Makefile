# Each target is a command. `make serve` and `make test` work in a fresh clone; `make help` lists all targets.
SHELL := /bin/bash
PYTHON ?= python3.11
PORT ?= 8080
MODEL_DIR ?= build/demo
DATA ?= models/demo/held_out.json
# The package index from which pip takes torch alone. PyTorch's CPU wheels save 6 GB: https://download.pytorch.org/whl/cpu
TORCH_INDEX_URL ?=

# Tests kill real processes and wait for others on machines that may be busy. One that fails runs once more, as with
# CPython's `regrtest --rerun`; the summary lists it. A test that fails twice fails the run.
RERUN := -raR --reruns 1

VENV := .venv
READY := $(VENV)/ready
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
DEMO := build/demo/manifest.json
# Commands that ask a server or an endpoint, or that name another model, do not need the demo model.
OWN_MODEL = $(if $(findstring --url,$(ARGS))$(findstring --endpoint,$(ARGS))$(findstring --model-dir,$(ARGS)),,$(if $(filter build/demo,$(MODEL_DIR)),$(DEMO)))

IMAGE ?= bert-qa
CONTAINER_ENGINE ?= $(shell docker info >/dev/null 2>&1 && echo docker || echo podman)
# SageMaker accepts only docker's format, which also keeps the health check. podman and BuildKit 0.31 write the OCI
# format by default. Versions of docker that do not have these options write docker's format. The command docker may be
# podman.
DOCKER_OPTIONS := --provenance=false --output=type=docker,oci-mediatypes=false
DOCKER_FORMAT = $(foreach option,$(DOCKER_OPTIONS),$(if $(findstring $(firstword $(subst =, ,$(option))),$(DOCKER_HELP)),$(option)))
DOCKER_HELP = $(shell $(CONTAINER_ENGINE) build --help 2>/dev/null)
# The build gets TORCH_INDEX_URL only if the user has set it, even to an empty value, because the Dockerfile has a default.
BUILD_OPTIONS = $(if $(findstring podman,$(shell $(CONTAINER_ENGINE) --version 2>/dev/null)),--format docker,$(DOCKER_FORMAT)) \
  $(if $(TARGET),--target $(TARGET)) $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
  $(if $(filter environment command,$(firstword $(origin TORCH_INDEX_URL))),--build-arg TORCH_INDEX_URL=$(TORCH_INDEX_URL))

.DEFAULT_GOAL := help
.PHONY: help setup doctor serve test test-fast test-openvino check format quantize evaluate benchmark invoke deploy undeploy image images-openvino run test-image soak soak-server soak-observability sbom audit clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

setup: $(READY) ## create .venv from the pinned requirements, if it is missing or outdated

$(READY): $(addprefix container/,requirements.txt requirements-torch.txt requirements-openvino.txt requirements-tools.txt requirements-dev.txt constraints.txt)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" TORCH_INDEX_URL="$(TORCH_INDEX_URL)" sh container/setup/setup.sh

doctor: ## say what this machine has and lacks; a bug report should contain it
	@PYTHON="$(PYTHON)" python3 container/setup/doctor.py

$(DEMO): $(READY) $(wildcard models/demo/*) $(wildcard tools/quantize/*.py tools/quantize/export/*.py) $(wildcard tools/checkpoint/*.py) model_loader/manifest.py
	$(MAKE) quantize

serve: $(READY) $(if $(filter build/demo,$(MODEL_DIR)),$(DEMO)) ## start the server on PORT (8080) with MODEL_DIR (the demo)
	$(IN_VENV) MODEL_DIR="$(MODEL_DIR)" HOST="$${HOST:-127.0.0.1}" PORT="$(PORT)" exec ./entrypoint.sh serve

# These tests wait for no server under load, so they run in two processes. With more threads than one, OpenMP in a process of tests
# would wait for cores that the other process or a server uses.
IN_PARALLEL := tests/unit tests/aws tests/tools

test: check $(DEMO) ## run the static checks and all tests except those of the image
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest $(RERUN) --numprocesses 2 --dist loadfile $(IN_PARALLEL)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest $(RERUN) $(addprefix --ignore ,tests/image $(IN_PARALLEL))

# An environment without torch: the packages of the server, of development, and those of the tools that its tests import.
WITHOUT_TORCH := build/without-torch
$(WITHOUT_TORCH)/ready: $(addprefix container/,requirements.txt requirements-openvino.txt requirements-tools.txt requirements-dev.txt constraints.txt)
	$(PYTHON) -m venv --clear $(WITHOUT_TORCH)
	$(WITHOUT_TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint container/constraints.txt \
	  $(addprefix --requirement=container/requirements,.txt -openvino.txt -dev.txt) \
	  $$(grep -oE '^(aiohttp|httpx|matplotlib|psutil|rich|safetensors)==[^ ]+' container/requirements-tools.txt)
	! $(WITHOUT_TORCH)/bin/python -c 'import torch' 2>/dev/null
	@touch $@

build/demo-openvino/manifest.json: $(READY) $(wildcard models/demo/*) $(wildcard tools/quantize/*.py tools/quantize/export/*.py)
	$(IN_VENV) ./entrypoint.sh quantize --engine openvino --model models/demo --calibration models/demo/calibration.json \
	  --evaluation models/demo/held_out.json --output build/demo-openvino

test-openvino: $(WITHOUT_TORCH)/ready build/demo-openvino/manifest.json ## run the server's tests without torch, on a demo model that OpenVINO runs
	$(WITHOUT_TORCH)/bin/python -m pytest $(RERUN) tests/server tests/hostile --artifact build/demo-openvino

test-fast: check ## run the static checks and the unit tests that need neither the demo model nor a server; takes two minutes
	$(VENV)/bin/python -m pytest tests/unit --fast

check: $(READY) ## run ruff, mypy and import-linter
	$(VENV)/bin/ruff format --check . && $(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

format: $(READY) ## apply ruff's formatting and safe fixes
	$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

quantize: $(READY) ## quantize the demo checkpoint into build/demo; ARGS="--model ... --output ..." quantizes another one
	$(IN_VENV) ./entrypoint.sh quantize $(or $(ARGS),--model models/demo --calibration models/demo/calibration.json \
	  --evaluation models/demo/held_out.json --output build/demo)

evaluate: $(READY) $(OWN_MODEL) ## measure exact match and F1 of MODEL_DIR on DATA (the held-out demo questions), or of a server with ARGS="--url ..."
	$(IN_VENV) ./entrypoint.sh evaluate $(or $(ARGS),--model-dir $(MODEL_DIR) --data $(DATA) \
	  --output build/evaluate/report.json --changed build/evaluate/changed.jsonl)

benchmark: $(READY) $(OWN_MODEL) ## measure latency, throughput and price of MODEL_DIR, and write tables and plots to build/benchmark; or of a server with ARGS="--url ..."
	$(IN_VENV) ./entrypoint.sh benchmark $(or $(ARGS),--model-dir $(MODEL_DIR) --data $(DATA))

invoke: $(READY) ## ask a server or an endpoint questions; ARGS="--question ... --context ... --endpoint bert-qa"
	$(VENV)/bin/python -m tools.invoke $(or $(ARGS),--data $(DATA) --limit 3 --url http://127.0.0.1:$(PORT))

deploy: $(READY) ## create a SageMaker endpoint, step by step; ARGS="--config deploy.toml" (VERB=plan only shows the steps)
	$(VENV)/bin/python -m tools.deploy $(or $(VERB),up) $(ARGS)

undeploy: $(READY) ## list what deploy created, ask for confirmation, and remove only that
	$(VENV)/bin/python -m tools.deploy down $(ARGS)

image: ## build the container image IMAGE (bert-qa) with docker or podman (CONTAINER_ENGINE=...); TARGET=serve leaves the tools out, TARGET=openvino also torch; PLATFORM=linux/arm64
	$(CONTAINER_ENGINE) build $(BUILD_OPTIONS) -t $(IMAGE) .

images-openvino: ## build IMAGE:openvino-amd64 and IMAGE:openvino-arm64: SageMaker takes an image of one architecture only
	for arch in amd64 arm64; do \
	  $(MAKE) image TARGET=openvino PLATFORM=linux/$$arch IMAGE=$(IMAGE):openvino-$$arch || exit 1; \
	done

run: ## run the image on PORT with its demo model, or with MODEL_DIR=build/bert-base
	$(CONTAINER_ENGINE) run --rm --read-only --tmpfs /tmp -p 127.0.0.1:$(PORT):8080 \
	  $(if $(filter-out file,$(origin MODEL_DIR)),-v "$(abspath $(MODEL_DIR)):/opt/ml/model:ro") $(IMAGE) serve

test-image: image $(DEMO) ## build the image and test the container: with limits, read-only, without network, stopped under load
	SOAK=$(SOAK) IMAGE=$(IMAGE) CONTAINER_ENGINE=$(CONTAINER_ENGINE) $(VENV)/bin/python -m pytest $(RERUN) tests/image

soak: ## run test-image with larger numbers: 50 SIGTERMs, 200 loads and unloads of models, 100 MB of JSON Lines
	$(MAKE) test-image SOAK=1

soak-server: $(READY) $(DEMO) ## run tests/hostile with larger numbers, then all faults of processes, then 100,000 requests; ARGS="--requests ... --seed ..."
	SOAK=1 $(VENV)/bin/python -m pytest tests/hostile
	$(VENV)/bin/python -m tests.hostile.soak.matrix $(MATRIX_ARGS)
	$(VENV)/bin/python -m tests.hostile.soak $(ARGS)

soak-observability: $(READY) $(DEMO) ## fire each alert with short windows on a real server and Prometheus, beside ten minutes of load; takes 20 minutes; ARGS="--quick"
	$(VENV)/bin/python -m tests.live_alerts $(ARGS)

build/audit/ready: container/requirements-audit.txt
	$(PYTHON) -m venv --clear build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

sbom: ## write build/sbom.cdx.json: the Debian and Python packages of the image IMAGE, as CycloneDX
	@mkdir -p build
	$(CONTAINER_ENGINE) run --rm -i --no-healthcheck --network none --entrypoint /opt/venv/bin/python $(IMAGE) - < tools/sbom.py > build/sbom.cdx.json.new
	mv build/sbom.cdx.json.new build/sbom.cdx.json

audit: $(READY) build/audit/ready ## report known vulnerabilities of the pinned packages and, after `make sbom`, of Debian's; never fails because of a finding
	$(VENV)/bin/python -m tools.audit build/audit/bin/pip-audit

clean: ## remove build and .venv
	rm -rf build $(VENV)
