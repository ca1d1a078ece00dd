"""Small graphs of NIR, their import, and what float and integers make of the same frames."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from netx.nir_graph import read_graph
from quantize.nir_import import Imported, import_graph, run_float
from sim import engine

DT = 1e-4

Nodes = dict[str, Any]


def dyadic(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Multiples of 1/8 that 8 bits hold."""
    return random.integers(-12, 13, shape) / 8


def spikes(random: np.random.Generator, *shape: int, rate: float = 0.4) -> np.ndarray:
    return (random.random(shape) < rate).astype(np.float32)


def threshold(*shape: int, at: float = 0.5) -> nir.Threshold:
    return nir.Threshold(np.full(shape, at))


def lif(shape: tuple[int, ...], tau: float = DT, **values: Any) -> nir.LIF:
    given = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **values}
    return nir.LIF(tau=np.full(shape, tau), **{k: np.broadcast_to(v, shape).astype(float) for k, v in given.items()})


def cuba(shape: tuple[int, ...], syn: float, mem: float, **values: Any) -> nir.CubaLIF:
    given = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0, **values}
    full = {k: np.broadcast_to(v, shape).astype(float) for k, v in given.items()}
    return nir.CubaLIF(tau_syn=np.full(shape, syn), tau_mem=np.full(shape, mem), **full)


def integrate(shape: tuple[int, ...], **values: Any) -> nir.IF:
    given = {"r": 1.0, "v_threshold": 1.0, "v_reset": 0.0, **values}
    return nir.IF(**{k: np.broadcast_to(v, shape).astype(float) for k, v in given.items()})


def conv2d(weight: np.ndarray, **values: Any) -> nir.Conv2d:
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(len(weight)), **values}
    return nir.Conv2d(input_shape=(9, 9), weight=weight, **given)


def pool(kind: Any, size: int) -> nir.NIRNode:
    return kind(np.array([size, size]), np.array([size, size]), np.array([0, 0]))


def chain(shape: tuple[int, ...], *nodes: nir.NIRNode) -> nir.NIRGraph:
    named: Nodes = {"input": nir.Input(np.array(shape)), **{f"n{i}": node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output(np.array(shape))
    return nir.NIRGraph(named, list(pairwise(named)), type_check=False)


def imported(graph: nir.NIRGraph, frames: Any, folder: Path, dt: float | None = None) -> Imported:
    nir.write(folder / "g.nir", graph)
    return import_graph(read_graph(folder / "g.nir"), frames if isinstance(frames, dict) else {"x": frames}, dt)


def both(result: Imported) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For every layer (float, integer): spikes, or the voltages of read-outs in the graph's unit."""
    nodes = tuple(layer.node for layer in result.layers)
    floats = run_float(result.graph, result.calibration.floats, result.dt, nodes).values
    recordings = engine.run_batch(result.network, result.calibration.integers)
    pairs = {}
    for layer in result.layers:
        expected = floats[layer.node]
        if layer.spikes:
            got = np.stack([one.spikes[layer.name] for one in recordings]).astype(float)
        else:
            unit = layer.rounded.voltage_unit[:, None, None]
            got = np.stack([one.membranes[layer.name] for one in recordings]) / unit
        pairs[layer.node] = (expected, got.reshape(expected.shape))
    return pairs
