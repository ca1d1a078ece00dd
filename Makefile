# Two commands: `make demo` runs the main job, `make test` the tests. Each sets up .venv first where it is missing.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# A second Python, without Lava, for the parts that do not need it: the newest that there is, of those that
# constraints.txt fits.
CORE := .venv-core
CORE_PYTHONS := 3.13 3.12 3.11
CORE_TESTS := tests/netx tests/quantize tests/sim tests/pipeline/cli/test_simulate.py tests/pipeline/test_without_lava.py \
	tests/pipeline/model_zoo/test_packaged_integers.py tests/pipeline/cli/test_without_torch.py \
	tests/pipeline/report/test_report_format.py tests/pipeline/report/test_report_page.py

# Readers of NIR, and NeuroBench, that want other versions of what we use: only their tests run there.
PEERS := .venv-peers
# And those of them that want a newer Python: spikingjelly, spyx and mlx-snn.
PEERS_NEW := .venv-peers-new
PEERS_PYTHONS := 3.12 3.11
# Other programs whose figures stand in our tests, each with packages of its own.
ORACLES := .venv-oracles

.PHONY: demo test core core-setup peers oracles faults check site wheel setup clean

demo: $(READY)
	$(BIN)/monospike deploy configs/demo.yaml
	$(BIN)/monospike track runs/demo/data/000.npz --tracker demo --out runs/demo/tracked

# One thread a worker: two workers with two threads each would only wait for each other. A worker that dies is not
# replaced: the rest may wait for the new one for ever. Files go out in their order: by their number of tests, as is the
# default, the few that take minutes come last, and one worker waits.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --max-worker-restart 0 --dist loadscope --no-loadscope-reorder

# The core on a second Python, where there is one: netx, quantize, the engine, lint, profile and report, without Lava.
core: core-setup
	@if [ -e $(CORE)/.ready ]; then $(CORE)/bin/python -m pip check && \
		OMP_NUM_THREADS=1 $(CORE)/bin/python -m pytest -n 2 --max-worker-restart 0 --dist loadscope --no-loadscope-reorder -m "not lava" $(CORE_TESTS); \
	else echo "skipped: the core is tested on a second Python where there is one"; fi

core-setup:
	@if python=$$(sh scripts/find-python $(CORE_PYTHONS)); then $(MAKE) $(CORE)/.ready CORE_PYTHON="$$python"; fi

$(CORE)/.ready: pyproject.toml constraints.txt
	"$(CORE_PYTHON)" -m venv $(CORE)
	$(CORE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

# What other frameworks make of our .nir files, and we of theirs. sinabs and rockpool ask for an old nir, which stands
# apart, and for a chip's driver that they do not need here.
peers: $(READY) $(PEERS)/.ready
	@if python=$$(sh scripts/find-python $(PEERS_PYTHONS)); then $(MAKE) $(PEERS_NEW)/.ready NEW_PYTHON="$$python"; \
	else echo "skipped: spikingjelly, spyx and mlx-snn want Python 3.11 or 3.12"; fi
	$(BIN)/python -m pytest tests/peers

$(PEERS_NEW)/.ready: peers-new.txt | $(READY)
	"$(NEW_PYTHON)" -m venv $(PEERS_NEW)
	$(PEERS_NEW)/bin/python -m pip install --quiet --disable-pip-version-check -r peers-new.txt
	$(PEERS_NEW)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps spikingjelly==2.0.0
	@touch $@

$(PEERS)/.ready: peers.txt constraints.txt | $(READY)
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r peers.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps sinabs==3.1.3 rockpool==3.1.0 \
		neurobench==2.3.0
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(PEERS)/own-nir \
		nir==1.0.4 nirtorch==2.0.2
	@touch $@

# SANA-FE (GPL: never imported by the package), nengo-loihi, NeuroBench and vos-benchmark are asked whether they still
# say what our tests hold against them. vos-benchmark asks for an OpenCV that would take the place of ours.
oracles: $(READY) $(PEERS)/.ready $(ORACLES)/.ready
	SANAFE_PYTHON=$(CURDIR)/$(ORACLES)/sanafe/bin/python NENGO_LOIHI_PYTHON=$(CURDIR)/$(ORACLES)/nengo/bin/python \
		NEUROBENCH_PYTHON=$(CURDIR)/$(PEERS)/bin/python VOS_BENCHMARK_PYTHON=$(CURDIR)/$(ORACLES)/vos/bin/python \
		$(BIN)/python -m pytest tests/sim tests/pipeline/tasks/segmentation -k says_today

$(ORACLES)/.ready: Makefile | $(READY)
	$(BIN)/python -m venv $(ORACLES)/sanafe
	$(ORACLES)/sanafe/bin/python -m pip install --quiet --disable-pip-version-check sanafe==2.2.9 "numpy<2"
	$(BIN)/python -m venv $(ORACLES)/nengo
	$(ORACLES)/nengo/bin/python -m pip install --quiet --disable-pip-version-check nengo-loihi==1.1.0 "numpy<1.27"
	$(BIN)/python -m venv $(ORACLES)/vos
	$(ORACLES)/vos/bin/python -m pip install --quiet --disable-pip-version-check "numpy<2" opencv-python-headless pillow \
		scikit-image tqdm
	$(ORACLES)/vos/bin/python -m pip install --quiet --disable-pip-version-check --no-deps vos-benchmark==0.1.0
	@touch $@

# What kills, full disks, damaged files and strange names do to real runs (docs/faults.md): 20 minutes, not in CI.
faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/faults.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) site

# The documentation, to be read from site/index.html without a network. Strict: a link to nowhere ends it. Hooks and
# docstrings are this checkout's. What mkdocs-material has to say of other programs is no matter of a build.
site: $(READY)
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=$(CURDIR) $(BIN)/mkdocs build --quiet --strict

# What an earlier build has left would go into the wheel, modules that are gone since among it. The wheel then stands in
# for the checkout: its files alone, in an empty folder, start the demo by its name.
wheel: $(READY)
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	sh scripts/try-wheel $(CURDIR)/$(BIN)/python dist/*.whl

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/find-python
	python=$$(sh scripts/find-python) && "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lava,norse,train,plan,dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(CORE) $(PEERS) $(PEERS_NEW) $(ORACLES) build dist site *.egg-info runs
