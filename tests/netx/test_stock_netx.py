"""lava-dl's own loader takes our .net files, and its own exporter's files are read here.

Lava networks are only built in a child process, and never run: an unfinished one would keep the interpreter alive.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import netx
from netx import LIF, Accumulator, Conv2d, Dense, Flatten, Input, Layer, Network, Shape
from netx.net_file import read_net, write_net
from sim.engine import run

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl is not installed")

ROOT = Path(netx.__file__).resolve().parents[1]

LOAD = """
import os, sys
import numpy as np
from lava.lib.dl.netx.hdf5 import Network
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

network = Network(net_config=sys.argv[1])
found = {}
for index, block in enumerate(network.layers):
    synapse, neuron = block.synapse, block.neuron
    if hasattr(synapse, "weights"):
        # What Lava's fixed-point Dense does to its weights on the first step (lava-nc, proc/dense/models.py).
        parameters = synapse.proc_params
        weight = synapse.weights.init
        mode = determine_sign_mode(weight)
        weight = truncate_weights(clip_weights(weight, mode, num_bits=8), mode, parameters["num_weight_bits"])
        found[f"{index}/weight"] = weight * 2.0 ** parameters["weight_exp"]
    else:
        found[f"{index}/weight"] = synapse.weight.init
        for name in ("stride", "padding", "dilation", "groups"):
            found[f"{index}/{name}"] = getattr(synapse, name).init
    for name in ("du", "dv", "vth", "bias_mant", "bias_exp"):
        found[f"{index}/{name}"] = getattr(neuron, name).init
np.savez(sys.argv[2], **found)
sys.stdout.flush()
os._exit(0)
"""

EXPORT = """
import os, sys
import h5py, numpy as np, torch
import lava.lib.dl.slayer as slayer

torch.manual_seed(1)
neuron = {"threshold": 81 / 64, "current_decay": 1.0, "voltage_decay": 1.0}
dense = slayer.block.cuba.Dense({**neuron, "threshold": 33 / 64}, 60, 7, weight_scale=3, delay_shift=False)
affine = slayer.block.cuba.Affine(neuron, 7, 3, weight_scale=3)
conv = slayer.block.cuba.Conv(
    neuron, 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, weight_scale=3, delay_shift=False
)
blocks = [slayer.block.cuba.Input(None, delay_shift=False), conv, slayer.block.cuba.Flatten(), dense, affine]
frames = (torch.rand(16, 2, 5, 6, 1) < 0.4).float()
values, spikes = frames, {}
for name, block in zip(("input", "conv", "flatten", "dense", "affine"), blocks):
    values = block(values)
    spikes[name] = values.detach().numpy()
with h5py.File(sys.argv[1], "w") as file:
    for index, block in enumerate(blocks):
        block.export_hdf5(file.create_group(f"layer/{index}"))
np.savez(sys.argv[2], frames=frames.numpy(), **spikes)
sys.stdout.flush()
os._exit(0)
"""


def in_child(script: str, *arguments: Path) -> dict[str, np.ndarray]:
    """What ``script`` saved to the last of its arguments."""
    child = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        start_new_session=True,
    )
    assert child.returncode == 0, child.stderr
    with np.load(arguments[-1]) as arrays:
        return dict(arrays)


@pytest.mark.lava
def test_the_stock_loader_builds_processes_with_our_integers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kernels = random.integers(-128, 128, (6, 2, 3, 2)) * 2
    mixed, positive = random.integers(-255, 255, (5, 72)), random.integers(0, 256, (4, 5))
    bias = random.integers(-500, 500, 6)
    first = Layer("a", ("x",), Conv2d(kernels, (2, 1), (1, 0), (1, 2), groups=2), LIF(81, bias))
    network = Network(
        (Input("x", Shape(4, 6, 6)),),
        (
            first,
            Layer("flat", ("a",), Flatten()),
            Layer("b", ("flat",), Dense(mixed), LIF(33, [1, 2, 3, 4, 5], current_decay=100, voltage_decay=7)),
            Layer("c", ("b",), Dense(positive), LIF(5)),
            Layer("d", ("c",), Dense(np.full((3, 4), 2)), Accumulator([7, 8, 9])),
        ),
        ("d",),
    )
    write_net(network, tmp_path / "n.net")
    found = in_child(LOAD, tmp_path / "n.net", tmp_path / "found.npz")
    # Lava's order is (out, column, row, in), and it convolves where torch correlates.
    assert (found["0/weight"] == kernels[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)).all()
    assert [found[f"0/{name}"].tolist() for name in ("stride", "padding", "dilation")] == [[1, 2], [0, 1], [2, 1]]
    assert found["0/groups"] == 2
    assert (found["0/bias_mant"] == bias).all()
    assert found["0/bias_mant"].shape == network.shape("a")[::-1]
    assert (found["1/weight"] == mixed).all()
    assert (found["2/weight"] == positive).all()
    assert found["1/bias_mant"].tolist() == [1, 2, 3, 4, 5]
    neurons = [[int(found[f"{index}/{name}"]) for name in ("du", "dv", "vth", "bias_exp")] for index in (0, 1)]
    assert neurons == [[4095, 4096, 81, 6], [99, 7, 33, 6]]
    assert found["3/vth"] == 262143


def flat_dense(weight: np.ndarray) -> Network:
    layers = (Layer("flat", ("x",), Flatten()), Layer("y", ("flat",), Dense(weight), LIF(-50)))
    return Network((Input("x", Shape(2, 2, 3)),), layers, ("y",))


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(-256, 0, b"conv"), (-200, -3, b"conv"), (0, 0, b"conv"), (-256, 255, b"conv"), (-256, 254, b"dense")],
)
def test_dense_weights_that_the_stock_loader_would_round_are_written_as_kernels(
    low: int, high: int, kind: bytes, tmp_path: Path
) -> None:
    weight = np.full((3, 12), low)
    weight[1, 2] = high
    write_net(flat_dense(weight), tmp_path / "n.net")
    with h5py.File(tmp_path / "n.net") as file:
        assert file["layer"][str(len(file["layer"]) - 1)]["type"][0] == kind
    assert read_net(tmp_path / "n.net") == flat_dense(weight)


@pytest.mark.lava
def test_dense_weights_written_as_kernels_are_loaded_exactly(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).integers(-256, 1, (3, 12))
    write_net(flat_dense(weight), tmp_path / "n.net")
    found = in_child(LOAD, tmp_path / "n.net", tmp_path / "found.npz")
    kernels = weight.reshape(3, 2, 2, 3)
    assert (found["0/weight"] == kernels[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)).all()


@pytest.mark.lava
def test_what_slayer_exports_is_read_and_gives_the_same_integers(tmp_path: Path) -> None:
    slayer = in_child(EXPORT, tmp_path / "slayer.net", tmp_path / "slayer.npz")
    network = read_net(tmp_path / "slayer.net")
    assert [layer.name for layer in network.layers] == ["conv1", "flatten2", "dense3", "dense4"]
    assert [layer.neuron for layer in network.layers] == [LIF(81), None, LIF(33), Accumulator()]
    recording = run(network, {"input": slayer["frames"][..., 0]})
    assert 0.05 < recording.spikes["conv1"].mean() < 0.95
    assert (recording.spikes["conv1"] == slayer["conv"][..., 0]).all()
    assert (recording.spikes["dense3"][:, :, 0, 0] == slayer["dense"][..., 0]).all()
    # SLAYER's voltages are in units of 64 weight steps.
    assert (recording.membranes["dense4"][:, :, 0, 0] == slayer["affine"][..., 0] * 64).all()
