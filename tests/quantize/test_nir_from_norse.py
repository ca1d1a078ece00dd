"""Graphs that norse wrote, and norse running graphs: the float reference takes the same steps."""

import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from netx.nir_graph import read_graph
from quantize.nir_import import import_graph, run_float
from sim import engine

norse = pytest.importorskip("norse.torch", reason="norse is not installed")

DT = 1e-3


def full(shape: tuple[int, ...], value: float) -> np.ndarray:
    return np.full(shape, value, dtype=np.float32)


def stepped(graph: nir.NIRGraph, frames: np.ndarray) -> np.ndarray:
    """What norse makes of one sequence (frame, ...), its state carried from step to step."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = norse.from_nir(graph, dt=DT, ignore_warnings=True)
        state, outputs = None, []
        for frame in torch.from_numpy(frames):
            output, state = module(frame[None], state)
            outputs.append(output[0].numpy())
    return np.stack(outputs)


NEURONS: dict[str, nir.NIRNode] = {
    "LIF": nir.LIF(full((5,), 6e-3), full((5,), 1), full((5,), 0), full((5,), 0.3)),
    "IF": nir.IF(full((5,), 1), full((5,), 1.5)),
    "CubaLIF": nir.CubaLIF(
        tau_syn=full((5,), 2e-3),
        tau_mem=full((5,), 6e-3),
        r=full((5,), 2),
        v_leak=full((5,), 0),
        v_threshold=full((5,), 0.4),
        w_in=full((5,), 1.5),
    ),
}


@pytest.mark.parametrize("kind", NEURONS)
def test_the_reference_spikes_where_norse_does_and_the_integers_nearly_always(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frames = (random.random((150, 8)) < 0.3).astype(np.float32)
    weight, bias = random.normal(0.1, 0.6, (5, 8)).astype(np.float32), np.zeros(5, np.float32)
    nodes: dict[str, Any] = {"input": nir.Input(np.array([8])), "fc": nir.Affine(weight, bias), "fire": NEURONS[kind]}
    nodes["output"] = nir.Output(np.array([5]))
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)))
    nir.write(tmp_path / "g.nir", graph)
    result = import_graph(read_graph(tmp_path / "g.nir"), {"x": frames}, DT)
    expected = stepped(graph, frames)
    got = run_float(result.graph, result.calibration.floats, DT, ("fire",)).values["fire"][0]
    assert expected.mean() > 0.05
    assert np.array_equal(got, expected)
    spikes = engine.run(result.network, {"input": result.calibration.integers["input"][0]}).spikes["fire"]
    assert (spikes[:, :, 0, 0] == expected).mean() > 0.95
    assert abs(spikes.mean() - expected.mean()) < 0.01


def test_a_network_that_norse_exported_is_imported(tmp_path: Path) -> None:
    """norse 1.1.0 writes ``dt / tau_mem_inv`` for tau, which is too short by dt: its dt is then one second."""
    random = np.random.default_rng(3)
    torch.manual_seed(3)
    fast, slow = torch.full((6,), 200.0), torch.full((3,), 100.0)
    net = norse.SequentialState(
        torch.nn.Linear(8, 6),
        norse.LIFBoxCell(norse.LIFBoxParameters(fast, v_leak=torch.zeros(6), v_th=torch.full((6,), 0.2))),
        torch.nn.Linear(6, 3),
        norse.LIBoxCell(norse.LIBoxParameters(slow, v_leak=torch.zeros(3))),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = norse.to_nir(net, torch.zeros(1, 8), dt=1.0)
    nir.write(tmp_path / "g.nir", graph)
    frames = (random.random((60, 8)) < 0.4).astype(np.float32)
    result = import_graph(read_graph(tmp_path / "g.nir"), {"x": frames}, DT)
    with torch.no_grad():
        state, outputs = None, []
        for frame in torch.from_numpy(frames):
            output, state = net(frame[None], state)
            outputs.append(output[0].numpy())
    last = result.layers[-1]
    assert (last.kind, last.spikes) == ("LI", False)
    reference = run_float(result.graph, result.calibration.floats, DT, (last.node,)).values[last.node][0]
    assert np.allclose(reference, np.stack(outputs), atol=1e-5)


def test_norse_leaves_out_the_bias_of_a_recurrence_in_the_first_frame(tmp_path: Path) -> None:
    """By the equations 1 is added in every frame, with which every second one exceeds 1.5; norse 1.1.0 with nirtorch
    2.6 begins with the second."""
    nodes: dict[str, Any] = {"input": nir.Input(np.array([1])), "fc": nir.Linear(full((1, 1), 1))}
    nodes |= {"fire": nir.IF(full((1,), 1), full((1,), 1.5)), "back": nir.Affine(full((1, 1), 0), full((1,), 1))}
    nodes["output"] = nir.Output(np.array([1]))
    edges = [("input", "fc"), ("fc", "fire"), ("fire", "back"), ("back", "fire"), ("fire", "output")]
    graph = nir.NIRGraph(nodes, edges)
    nir.write(tmp_path / "g.nir", graph)
    frames = np.zeros((6, 1), np.float32)
    result = import_graph(read_graph(tmp_path / "g.nir"), {"x": frames}, DT)
    got = run_float(result.graph, result.calibration.floats, DT, ("fire",)).values["fire"][0]
    assert got.ravel().tolist() == [0, 1, 0, 1, 0, 1]
    assert stepped(graph, frames).ravel().tolist() == [0, 0, 1, 0, 1, 0]
