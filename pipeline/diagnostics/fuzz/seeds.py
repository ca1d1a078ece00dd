"""Sound files to damage: small ones of both formats that together hold every kind of group and dataset."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from netx import LIF, Accumulator, Conv2d, Dense, Flatten, Input, Layer, Network, Range, Shape
from netx.bundle import save


def write_seeds(folder: Path) -> list[Path]:
    """Files that are read without error, ours and as lava-dl and NIR's own writer make them."""
    kernels = np.arange(-8, 8, dtype=np.int32).reshape(4, 1, 2, 2) * 2
    bias = np.array([2, 0, -4, 6], np.int32)
    conv = Layer("edges", ("pixels",), Conv2d(kernels, padding=(1, 1), groups=2), LIF(31, bias))
    flat = Layer("flat", ("edges",), Flatten())
    read = Layer("score", ("flat",), Dense(np.arange(-40, 40, dtype=np.int32).reshape(1, 80) * 2), Accumulator())
    network = Network((Input("pixels", Shape(2, 4, 3), Range(0, 15)),), (conv, flat, read), ("score",))
    files = [folder / name for name in ("own.net", "own.nir", "lava_dl.net", "plain.nir", "old.nir")]
    save(network, files[0])
    save(network, files[1])
    _write_lava_dl(files[2])
    _write_plain(files[3])
    _write_old(files[4])
    return files


def _write_lava_dl(path: Path) -> None:
    neuron = {"type": "CUBA", "iDecay": 400, "vDecay": 200, "vThMant": 50, "refDelay": 1, "gradedSpike": False}
    random = np.random.default_rng(0)
    layers: list[dict[str, Any]] = [
        {"type": "input", "shape": [6], "weight": [5.0], "bias": [3.0], "neuron": neuron},
        {
            "type": "dense",
            "shape": [4],
            "inFeatures": 6,
            "outFeatures": 4,
            "weight": random.integers(-99, 99, (4, 6)) * 2.0,
        }
        | {"delay": [0.0, 3, 1, 2], "bias": [1.0, 2, 3, 4], "neuron": neuron},
        {
            "type": "dense_rec",
            "shape": [3],
            "inFeatures": 4,
            "outFeatures": 3,
            "weight": random.integers(-9, 9, (3, 4)) * 2.0,
        }
        | {"weight_rec": random.integers(-9, 9, (3, 3)) * 2.0, "neuron": neuron},
        {
            "type": "dense",
            "shape": [2],
            "inFeatures": 3,
            "outFeatures": 2,
            "weight": random.integers(0, 9, (2, 3)) * 1.0,
        }
        | {"neuron": {"type": "SDNN", "vThMant": 3}},
    ]
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            for name, value in layer.items():
                members = (
                    {f"neuron/{key}": inner for key, inner in value.items()}
                    if isinstance(value, dict)
                    else {name: value}
                )
                for place, inner in members.items():
                    if isinstance(inner, str):
                        file.create_dataset(f"layer/{index}/{place}", (1,), "S10", [inner.encode()])
                    else:
                        file[f"layer/{index}/{place}"] = inner


def _write_plain(path: Path) -> None:
    def full(value: float) -> np.ndarray:
        return np.full(3, value, np.float32)

    times = {name: full(value) for name, value in (("tau_mem", 1e-2), ("tau_syn", 5e-3), ("v_leak", 0.1))}
    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([3])),
            "lif": nir.CubaLIF(**times, r=full(2), v_threshold=full(1), v_reset=full(-0.5), w_in=full(1)),
            "back": nir.Affine(np.eye(3, dtype=np.float32) / 3, full(0.1)),
            "output": nir.Output(np.array([3])),
        },
        [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")],
    )
    nodes = {
        "in": nir.Input(np.array([2])),
        "w": nir.Affine(np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2), full(0.2)),
        "loop": inner,
        "li": nir.LI(tau=full(1e-2), r=full(1), v_leak=full(0)),
        "out": nir.Output(np.array([3])),
    }
    order = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(order))))


def _write_old(path: Path) -> None:
    """As nir 1.0.0 wrote them: without ``v_reset``, and with the batch in front of the input's shape."""

    def conv(weight: np.ndarray, size: int) -> nir.Conv2d:
        bias = np.zeros(len(weight), np.float32)
        return nir.Conv2d((size, size), weight.astype(np.float32), 1, (1, 1), 1, 1, bias)

    two = np.array([2, 2])
    nodes = {
        "in": nir.Input(np.array([1, 1, 5, 5])),
        "a": conv(np.linspace(-1, 1, 18).reshape(2, 1, 3, 3), 5),
        "fire": nir.IF(np.ones((2, 5, 5)), np.full((2, 5, 5), 0.5)),
        "pool": nir.AvgPool2d(two, two, np.array([0, 0])),
        "b": conv(np.linspace(1, -1, 18).reshape(1, 2, 3, 3), 2),
        "end": nir.LIF(*(np.full((1, 2, 2), value) for value in (1e-3, 10.0, 0.0, 0.5))),
        "out": nir.Output(np.array([1, 2, 2])),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    with h5py.File(path, "r+") as file:
        for name in ("fire", "end"):
            del file[f"node/nodes/{name}/v_reset"]
