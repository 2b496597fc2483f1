# Every target makes .venv and installs what it needs, once. `make course` runs the course, `make test` passes the tests.
PYTHON ?= python3
BIN := .venv/bin
# A file of versions: constraints.txt has those of CI, an empty file leaves the choice to pip.
CONSTRAINTS ?= constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --no-compile --constraint $(CONSTRAINTS) --editable

# JupyterLab shows Markdown as pages, and asks no server for news.
LAB_SETTINGS_FILE := .venv/share/jupyter/lab/settings/overrides.json
define LAB_SETTINGS
{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}, "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
endef

# Models this small gain nothing from a second thread, and two processes with two threads each slow each other down.
export OMP_NUM_THREADS ?= 1
# The sandbox of Chromium, the cache of the Hub and the like stay out of the way of a run that needs no network.
export HF_HUB_DISABLE_TELEMETRY = 1
# Modules are compiled when they are first imported, and never again: most of what is installed is not imported at all.
export PYTHONDONTWRITEBYTECODE =

.PHONY: course lab test quick thorough check notebooks site colab clean

course: .venv/notebooks.stamp
	@$(BIN)/resumen course

lab: .venv/notebooks.stamp
	@mkdir -p $(dir $(LAB_SETTINGS_FILE))
	@echo '$(LAB_SETTINGS)' > $(LAB_SETTINGS_FILE)
	@$(BIN)/resumen start my-course
	cd my-course && PATH="$(CURDIR)/$(BIN):$$PATH" "$(CURDIR)/$(BIN)/jupyter" lab --LabApp.default_url=/lab/tree/progress.md

# Every notebook runs in nbval, but the worked hand-ins: a lecture's numbers are compared, cell by cell; a solution's tests pass, hidden ones
# too; what students get runs to its end. conftest.py orders the files: those with the most tests are not those that take longest.
test: .venv/dev.stamp
	$(BIN)/python -m pytest stages labs solutions quizzes capstone tests --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -n 2 --dist loadfile --no-loadscope-reorder

# Without what trains for longer or starts processes, and without the notebooks.
quick: .venv/dev.stamp
	$(BIN)/python -m pytest tests -m "not slow and not thorough" -n 2 --dist loadfile

# For every lab, page and mutant what `make test` shows on some: weekly, and before a release.
thorough: .venv/dev.stamp
	$(BIN)/python -m pytest tests -m thorough -n 2 --dist loadfile
	$(BIN)/python tests/grading/proved.py

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest tests/test_structure.py tests/test_prose.py

notebooks: .venv/dev.stamp
	$(BIN)/resumen notebooks
	$(BIN)/ruff format --quiet stages

# Nothing is executed: the outputs are those that are committed.
site: .venv/site.stamp
	$(BIN)/python -m resumen.authoring.site

# The install cell of every notebook against a wheel, in a fresh environment: an hour, and not part of the tests.
colab: .venv/dev.stamp
	$(BIN)/python benchmarks/colab.py

clean:
	rm -rf .venv var

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Resumen needs Python 3.10 or later: name one, such as PYTHON=python3.12 make course."; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade pip --constraint $(CONSTRAINTS)  # the pip of an older Python takes twice as long

.venv/notebooks.stamp: pyproject.toml $(CONSTRAINTS) | .venv/bin/python
	@echo "Installing the course into .venv: a few minutes the first time …"
	$(INSTALL) '.[notebooks]'
	@touch $@

.venv/site.stamp: pyproject.toml $(CONSTRAINTS) | .venv/bin/python
	$(INSTALL) '.[site]'
	@touch $@

# All of it at once: a second installation would ask the index for everything again.
.venv/dev.stamp: pyproject.toml $(CONSTRAINTS) | .venv/bin/python
	@echo "Installing the course and what its tests need into .venv: a few minutes the first time …"
	$(INSTALL) '.[notebooks,dev]'
	@touch .venv/notebooks.stamp .venv/site.stamp $@
