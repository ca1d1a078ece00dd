"""``monospike import`` leaves a network that runs and a report of what each approximation costs."""

import json
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from typer.testing import CliRunner

from netx.bundle import load
from netx.errors import MonospikeError
from netx.nir_graph import read_graph
from pipeline.cli.app import app
from pipeline.cli.import_nir import Framework, InputGain, ResetKind
from pipeline.deploy.nir_import.compare import compare
from quantize.nir_import import GAINS, RESETS, WRITERS, import_graph
from sim import engine

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nir"
PEER = FIXTURES / "snntorch_recurrent.nir"


def frames_of(peer: Path, folder: Path) -> Path:
    with np.load(peer.with_suffix(".npz")) as file:
        np.save(folder / "frames.npy", file["frames"])
    return folder / "frames.npy"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["import", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_recurrent_network_of_snntorch_is_imported_with_a_report_as_text_json_and_page(tmp_path: Path) -> None:
    frames = frames_of(PEER, tmp_path)
    said = run(PEER, "--calibrate", frames, "--out", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    page = (tmp_path / "out" / "report.html").read_text()

    assert (report["dt"], report["sequences"], report["frames"]) == (1e-4, 4, 40)
    hidden, last = report["layers"]
    assert hidden["decays_before"] == [
        {"state": "current", "low": pytest.approx(2048), "high": pytest.approx(2048)},
        {"state": "voltage", "low": pytest.approx(614.4), "high": pytest.approx(614.4)},
    ]
    assert hidden["decays_after"] == {"current": 2048, "voltage": 614}
    assert hidden["decay_error"] == pytest.approx(1 - 614 / 614.4, rel=0.01)
    with np.load(PEER.with_suffix(".npz")) as file:
        # What snnTorch itself does is what the integers are held against.
        assert hidden["float_rate"] == file["lif1.lif"].mean()
        assert last["float_rate"] == file["lif2"].mean()
    network = load(tmp_path / "out" / "network.nir")
    spikes = np.stack(
        [one.spikes["lif2"] for one in engine.run_batch(network, {"input": np.load(frames)[..., None, None]})]
    )
    assert last["integer_rate"] == pytest.approx(spikes.mean())
    assert last["rate_error"] == pytest.approx(spikes.mean() / last["float_rate"] - 1)
    assert last["headroom"]["proven"]
    assert last["headroom"]["worst_case"] <= 131071
    assert report["outputs"][0]["agreement"] >= 0.75
    for word in ("lif1_lif", "CubaLIF", "2048 614", "the same neuron leads in"):
        assert word in said
    for word in ("lif1_lif", "snntorch_recurrent.nir", "time constants", "Euler"):
        assert word in page


def test_the_imported_network_runs_like_any_other_and_is_not_imported_twice(tmp_path: Path) -> None:
    frames = frames_of(PEER, tmp_path)
    run(PEER, "--calibrate", frames, "--out", tmp_path / "out")
    one = tmp_path / "one.npy"
    np.save(one, np.load(frames)[0])
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "out" / "network.nir"), "--input", str(one)])
    assert result.exit_code == 0, result.output
    assert "lif2" in result.output
    with pytest.raises(MonospikeError, match=r"network\.nir: holds a network of integers already"):
        run(tmp_path / "out" / "network.nir", "--calibrate", frames)


