"""A search evaluates every candidate once, says why some cannot be built, and goes on where it was killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from netx.errors import FormatError, MonospikeError
from pipeline.core.boxes import iou
from pipeline.core.config import ConfigError, parse_config, read_config
from pipeline.core.progress import Progress
from pipeline.core.workers import Workers
from pipeline.datasets.dataset import make_sequences
from pipeline.experiments.dse.config import SearchConfig
from pipeline.experiments.dse.results import RESULTS
from pipeline.experiments.dse.run import run_search
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.predictor import search_pixels, template_pixels, track
from pipeline.tasks.tracking.scorer import IntegerScorer, geometry_of
from sim import engine
from sim.activity import count


@pytest.fixture(scope="module")
def config(search_file):
    return read_config(search_file, SearchConfig)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "tiny"


@pytest.fixture(scope="module")
def results(config, folder):
    return run_search(config, folder, Workers(0), "monospike search tiny.yaml", Progress(quiet=True))


def _row(results, **wanted):
    found = [row for row in results["candidates"] if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


AS_TRAINED = {"weight_bits": 8, "thresholds": 1.0, "encoder": "chip", "head": "chip"}


def test_every_combination_is_a_candidate(results):
    told = [
        (row["weight_bits"], row["thresholds"], row["encoder"], row["head"], row["chip"])
        for row in results["candidates"]
    ]
    assert len(set(told)) == len(told) == 2 * 2 * 2 * 2 * 3
    assert [row["number"] for row in results["candidates"]] == list(range(1, 49))


def test_what_is_not_varied_tracks_and_costs_as_the_student_does(results, config, checkpoint):
    student = load_model(checkpoint)
    network, geometry, settings = to_network(student), geometry_of(student.config), TrackerConfig()
    bits = 8 - student.config.pixel_bits  # the chip takes the upper ones
    overlaps, joules = [], []
    for sequence in make_sequences(config.data, config.seed):
        boxes = track(IntegerScorer(student, network), sequence.frames, sequence.boxes[0], geometry, settings)
        overlaps.append(iou(boxes, sequence.boxes)[1:].mean())
        template = template_pixels(sequence.frames[0], sequence.boxes[0], geometry, settings)
        kernel = engine.run(network.template_network(), {"template": template >> bits}).spikes
        programmed = network.programmed({name: spikes[0] for name, spikes in kernel.items()})
        # Two frames of the three after the first: the first of them and the last, around the box before.
        crops = [search_pixels(sequence.frames[i], sequence.boxes[i - 1], geometry, settings) for i in (1, 3)]
        frames = {"search": np.concatenate(crops) >> bits}
        activity = count(programmed, frames, engine.run(programmed, frames))
        # Horowitz, 32-bit floating point: 4.6 pJ a multiply-accumulate, 0.9 pJ an addition (bias and threshold too).
        joules.append(
            4.6 * activity.mean("macs") + 0.9 * (activity.mean("synops") + 2 * activity.mean("neuron_updates"))
        )
    row = _row(results, **AS_TRAINED, chip="horowitz_45nm_fp32")
    assert row["mean_iou"] == pytest.approx(np.mean(overlaps), rel=1e-12)
    assert row["energy"] == pytest.approx(np.mean(joules) * 1e-12, rel=1e-9)
    assert row["host_energy_range"] == [0, 0, 0]


def test_where_a_part_runs_changes_what_it_costs_and_not_what_it_is_worth(results):
    here = {name: AS_TRAINED[name] for name in ("weight_bits", "thresholds")} | {"chip": "loihi2"}
    rows = {(e, h): _row(results, **here, encoder=e, head=h) for e in ("chip", "host") for h in ("chip", "host")}
    assert len({(row["mean_iou"], row["agreement"]) for row in rows.values()}) == 1
    cores = {place: row["cores"] for place, row in rows.items()}
    # Each part takes cores of its own.
    assert cores["chip", "chip"] + cores["host", "host"] == cores["host", "chip"] + cores["chip", "host"]
    hosts = {place: row["host_energy_range"][1] for place, row in rows.items()}
    assert hosts["chip", "chip"] == 0
    assert hosts["host", "host"] == pytest.approx(hosts["host", "chip"] + hosts["chip", "host"])
    assert min(hosts["host", "chip"], hosts["chip", "host"]) > 0


def test_a_candidate_that_cannot_be_built_has_its_reason(results):
    row = _row(results, **AS_TRAINED, chip="loihi1_sanafe")
    assert row["reason"].startswith("does not fit: graded spikes: layer 'search_conv1'")
    assert row["energy"] is None
    assert row["number"] not in results["fronts"]["loihi1_sanafe"]["candidates"]
    with_host = _row(results, **(AS_TRAINED | {"encoder": "host"}), chip="loihi1_sanafe")
    assert with_host["reason"] is None
    low, typical, high = with_host["latency_range"]
    assert 0 < low <= typical <= high


def test_fronts_weigh_what_the_chip_has_figures_for(results):
    assert results["front"] == results["fronts"]["loihi1_sanafe"]["candidates"] != []
    assert results["fronts"]["loihi2"]["objectives"] == ["mean_iou", "agreement", "cores"]
    assert results["fronts"]["horowitz_45nm_fp32"]["objectives"] == ["mean_iou", "agreement", "energy"]


def test_the_files_say_the_same(results, folder):
    assert json.loads((folder / RESULTS).read_text()) == results
    with (folder / "search.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["energy"] for row in rows] == [
        "" if row["energy"] is None else repr(row["energy"]) for row in results["candidates"]
    ]
    page = (folder / "search.html").read_text()
    assert page.count("<svg") == 3
    assert "does not fit: graded spikes" in page


def test_nothing_is_evaluated_twice_while_nothing_changes(results, config, folder, capsys):
    before = _stamps(folder)
    again = run_search(config, folder, Workers(0), "monospike search tiny.yaml", Progress())
    assert "4 variants, of which 4 are evaluated" in capsys.readouterr().out
    assert again == results
    assert _stamps(folder) == before
    fewer = config.model_copy(update={"weight_bits": (3,), "objectives": ("mean_iou", "cores", "agreement")})
    run_search(fewer, folder, Workers(0), "", Progress())
    assert "2 variants, of which 2 are evaluated" in capsys.readouterr().out


def test_a_killed_search_goes_on_with_what_is_left(results, search_file, monospike, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pipeline", "search", str(search_file), "--runs", str(tmp_path), "--jobs", "2"]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not _stamps(tmp_path / "tiny"):
        assert started.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    children = psutil.Process(started.pid).children(recursive=True)
    started.send_signal(signal.SIGKILL)
    started.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == [], "Ray ends with the search"
    done = _stamps(tmp_path / "tiny")
    ended = monospike("search", search_file, "--runs", tmp_path, "--workers", 0, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "--workers is called --jobs now" in ended.stderr
    assert f"4 variants, of which {len(done)} are evaluated" in ended.stdout
    assert done.items() <= _stamps(tmp_path / "tiny").items()
    assert json.loads((tmp_path / "tiny" / RESULTS).read_text())["candidates"] == results["candidates"]


def test_two_workers_find_the_same_as_none(results, config, tmp_path):
    found = run_search(config, tmp_path, Workers(2), results["command"], Progress(quiet=True))
    assert found == results


def _stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "evaluated").glob("*.json")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objectives": ["mean_iou", "agreement"]},
            "the whole: objectives: need one of mean_iou and agreement, and one of energy",
        ),
        ({"weight_bits": [4, 4]}, "weight_bits: one is named twice"),
        ({"weight_bits": [9]}, "weight_bits.0: Input should be less than or equal to 8"),
        ({"frames": 0}, "frames: Input should be greater than or equal to 1"),
        ({"width": [1]}, "width: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_key_is_named(changes, message):
    values = {"name": "x", "models": {"demo": "demo"}, "chips": ["loihi2"], **changes}
    with pytest.raises(ConfigError) as error:
        parse_config(values, SearchConfig, "x.yaml")
    assert f"x.yaml: {message}" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"models": {"a": "nobody"}}, MonospikeError, "no packaged model is called 'nobody'"),
        ({"models": {"a": "gone.safetensors"}}, FormatError, "gone.safetensors: there is no such checkpoint"),
        ({"chips": ("loihi9",)}, MonospikeError, "no chip is called 'loihi9'"),
        ({"host": "loihi1_davies2018"}, ConfigError, "does not say what a conventional network costs"),
    ],
)
def test_what_there_is_not_is_told_before_any_work(config, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        run_search(config.model_copy(update=changes), tmp_path / "new", Workers(0), "", Progress(quiet=True))
    assert not (tmp_path / "new").exists()
