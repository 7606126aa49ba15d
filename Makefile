# make demo              simulated data: matrix, trunk, transfer against scratch, report
# make demo DATA=FOLDER  the same on real files (the layout is described in docs/tutorial.md)
# make test              everything CI checks
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?=
RUN ?= demo-run
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint types layers unit clean

demo: $(VENV)/.installed
ifeq ($(DATA),)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh demo/simulated.sh $(RUN)/simulated
else
	PATH="$(CURDIR)/$(BIN):$$PATH" sh demo/real.sh $(DATA) $(RUN)/real
endif

test: lint types layers unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/pytest -n 2 --cov --cov-report=term

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[motifs,jaspar,explain,anndata,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(RUN)
