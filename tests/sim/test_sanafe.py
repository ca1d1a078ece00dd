"""Energy and time against SANA-FE, on the same network with the same mapping and the same spikes.

SANA-FE's figures are those of its wheel (2.2.9, detailed timing), by tests/sim/sanafe_oracle.py. The connections it is
given are written out one by one here, so that nothing of ours counts them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, Dense, Flatten, Input, Layer, Network, Shape, channel_bias
from sim import engine
from sim.costs import Operations, count_operations, price_mapped
from sim.hardware import Mesh, load_chip
from sim.mapping import Mapping, map_network

NEVER = 1e9
"""A threshold that no voltage reaches: how SANA-FE has a read-out."""


def even(rng: np.random.Generator, low: int, high: int, *shape: int) -> np.ndarray:
    return 2 * rng.integers(low, high, shape)


def convolutional() -> tuple[Network, np.ndarray]:
    """Two convolutions and a full connection, with biases."""
    rng = np.random.default_rng(1)
    bias = rng.integers(-20, 20, 16)
    layers = (
        Layer("conv1", ("x",), Conv2d(even(rng, -30, 34, 8, 2, 3, 3), padding=1), LIF(101)),
        Layer("conv2", ("conv1",), Conv2d(even(rng, -30, 34, 16, 8, 3, 3), stride=2), LIF(201, bias)),
        Layer("flat", ("conv2",), Flatten()),
        Layer("dense", ("flat",), Dense(even(rng, -30, 30, 10, 16 * 9 * 9)), Accumulator()),
    )
    frames = rng.random((3, 2, 20, 20)) < np.array([0.05, 0.2, 0.5])[:, None, None, None]
    return Network((Input("x", Shape(2, 20, 20)),), layers, ("dense",)), frames.astype(np.uint8)


def full() -> tuple[Network, np.ndarray]:
    """Full connections in the shapes of the MNIST network of lava-dl: 784-128-64-10."""
    rng = np.random.default_rng(2)
    layers = (
        Layer("dense1", ("x",), Dense(even(rng, -30, 33, 128, 784)), LIF(301)),
        Layer("dense2", ("dense1",), Dense(even(rng, -30, 33, 64, 128)), LIF(151)),
        Layer("dense3", ("dense2",), Dense(even(rng, -30, 33, 10, 64)), Accumulator()),
    )
    frames = rng.random((3, 784, 1, 1)) < np.array([0.02, 0.1, 0.3])[:, None, None, None]
    return Network((Input("x", Shape(784, 1, 1)),), layers, ("dense3",)), frames.astype(np.uint8)


def wide() -> tuple[Network, np.ndarray]:
    """Small layers in many channels: cores on three tiles, and most spikes leave theirs."""
    rng = np.random.default_rng(3)
    layers = (
        Layer("conv1", ("x",), Conv2d(even(rng, -30, 36, 40, 2, 3, 3), padding=1), LIF(121)),
        Layer("conv2", ("conv1",), Conv2d(even(rng, -30, 36, 48, 40, 1, 1)), LIF(121)),
        Layer("conv3", ("conv2",), Conv2d(even(rng, -30, 36, 4, 48, 3, 3), stride=2), Accumulator()),
    )
    frames = rng.random((2, 2, 10, 10)) < np.array([0.1, 0.3])[:, None, None, None]
    return Network((Input("x", Shape(2, 10, 10)),), layers, ("conv3",)), frames.astype(np.uint8)


SANAFE = {
    # joules of synapse, soma and network, and seconds, of each frame
    "convolutional": [
        (1.18982e-07, 3.057258e-07, 6.378e-09, 9.2915e-06),
        (6.04874e-07, 3.6345360e-07, 5.8266e-08, 2.6427710e-05),
        (1.640709e-06, 4.357983e-07, 1.7318100e-07, 6.9977144e-05),
    ],
    "full": [
        (1.42852e-07, 1.64381e-08, 2.775e-09, 1.2662700e-05),
        (5.27601e-07, 1.94873e-08, 7.659e-09, 4.7328300e-05),
        (1.244559e-06, 2.29523e-08, 1.32090e-08, 1.1615710e-04),
    ],
    "wide": [(3.10464e-07, 5.819140e-07, 2.0406e-08, 1.1835500e-05)],
}


NETWORKS = {"convolutional": convolutional, "full": full, "wide": wide}


def edges(layer: Layer, source: Shape, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Every connection as (input neuron, output neuron), counted flat, and its weight."""
    if isinstance(layer.synapse, Dense):
        out, into = np.indices(layer.synapse.weight.shape)
        return np.stack([into.ravel(), out.ravel()], axis=1), layer.synapse.weight.ravel()
    assert isinstance(layer.synapse, Conv2d)
    pairs, weights = [], []
    conv = layer.synapse
    for c, y, x in np.ndindex(*shape):
        for d, r, q in np.ndindex(*conv.weight.shape[1:]):
            row, column = y * conv.stride[0] + r - conv.padding[0], x * conv.stride[1] + q - conv.padding[1]
            if 0 <= row < source.height and 0 <= column < source.width:
                from_ = (d * source.height + row) * source.width + column
                pairs.append((from_, (c * shape.height + y) * shape.width + x))
                weights.append(conv.weight[c, d, r, q])
    return np.array(pairs), np.array(weights)