def test_a_memoryless_network_is_saved_as_a_file_that_stock_readers_run(tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([2, 5, 5])),
        "conv": nir.Conv2d((5, 5), np.ones((3, 2, 3, 3)) / 4, 1, 0, 1, 1, np.zeros(3)),
    }
    nodes |= {"fire": nir.Threshold(np.full((3, 3, 3), 2.0)), "output": nir.Output(np.array([3, 3, 3]))}
    nir.write(tmp_path / "g.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    np.save(tmp_path / "x.npy", (np.random.default_rng(0).random((20, 2, 5, 5)) < 0.5).astype(np.int8))
    run(tmp_path / "g.nir", "--calibrate", tmp_path / "x.npy", "--out", tmp_path / "out")
    graph = nir.read(tmp_path / "out" / "network.nir")
    assert {type(node).__name__ for node in graph.nodes.values()} == {"Input", "Conv2d", "LIF", "Output"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [layer["agreement"] for layer in report["layers"]] == [1.0]
    assert [layer["rate_error"] for layer in report["layers"]] == [0.0]


def test_agreement_falls_where_integers_are_another_network_than_the_graph() -> None:
    with np.load(PEER.with_suffix(".npz")) as file:
        frames = file["frames"]
    right = import_graph(read_graph(PEER), {"x": frames})
    slower = import_graph(read_graph(PEER), {"x": frames}, dt=2e-5)
    good = compare(right).layers[-1]
    wrong = compare(type(right)(**{**vars(right), "network": slower.network})).layers[-1]
    assert good.agreement is not None
    assert wrong.agreement is not None
    assert wrong.agreement < good.agreement - 0.05


def one_layer(folder: Path, threshold: float, **neuron: float) -> Path:
    values = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, **neuron, "v_threshold": threshold}
    nodes = {"input": nir.Input(np.array([4])), "w": nir.Linear(np.eye(4, dtype=np.float32))}
    nodes |= {"fire": nir.LIF(**{name: np.full(4, value, np.float32) for name, value in values.items()})}
    nodes |= {"output": nir.Output(np.array([4]))}
    nir.write(folder / "g.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    np.save(folder / "x.npy", np.ones((20, 4)))
    return folder / "g.nir"


@pytest.mark.parametrize(
    ("threshold", "what"), [(9.0, "no neuron spikes in any frame"), (0.01, "every neuron spikes in every frame")]
)
def test_a_silent_or_saturated_network_is_no_success(threshold: float, what: str, tmp_path: Path) -> None:
    arguments = (one_layer(tmp_path, threshold), "--calibrate", tmp_path / "x.npy", "--out", tmp_path / "out")
    said = run(*arguments)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    [layer], [output], [warning] = report["layers"], report["outputs"], report["warnings"]
    assert (layer["agreement"], layer["meaningless"]) == (None, what)
    assert (output["agreement"], output["meaningless"]) == (None, what)
    assert f"WARNING: layer fire: {what}" in said
    assert "dt (0.0001 s, the default: the file does not say), r and w_in" in warning
    assert "100.00%" not in said
    assert "leads in" not in said
    assert what in (tmp_path / "out" / "report.html").read_text()
    strict = CliRunner().invoke(app, ["import", *map(str, arguments), "--strict"], catch_exceptions=False)
    assert strict.exit_code == 1
    assert (tmp_path / "out" / "network.nir").exists()


def test_a_sound_import_passes_as_strict(tmp_path: Path) -> None:
    how = ("--from", "snntorch", "--reset", "zero", "--strict")
    assert "WARNING" not in run(PEER, "--calibrate", frames_of(PEER, tmp_path), "--out", tmp_path / "out", *how)


def test_a_reset_that_subtracts_is_run_by_the_reference_and_its_cost_in_integers_is_said(tmp_path: Path) -> None:
    """Voltages of 0.21 a step at a threshold of 1, no leak to speak of."""
    file = one_layer(tmp_path, 1.0, tau=1.0, r=2100.0)
    shared = (file, "--calibrate", tmp_path / "x.npy", "--dt", "1e-4", "--out", tmp_path / "out")
    said = run(*shared)
    assert "v_reset is 0 for fire" in said
    said = run(*shared, "--reset", "subtract")
    [layer] = json.loads((tmp_path / "out" / "report.json").read_text())["layers"]
    voltage, soft, hard = [0.0, 0.0], [], []
    for _ in range(20):
        voltage = [value + 1e-4 * (2100 - value) for value in voltage]
        soft.append(voltage[0] > 1)
        hard.append(voltage[1] > 1)
        voltage = [voltage[0] - soft[-1], 0.0 if hard[-1] else voltage[1]]
    assert layer["float_rate"] == np.mean(soft)
    assert layer["subtracting_agreement"] == np.mean(np.equal(soft, hard))
    assert "the float graph subtracts the threshold" in said


def test_ties_are_counted_where_nobody_says_what_they_do(tmp_path: Path) -> None:
    file = one_layer(tmp_path, 1.0, tau=1e-4)
    shared = (file, "--calibrate", tmp_path / "x.npy", "--out", tmp_path / "out")
    assert "in 100.00% of neurons and frames the voltage of fire equals its threshold" in run(*shared)
    said = run(*shared, "--at-threshold", "fires")
    assert "equals its threshold" not in said
    [layer] = json.loads((tmp_path / "out" / "report.json").read_text())["layers"]
    assert (layer["float_rate"], layer["integer_rate"], layer["ties"]) == (1.0, 1.0, 1.0)


def test_the_command_knows_all_writers_and_resets() -> None:
    assert tuple(one.value for one in Framework) == WRITERS
    assert {one.value for one in ResetKind} == set(RESETS)
    assert {one.value for one in InputGain} == set(GAINS)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (np.zeros((4, 40, 13)), r"input 'input': shape \(4, 40, 13\) is not .* of 12x1x1"),
        (np.full((4, 40, 12), np.nan), "input 'input': holds something else than finite numbers"),
        (np.zeros((0, 12)), "is not"),
        (np.array([["a"]]), "holds something else than finite numbers"),
    ],
)
def test_frames_that_do_not_fit_are_named_and_nothing_is_written(
    content: np.ndarray, complaint: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", content)
    with pytest.raises(MonospikeError, match=complaint):
        run(PEER, "--calibrate", tmp_path / "x.npy", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pickle_in_place_of_frames_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(MonospikeError, match=r"x\.npy: is not an \.npy or \.npz file of numbers"):
        run(PEER, "--calibrate", tmp_path / "x.npy", "--out", tmp_path / "out")
