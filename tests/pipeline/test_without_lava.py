"""What needs no Lava runs where there is none: a trained model is followed, mapped, planned, searched and linted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec

_NO_LAVA = "import sys; sys.modules['lava'] = None; from pipeline.cli.app import main; main()"
"""The command line in a Python in which importing lava fails as where it is not installed."""

_SEARCH = """
name: without
models: {dst: small-dst}
weight_bits: [8]
thresholds: [1.0]
chips: [loihi2]
most_chips: 4
encoder: [host]
data: {sequences: 1, composition: {frames: 3, height: 96, width: 128, object_size: [20, 30]}}
frames: 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sequence and the configuration of a search."""
    folder = tmp_path_factory.mktemp("without")
    spec = CompositionSpec(frames=3, height=96, width=128, object_size=(20, 30))
    sequence = compose(open_pictures("builtin"), spec, 3)
    (folder / "sequence" / "img").mkdir(parents=True)
    for number, frame in enumerate(sequence.frames, 1):
        Image.fromarray(frame).save(folder / "sequence" / "img" / f"{number:04}.png")
    np.savetxt(folder / "sequence" / "groundtruth_rect.txt", sequence.boxes, "%.2f", ",")
    (folder / "search.yaml").write_text(_SEARCH)
    return folder


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _NO_LAVA, *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=120)


def test_a_trained_model_is_followed_without_lava(place: Path) -> None:
    ended = run(place, "track", "sequence", "--tracker", "small-dst", "--engine", "both", "--out", "tracked")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(list((place / "tracked").glob("*.txt"))) == 2


@pytest.mark.parametrize("words", [("map",), ("profile", "--sequence", "sequence")], ids=lambda words: words[0])
def test_a_trained_model_is_planned_without_lava(place: Path, words: tuple[str, ...]) -> None:
    command, *more = words
    ended = run(place, command, "small-dst", "--chip", "loihi2", "--chips", "4", "--out", f"{command}.json", *more)
    # 303 pixels are more columns than Loihi 2 can tell apart: the answer is that it does not fit.
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "convolution width: layer 'search_conv1'" in ended.stdout
    assert (place / f"{command}.json").exists()


def test_a_search_among_trained_models_needs_no_lava(place: Path) -> None:
    ended = run(place, "search", "search.yaml", "--jobs", "0", "--runs", "runs")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = json.loads((place / "runs" / "without" / "search.json").read_text())
    assert results["failed"] == {}
    assert [row["reason"] for row in results["candidates"]] == [None]


def test_what_needs_slayer_says_so(place: Path) -> None:
    (place / "run.yaml").write_text("name: needy\nmodel: small-dst\ndata: {sequences: 1, composition: {frames: 3}}\n")
    ended = run(place, "deploy", "run.yaml", "--until", "simulate")
    assert ended.returncode == 2
    assert "SLAYER" in ended.stderr
    assert "Python 3.10" in ended.stderr
    assert "Traceback" not in ended.stderr
