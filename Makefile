# Two commands: `make demo` runs the main job, `make test` the tests. Each sets up .venv first where it is missing.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check setup clean

demo: $(READY)
	$(BIN)/monospike deploy configs/demo.yaml

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/find-python
	$$(sh scripts/find-python) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lava,norse,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info runs
