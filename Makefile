PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.litad-installed

.DEFAULT_GOAL := help
.PHONY: help tour test lab site lint export bench hooks clean distclean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tour: $(READY)  ## run the tour, print its results, write build/tour.html
	@$(BIN)/python scripts/tour.py

test: $(READY)  ## run every notebook and every test (ARGS="-k core" to choose)
	@$(BIN)/python -m pytest $(ARGS)

lab: $(READY)  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=nbs $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

site: $(READY)  ## build the book as a website in _docs/
	@$(BIN)/python scripts/build_site.py

lint: $(READY)  ## check style in the notebooks and the scripts, and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check scripts tests setup.py $(wildcard bench)
	@$(BIN)/python scripts/notebook.py --check --all
	@$(BIN)/mypy

export: $(READY)  ## write litad/ from the notebooks
	@env -u IN_TEST $(BIN)/nbdev_export

bench: $(READY)  ## measure against other packages
	@if [ -f bench/run.py ]; then $(BIN)/python bench/run.py; else echo "there is no bench/run.py"; fi

hooks: $(READY)  ## clean notebooks on save and merge them cell by cell
	@$(BIN)/python scripts/hooks.py

clean:  ## remove everything built
	rm -rf build dist _docs _proc nbs/nbdev.yml nbs/sidebar.yml .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean  ## remove the environment as well
	rm -rf .venv *.egg-info

$(READY): settings.ini setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "litad needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing litad and its tools into .venv (once, about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
