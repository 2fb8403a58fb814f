# Each target does all of its own set-up: Python >= 3.11, make and a package index are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-all sanitize check format clean

demo: $(VENV)/.run
	$(BIN)/transpike demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not extended"

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The kernels of the event engine under the address sanitizer; afterwards they are compiled as before.
sanitize: $(VENV)/.dev
	CXXFLAGS="-O1 -g -fsanitize=address" $(PIP) --no-deps --editable .
	LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
		$(BIN)/python -m pytest tests/test_event_engine.py tests/test_event_exits.py; status=$$?; $(PIP) --no-deps --editable .; exit $$status

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

KERNELS := hatch_build.py $(wildcard src/transpike/simulation/engines/event/native/*.?pp)

$(VENV)/.run: pyproject.toml constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable ".[dev,bench,search,hf]"
	touch $@

clean:
	rm -rf $(VENV) transpike-demo benchmarks/out src/transpike/simulation/engines/event/native/kernels_* .pytest_cache .mypy_cache .ruff_cache .hypothesis
