# Two commands for a fresh clone: make demo, make test. Each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: docs help install install-dev constraints sbom demo test check format bench gpu clean

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --require-hashes -r constraints.txt
	touch $@

$(VENV)/installed-dev: constraints-dev.txt $(VENV)/installed
	$(RUN) -m pip install --quiet --require-hashes -r constraints.txt -r constraints-dev.txt
	touch $@

install: $(VENV)/installed ## make .venv with what training and predicting need

install-dev: $(VENV)/installed-dev ## and with what tests and checks need

NEWEST := $(VENV)-newest
# A line for each package, so that what the tests need beside is what the other file lacks.
LOCK = $(NEWEST)/bin/uv pip compile --quiet --universal --python-version 3.10 \
  --generate-hashes --no-annotate --no-header
JOINED = sed -e ':line' -e '/\\$$/{N; s/ *\\\n */ /; t line' -e '}'

constraints: ## write the pinned versions and hashes anew: the newest with which every test passes
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet uv
	$(LOCK) requirements-dev.txt --output-file $(NEWEST)/all
	$(JOINED) $(NEWEST)/all > $(NEWEST)/all.txt
	$(LOCK) --constraints $(NEWEST)/all requirements.txt --output-file $(NEWEST)/base
	$(JOINED) $(NEWEST)/base > $(NEWEST)/base.txt
	grep -vxFf $(NEWEST)/base.txt $(NEWEST)/all.txt > $(NEWEST)/dev.txt
	$(NEWEST)/bin/python -m pip install --quiet --require-hashes -r $(NEWEST)/all.txt
	$(NEWEST)/bin/python -m pytest -q -n auto --dist loadfile
	head -1 constraints-dev.txt | cat - $(NEWEST)/dev.txt > constraints-dev.new
	head -2 constraints.txt | cat - $(NEWEST)/base.txt > constraints.new
	mv constraints-dev.new constraints-dev.txt
	mv constraints.new constraints.txt
	rm -rf $(NEWEST)

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
