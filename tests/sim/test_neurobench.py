"""Counts against NeuroBench's on one torch model, as far as definitions agree (a table is in docs/planning.md).

Its figures are those of neurobench 2.3.0, by tests/sim/neurobench_oracle.py.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from netx import LIF, Conv2d, Dense, Flatten, Input, Layer, Network, Range, Shape
from sim import engine
from sim.activity import Activity, count

NEUROBENCH = {
    # Effective_MACs, Effective_ACs, Dense: per frame
    "spikes": (0.0, 8688.75, 30624.0),
    "pixels": (3494.25, 7691.25, 30624.0),
}


def network(kind: str) -> tuple[Network, np.ndarray]:
    """Two convolutions and a full connection, with weights of zero; fed by spikes, or by pixels some of which are 0."""
    rng = np.random.default_rng(11)

    def weights(*shape: int) -> np.ndarray:
        return 2 * rng.integers(-30, 36, shape) * (rng.random(shape) < 0.8)

    layers = (
        Layer("conv1", ("x",), Conv2d(weights(6, 2, 3, 3), padding=1), LIF(51)),
        Layer("conv2", ("conv1",), Conv2d(weights(8, 6, 3, 3), stride=2, padding=1), LIF(101)),
        Layer("flat", ("conv2",), Flatten()),
        Layer("dense", ("flat",), Dense(weights(10, 8 * 6 * 6)), LIF(101)),
    )
    frames = (rng.random((4, 2, 12, 12)) < 0.3).astype(np.int64)
    values = Range(0, 1)
    if kind == "pixels":
        frames, values = frames * rng.integers(1, 32, frames.shape), Range(0, 31)
    return Network((Input("x", Shape(2, 12, 12), values),), layers, ("dense",)), frames


def counted(kind: str) -> Activity:
    net, frames = network(kind)
    return count(net, {"x": frames}, engine.run(net, {"x": frames}))


def test_synaptic_operations_of_spikes_are_neurobenchs_effective_accumulates() -> None:
    activity = counted("spikes")
    macs, accumulates, dense = NEUROBENCH["spikes"]
    assert macs == 0
    assert activity.mean("effective_synops") == accumulates
    assert activity.mean("dense_macs") == dense


def test_a_layer_of_pixels_has_macs_for_every_connection_where_neurobench_leaves_zeros_out() -> None:
    activity = counted("pixels")
    macs, accumulates, dense = NEUROBENCH["pixels"]
    assert activity.mean("effective_synops") == accumulates
    assert activity.mean("dense_macs") == dense
    net, frames = network("pixels")
    conv = net.layer("conv1").synapse
    assert isinstance(conv, Conv2d)
    padded = np.pad(frames != 0, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    assert np.einsum("fcyxrq,ocrq->", windows.astype(int), (conv.weight != 0).astype(int)) / len(frames) == macs
    assert activity.mean("macs") == activity.layers[0].mean("dense_macs") > macs


@pytest.mark.timeout(300)
def test_the_figures_are_what_neurobench_says_today(tmp_path: Path) -> None:
    python = os.environ.get("NEUROBENCH_PYTHON")
    if python is None:
        pytest.skip("NEUROBENCH_PYTHON does not name a Python that has neurobench 2.3.0")
    oracle = Path(__file__).with_name("neurobench_oracle.py")
    for kind, figures in NEUROBENCH.items():
        net, frames = network(kind)
        layers = [layer for layer in net.layers if layer.neuron is not None]
        spec: dict[str, object] = {"layers": len(layers), "frames": frames}
        for number, layer in enumerate(layers):
            assert isinstance(layer.synapse, (Conv2d, Dense))
            assert isinstance(layer.neuron, LIF)
            spec |= {f"weight_{number}": layer.synapse.weight, f"threshold_{number}": layer.neuron.threshold}
            conv = isinstance(layer.synapse, Conv2d)
            spec |= {f"stride_{number}": layer.synapse.stride[0] if conv else 1}
            spec |= {f"padding_{number}": layer.synapse.padding[0] if conv else 0}
        np.savez(tmp_path / "spec.npz", **spec)
        command = [python, str(oracle), str(tmp_path / "spec.npz")]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=250).stdout)
        assert (said["Effective_MACs"], said["Effective_ACs"], said["Dense"]) == figures
