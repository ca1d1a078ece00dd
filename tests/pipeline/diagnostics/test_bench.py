"""Measurements compare the same work, and land in their file letter by letter."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from netx import FormatError, MonospikeError, prove_headroom
from pipeline.core.progress import Progress
from pipeline.diagnostics.bench.backbone import Float32Reference, backbone, random_frames
from pipeline.diagnostics.bench.benchmarks import Benchmark
from pipeline.diagnostics.bench.measure import Measure, Pairs, alternate
from pipeline.diagnostics.bench.run import bench_to_file
from pipeline.diagnostics.bench.tracker import folded
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from sim import engine


def test_the_backbone_has_the_sizes_of_alexnet_and_provable_head_room():
    network = backbone()
    sizes = [network.shape(layer.name) for layer in network.layers]
    assert sizes == [
        (96, 147, 147),
        (96, 73, 73),
        (256, 69, 69),
        (256, 34, 34),
        (384, 32, 32),
        (384, 30, 30),
        (256, 28, 28),
    ]
    assert all(bound.proven for bound in prove_headroom(network))


def test_the_float32_reference_spikes_as_the_engine_does():
    network, frames = backbone(), random_frames(1)
    assert frames["image"].mean() == pytest.approx(0.15, abs=0.005)
    spikes = engine.run(network, frames).spikes["conv5"]
    assert 0.1 < spikes.mean() < 0.2
    np.testing.assert_array_equal(Float32Reference(network).run(frames), spikes)


def test_runs_take_turns_and_the_ratio_is_of_pairs():
    order = []
    pairs = alternate(lambda: order.append("ours"), lambda: order.append("theirs"), runs=3)
    assert order == ["ours", "theirs"] * 4
    assert len(pairs.ours) == len(pairs.theirs) == 3
    disturbed = Pairs(ours=(1.0, 10.0, 2.0), theirs=(3.0, 30.0, 8.0))
    assert (disturbed.times_faster, disturbed.times_slower) == (3.0, 1 / 3)
    assert (disturbed.ours_s, disturbed.theirs_s) == (2.0, 8.0)


def test_an_entry_has_its_keys_and_others_stay(tmp_path):
    path = tmp_path / "bench" / "bench.json"
    path.parent.mkdir()
    path.write_text('{"z": {"ratio": 1.0}}')
    bench_to_file(["c"], 1, path, Progress())
    entries = json.loads(path.read_text())
    assert list(entries) == ["c", "z"]
    assert {"ratio", "ours_s", "theirs_s", "runs", "goal", "note"} <= set(entries["c"])
    assert entries["c"]["runs"] == 1
    assert entries["c"]["ratio"] == entries["c"]["ours_s"] / entries["c"]["theirs_s"]


def test_a_folded_teacher_answers_as_it_did():
    torch.manual_seed(0)
    teacher = SiamFCpp(SiamFCppConfig(width=WIDTHS["tiny"], template=103, search=143))
    crops = [torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8) for side in (103, 143)]
    with torch.no_grad():
        teacher(*crops)  # norms that do something
        expected = teacher.eval()(*crops)
        answer = folded(teacher)(*crops)
    for name in ("class", "centre", "distances"):
        torch.testing.assert_close(answer[name], expected[name], rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in teacher.modules())


def test_the_tracker_step_is_measured_whole(tmp_path):
    bench_to_file(["i"], 1, tmp_path / "bench.json", Progress())
    entry = json.loads((tmp_path / "bench.json").read_text())["i"]
    assert entry["ratio"] == entry["theirs_s"] / entry["ours_s"]
    assert all(part > 0 for part in entry["profile"].values())
    assert "norms folded, channels last" in entry["note"]


def test_the_peak_of_a_process_is_its_own_and_not_that_of_the_one_that_started_it():
    held = np.ones(1 << 27)  # a gibibyte
    code = "from pipeline.diagnostics.bench.memory import _peak_gib; print(_peak_gib())"
    peak = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert held.nbytes == 1 << 30
    assert 0.05 < peak < 0.9


def test_peers_that_are_not_there_are_skipped_with_a_word(monkeypatch, tmp_path):
    monkeypatch.setenv("PEERS_PYTHON", str(tmp_path / "no-python"))
    with pytest.raises(MonospikeError, match=r"skipped: .*no-python does not run; `make peers` makes one"):
        bench_to_file(["recurrent_snntorch"], 1, tmp_path / "bench.json", Progress())
    monkeypatch.setenv("PEERS_PYTHON", sys.executable)
    if importlib.util.find_spec("snntorch") is None:
        with pytest.raises(MonospikeError, match=r"skipped: .* has no snntorch: .*No module named 'snntorch'"):
            bench_to_file(["recurrent_snntorch"], 1, tmp_path / "bench.json", Progress())


@pytest.mark.skipif(not os.environ.get("PEERS_PYTHON"), reason="PEERS_PYTHON does not name a Python with snnTorch")
def test_a_peer_spikes_about_as_the_engine_does(tmp_path):
    bench_to_file(["recurrent_snntorch"], 1, tmp_path / "bench.json", Progress())
    entry = json.loads((tmp_path / "bench.json").read_text())["recurrent_snntorch"]
    agreed = int(re.search(r"in (\d+)% of layers and steps both count", entry["note"])[1])
    assert agreed > 50


def test_an_unknown_letter_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(MonospikeError, match=r"no measurement 'q'; there are a: engine against float32"):
        bench_to_file(["a", "q"], 1, tmp_path / "bench.json", Progress())
    assert not (tmp_path / "bench.json").exists()


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_another_file_is_not_overwritten(tmp_path, content):
    path = tmp_path / "bench.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=r"bench\.json: is not a file of measurements"):
        bench_to_file(["c"], 1, path, Progress())
    assert path.read_text() == content


def test_without_letters_what_cannot_be_measured_is_left_out_and_said(tmp_path, monkeypatch, capsys):
    def fails(runs):
        raise MonospikeError(f"there is no Lava for {runs} runs")

    done = Measure(2.0, 1.0, 2.0, 3, "2", "a note")
    known = {"y": Benchmark("fails", fails), "z": Benchmark("works", lambda _: done)}
    monkeypatch.setattr("pipeline.diagnostics.bench.run.BENCHMARKS", known)
    path = tmp_path / "bench.json"
    bench_to_file(None, 3, path, Progress())
    assert list(json.loads(path.read_text())) == ["z"]
    assert "y  left out: there is no Lava for 3 runs" in capsys.readouterr().out
    with pytest.raises(MonospikeError, match="there is no Lava"):
        bench_to_file(["y"], 3, path, Progress())