def place(site: int, mesh: Mesh) -> tuple[int, int]:
    """Tile and core of a site in SANA-FE, which counts tiles down the columns where we count along the rows."""
    tile, core = divmod(site, mesh.cores_per_tile)
    return tile % mesh.columns * mesh.rows + tile // mesh.columns, core


def describe(path: Path, network: Network, frames: np.ndarray, mapping: Mapping, mesh: Mesh) -> None:
    """Write what ``sanafe_oracle.py`` reads; the input goes on a free core of the last tile in use."""
    layers = [layer for layer in network.layers if layer.neuron is not None]
    last = max(mapping.placement)
    free = last + 1
    assert free // mesh.cores_per_tile == last // mesh.cores_per_tile, "no core of the last tile is free for the input"
    size = frames[0].size
    spec: dict[str, object] = {
        "groups": len(layers) + 1,
        "hold": len(layers) + 2,
        "frames": frames.reshape(len(frames), -1),
        "sites_0": np.repeat([place(free, mesh)], size, axis=0),
    }
    source = network.inputs[0].shape
    for number, layer in enumerate(layers, 1):
        shape = network.shape(layer.name)
        sites = np.zeros((*shape, 2), np.int64)
        for core, site in zip(mapping.cores, mapping.placement, strict=True):
            if core.layer == layer.name:
                sites[core.box.slices] = place(site, mesh)
        bias = np.repeat(channel_bias(layer.neuron, shape) / 64, shape.height * shape.width)
        pairs, weights = edges(layer, source, shape)
        spec |= {
            f"sites_{number}": sites.reshape(-1, 2),
            f"bias_{number}": bias,
            f"threshold_{number}": layer.neuron.threshold if isinstance(layer.neuron, LIF) else NEVER,
            f"synapse_{number}": "loihi_dense_synapse" if isinstance(layer.synapse, Dense) else "loihi_conv_synapse",
            f"edges_{number}": pairs,
            f"weights_{number}": weights,
        }
        source = shape
    np.savez_compressed(path, **spec)


@pytest.mark.parametrize("name", list(SANAFE))
def test_sana_fe_finds_the_same_energy_and_nearly_the_same_time(name: str) -> None:
    network, frames = NETWORKS[name]()
    chip = load_chip("loihi1_sanafe")
    mapping, values = map_network(network, chip, "chip"), {"x": frames}
    assert chip.mesh is not None
    assert chip.packing is not None
    operations = count_operations(network, values, engine.run(network, values), mapping, chip.mesh, chip.packing)
    for frame, (synapse, soma, sent, seconds) in enumerate(SANAFE[name]):
        counts = {count: all_frames[frame : frame + 1] for count, all_frames in operations.counts.items()}
        cost = price_mapped(Operations(mapping, counts), chip, 1)
        units = cost.by_unit()
        assert units["synapse"].typical == pytest.approx(synapse, rel=1e-5)
        assert units["soma"].typical == pytest.approx(soma, rel=1e-5)
        assert units["axon out"].typical + units["mesh"].typical == pytest.approx(sent, rel=1e-3)
        assert cost.step is not None
        assert cost.step.typical == pytest.approx(seconds, rel=0.25)
        assert cost.step.low < seconds < cost.step.high


@pytest.mark.timeout(900)
def test_the_figures_are_what_sana_fe_says_today(tmp_path: Path) -> None:
    python = os.environ.get("SANAFE_PYTHON")
    if python is None:
        pytest.skip("SANAFE_PYTHON does not name a Python that has sanafe 2.2.9")
    chip = load_chip("loihi1_sanafe")
    oracle = Path(__file__).with_name("sanafe_oracle.py")
    for name, figures in SANAFE.items():
        network, frames = NETWORKS[name]()
        mapping = map_network(network, chip, "chip")
        assert chip.mesh is not None
        describe(tmp_path / "spec.npz", network, frames[: len(figures)], mapping, chip.mesh)
        command = [python, str(oracle), str(tmp_path / "spec.npz"), "detailed"]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=800).stdout)
        found = [tuple(one[key] for key in ("synapse", "soma", "network", "seconds")) for one in said]
        assert np.array(found) == pytest.approx(np.array(figures), rel=1e-3)
