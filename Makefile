# make demo              simulated data: matrix, trunk, transfer against scratch, report
# make demo DATA=FOLDER  the same on real files (the layout is described in docs/tutorial.md)
# make accessibility DATA=FOLDER [QUICK=--quick]
#                        transfer of chromatin accessibility, whole (docs/accessibility.md)
# make test              everything CI checks
# make coverage          the same tests, and which lines they never reach (slower)
# make docs              the documentation, docs/_build/html/index.html; offline, warnings are errors
# make docs-links        whether the links to elsewhere still lead somewhere (needs the network)
# make package           wheel and sdist, each installed in an empty environment and used (PYTHON=python3.12)
# make audit             vulnerabilities and licences of the packages in constraints.txt
# make hard              10,000 spoiled files for every reader; every long verb killed 50 times, and each
#                        of its writes failed; much of everything: a table of each (HOURS; less with
#                        N=200 KILLS=4 OPS=4 LOAD=0.01). One of them: hard-files, hard-kills,
#                        hard-faults, hard-load
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?=
RUN ?= demo-run
QUICK ?=
N ?= 10000
KILLS ?= 50
OPS ?= 0
LOAD ?= 1
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: demo demo-words package accessibility test docs docs-links audit hard hard-files hard-kills hard-faults hard-load lint types layers unit coverage clean

demo: demo-words $(VENV)/.installed
ifeq ($(DATA),)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh demo/simulated.sh $(RUN)/simulated
else
	PATH="$(CURDIR)/$(BIN):$$PATH" sh demo/real.sh $(DATA) $(RUN)/real
endif

demo-words:
	@test -e $(VENV)/.installed || echo "First $(VENV) is made and packages are fetched, once; most of it is PyTorch."
ifeq ($(DATA),)
	@echo "Then seven steps on a simulated genome: matrix, trunk, transfer against scratch, report;"
	@echo "three and a half minutes on two cores. The result: $(RUN)/simulated/report.html"
else
	@echo "Then six steps on $(DATA): matrix, trunk, two TFs from 500 peaks, report;"
	@echo "nine minutes on two cores. The result: $(RUN)/real/report.html"
endif

package:
	sh tests/install/fresh.sh $(PYTHON)

accessibility: $(VENV)/.installed
	$(if $(DATA),,$(error name the data: make accessibility DATA=FOLDER))
	$(PIP_INSTALL) -e '.[motifs]'
	PATH="$(CURDIR)/$(BIN):$$PATH" sh demo/accessibility.sh $(DATA) $(RUN)/accessibility $(QUICK)

test: lint types layers unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/pytest -n 2

coverage: $(VENV)/.dev
	$(BIN)/pytest -n 2 --cov --cov-report=term

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[motifs,jaspar,explain,bigbed,anndata,hub,onnx,ray,docs,dev]'
	touch $@

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

docs-links: $(VENV)/.dev
	$(BIN)/python -m sphinx -b linkcheck -d docs/_build/doctrees docs docs/_build/links

audit: $(VENV)/.dev
	$(BIN)/python tests/install/supply.py

hard: hard-files hard-kills hard-faults hard-load
	CISTRANSFER_LONG=1 $(BIN)/pytest tests/docs/test_real_peaks.py

hard-files: $(VENV)/.dev
	$(BIN)/python tests/hard/hard_fuzz.py $(N)
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then $(BIN)/python tests/hard/hard_guided.py $(N); \
	else echo "guided by coverage: not tried, atheris is not installed ($(BIN)/pip install atheris)"; fi

hard-kills: $(VENV)/.dev
	$(BIN)/python tests/hard/hard_runs.py kills $(KILLS)

hard-faults: $(VENV)/.dev
	@if command -v cc >/dev/null; then $(BIN)/python tests/hard/hard_runs.py faults $(OPS); \
	else echo "failing writes: not tried, there is no C compiler (cc)"; fi

hard-load: $(VENV)/.dev
	$(BIN)/python tests/hard/hard_load.py $(LOAD)

clean:
	rm -rf $(VENV) $(RUN) docs/_build docs/cli docs/python
