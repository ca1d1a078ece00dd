"""Recordings as NIRData: stock nir reads what is written, and what others write is compared."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from netx import (
    LIF,
    Accumulator,
    Conv2d,
    Dense,
    Direct,
    Flatten,
    FormatError,
    Input,
    Layer,
    Network,
    Range,
    Shape,
    SigmaDelta,
)
from netx.nir_file import write_nir
from sim import engine
from sim.against import compare_with
from sim.nir_data import read_nir_data, write_nir_data


def network() -> Network:
    layers = (
        Layer("conv", ("x",), Conv2d([[[[3, -1]]], [[[1, 1]]]]), LIF(3)),
        Layer("flat", ("conv",), Flatten()),
        Layer("out", ("flat",), Dense([[1, 2, 3, 4]]), Accumulator([5])),
    )
    return Network((Input("x", Shape(1, 1, 3), Range(0, 3)),), layers, ("out",))


FRAMES = {"x": np.array([[2, 1, 0], [0, 3, 1], [1, 0, 1], [1, 2, 3]], np.int32).reshape(4, 1, 1, 3)}
# Of conv, channel 0: 3a - b and 3b - c against 3; channel 1: a + b and b + c.
VOLTAGES = [[5, 3, 3, 1], [-3, 8, 3, 4], [3, -1, 1, 1], [1, 3, 3, 5]]
SPIKES = [[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_nir_data(engine.run(network(), FRAMES), network(), FRAMES, tmp_path / "a.h5")
    return tmp_path / "a.h5"


def test_stock_nir_reads_spikes_voltages_and_inputs(file: Path, tmp_path: Path) -> None:
    data = nir.read_data(file)
    write_nir(network(), tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    assert set(data.nodes) == {"input", "neuron_conv", "synapse_out"} <= set(graph.nodes)
    conv = data.nodes["neuron_conv"].observables
    assert conv["spikes"].data.dtype == bool
    assert conv["spikes"].data[0].tolist() == SPIKES
    assert conv["voltages"].data[0].tolist() == VOLTAGES
    assert conv["spikes"].dt == 1e-4
    assert data.nodes["synapse_out"].observables["voltages"].data[0].tolist() == [[6], [11], [5], [9]]
    assert data.nodes["input"].observables["values"].data[0, 1].tolist() == [0, 3, 1]


def test_what_is_written_is_read(file: Path) -> None:
    data, recording = read_nir_data(file, network(), 4), engine.run(network(), FRAMES)
    np.testing.assert_array_equal(data.spikes["conv"], recording.spikes["conv"])
    np.testing.assert_array_equal(data.voltages["out"], recording.membranes["out"])
    np.testing.assert_array_equal(data.inputs["x"], FRAMES["x"])
    result = compare_with(network(), recording, data)
    assert result.identical
    assert result.compared == {"conv": 2 * 16, "out": 4}


def test_messages_of_sigma_delta_layers_go_along(tmp_path: Path) -> None:
    source = Input("x", Shape(1, 1, 2), Range(-5, 5))
    one = Network(
        (source,), (Layer("sd", ("x",), Direct(), SigmaDelta(1, spike_exponent=0, state_exponent=0)),), ("sd",)
    )
    frames = {"x": np.array([[1, 2], [3, -4]]).reshape(2, 1, 1, 2)}
    recording = engine.run(one, frames)
    write_nir_data(recording, one, frames, tmp_path / "a.h5")
    data = read_nir_data(tmp_path / "a.h5", one)
    np.testing.assert_array_equal(data.messages["sd"], recording.messages["sd"])
    assert compare_with(one, recording, data).identical


def others(path: Path, observables: dict, node: str = "neuron_conv") -> Path:
    nir.write_data(path, nir.NIRGraphData({node: nir.NIRNodeData(observables)}))
    return path


def test_events_of_others_are_put_on_the_grid(tmp_path: Path) -> None:
    step = 0.1  # and 3 * 0.1 is a little more than 0.3
    gridded = nir.TimeGriddedData(np.array(SPIKES, bool)[None], step)
    path = others(tmp_path / "a.h5", {"spikes": gridded.to_event(9)}, "conv")
    assert read_nir_data(path, network(), 4).spikes["conv"].reshape(4, -1).tolist() == SPIKES
    late = nir.EventData(np.array([[0, -1]]), np.array([[0.29999999999, np.inf]]), 4, 0.4)
    at = read_nir_data(others(tmp_path / "b.h5", {"spikes": late}), network(), 4).spikes["conv"]
    assert np.argwhere(at.reshape(4, -1)).tolist() == [[3, 0]]


def test_a_spike_of_others_that_differs_is_named_with_its_cause(tmp_path: Path) -> None:
    recording = engine.run(network(), FRAMES)
    late = np.roll(np.array(SPIKES, bool), 1, axis=0)
    late[0] = False
    data = read_nir_data(others(tmp_path / "a.h5", {"spikes": nir.TimeGriddedData(late[None], 1e-4)}), network(), 4)
    result = compare_with(network(), recording, data)
    assert result.left_out == ("out",)
    assert result.first == (
        "layer 'conv', neuron (channel 0, row 0, column 0), frame 0: spike: engine 1, the file 0; membrane voltage 5. "
        "Likely cause: delay: the file gives what engine gave 1 frame(s) before"
    )
    equal = np.array(VOLTAGES) >= 3
    data = read_nir_data(others(tmp_path / "b.h5", {"spike": nir.TimeGriddedData(equal[None], 1e-4)}), network(), 4)
    result = compare_with(network(), recording, data)
    assert result.differing == {"conv": 6}
    assert result.first is not None
    assert result.first.endswith("threshold tie: the membrane equals the threshold 3, and the file fires at equality")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 4, 5), bool), "has 5 neurons, but the layer has 4"),
        (np.zeros((1, 3, 4), bool), "has 3 steps, expected 4"),
        (np.zeros((2, 4, 4), bool), "expected one sample"),
        (np.full((1, 4, 4), 2), "holds 2, expected spikes of 0 and 1"),
        (np.full((1, 4, 4), np.nan), "holds nan, expected spikes"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(values: np.ndarray, message: str, tmp_path: Path) -> None:
    path = others(tmp_path / "a.h5", {"spikes": nir.TimeGriddedData(values, 1e-4)})
    with pytest.raises(FormatError, match=f"neuron_conv/observables.*{message}"):
        read_nir_data(path, network(), 4)


@pytest.mark.parametrize(
    ("index", "time", "end"),
    [(4, 0.0, 0.4), (0, 0.4, 0.4), (0, -1.0, 0.4), (0, np.nan, 0.4), (0, 0.0, 0.0), (0, 0.0, np.nan)],
)
def test_events_beyond_the_recording_are_refused(index: int, time: float, end: float, tmp_path: Path) -> None:
    events = nir.EventData(np.array([[index]]), np.array([[time]]), 4, end)
    with pytest.raises(FormatError, match="neuron_conv/observables/spikes"):
        read_nir_data(others(tmp_path / "a.h5", {"spikes": events}), network(), 4)


def test_two_spikes_in_a_step_are_refused(tmp_path: Path) -> None:
    events = nir.EventData(np.array([[1, 1]]), np.array([[0.1, 0.15]]), 4, 0.4)
    with pytest.raises(FormatError, match=r"holds 2\.0, expected spikes of 0 and 1, one a step"):
        read_nir_data(others(tmp_path / "a.h5", {"spikes": events}), network(), 4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    for name in ("text.h5", "empty.h5", "none.h5"):
        with pytest.raises(FormatError, match=name):
            read_nir_data(tmp_path / name, network())
