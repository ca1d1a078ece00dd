# Two commands: `make demo` runs the main job, `make test` the tests. Each sets up .venv first where it is missing.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check wheel setup clean

demo: $(READY)
	$(BIN)/monospike deploy configs/demo.yaml

# One thread a worker: two workers with two threads each would only wait for each other.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(READY)
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/find-python
	python=$$(sh scripts/find-python) && "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lava,norse,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info runs
