# Two commands for a fresh clone: make demo, make test. Each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: docs help install install-dev constraints sbom demo test check format bench gpu clean

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet -r requirements.txt -c constraints.txt
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(RUN) -m pip install --quiet -r requirements-dev.txt -c constraints.txt
	touch $@

install: $(VENV)/installed ## make .venv with what training and predicting need

install-dev: $(VENV)/installed-dev ## and with what tests and checks need

constraints: ## write constraints.txt anew, of the newest versions with which every test passes
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --upgrade -r requirements-dev.txt
	$(VENV)-newest/bin/python -m pytest -q -n auto --dist loadfile
	head -2 constraints.txt > constraints.new
	$(VENV)-newest/bin/python -m pip freeze --all --exclude pip --exclude-editable \
	  | sed -E 's/\+[a-z0-9.]+$$//; s/$$/ ; python_version >= "3.11"/' >> constraints.new
	mv constraints.new constraints.txt
	rm -rf $(VENV)-newest

sbom: install ## write sbom.json (CycloneDX): every installed package with its version and licence
	$(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-sbom/bin/python -m pip install --quiet cyclonedx-bom
	$(VENV)-sbom/bin/cyclonedx-py environment $(VENV) --output-reproducible -o sbom.json
	rm -rf $(VENV)-sbom

demo: install ## train on subsampled_data and ask about three recordings of its test part
	$(RUN) main.py --data subsampled_data
	$(RUN) -m subsampled_data.ask runs/latest

test: install-dev ## run every test (pytest -m "not slow" leaves out whole runs and browsers)
	$(RUN) -m pytest -q -n auto --dist loadfile

check: install-dev ## lint, format and types, changing nothing
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

docs: install-dev ## write docs/options.md anew from the commands' options
	$(RUN) -m spectrofold.reference

format: install-dev ## put every file into the project's format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

bench: install ## time render beside a reference script (AUDIO=class folders, SEED=script.py)
	$(RUN) -m bench.render $(AUDIO) $(SEED)

gpu: install ## check and time everything that a GPU does, within 10 minutes
	$(RUN) -m bench.gpu

clean: ## remove .venv and caches; runs/ and spectrograms/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
