# Two commands for a fresh machine: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# pip would write the bytecode of every module, 160 MB; Python itself writes that of what is used,
# unless the environment forbids it.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test coverage lint compiled clean

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(INSTALL) -e ".[test]"
	touch $@

demo: $(VENV)/.core
	$(BIN)/lithoscope demo

test: $(VENV)/.test
	$(MAKE) --no-print-directory -j 2 lint compiled
	$(TESTS)

# The same tests, and which lines they run: up to half as much time again, so not for every submission.
coverage: $(VENV)/.test compiled
	$(TESTS) --cov --cov-report=term:skip-covered

# Compile the numerical loops once, before test processes would each do it at the same time.
compiled: $(VENV)/.core
	folder=$$(mktemp -d) && $(BIN)/lithoscope demo --output $$folder/run >/dev/null \
		&& rm -rf $$folder

lint: $(VENV)/.test
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo-run
