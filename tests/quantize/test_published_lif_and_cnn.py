"""Single neurons and the convolutional network of the NIR paper do what plain loops over time do."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs_to_import import DT
from numpy.lib.stride_tricks import sliding_window_view
from published_layouts import Node, both, end, graph, imported, linear, spikes, written
from typer.testing import CliRunner

from netx.lint.run import lint
from pipeline.cli.app import app


def lif(tau: float, r: float, leak: float, threshold: float, dtype: Any = np.float32) -> Node:
    values = {"tau": tau, "r": r, "v_leak": leak, "v_threshold": threshold}
    return {"type": "LIF", **{name: np.full(1, value, dtype) for name, value in values.items()}}


def lif_spikes(x: np.ndarray, tau: float, r: float, leak: float, threshold: float, falls: float = np.nan) -> np.ndarray:
    """A single neuron; it falls to 0, or by ``falls``, when it fires."""
    v, fired = 0.0, []
    for value in x:
        v += DT / tau * (leak - v + r * value)
        fired.append(v > threshold)
        if fired[-1]:
            v = 0.0 if np.isnan(falls) else v - falls
    return np.array(fired, float)


PAPER_LIF = {"tau": 0.0025, "r": 1.0, "leak": 0.0, "threshold": 0.1}
ROCKPOOL_LIF = {"tau": 0.0025, "r": 24.019737, "leak": 0.0, "threshold": 0.1}


def norse_lif() -> Node:
    nodes = {"0": linear(np.ones((1, 1)), np.zeros(1)), "1": lif(**PAPER_LIF)}
    nodes |= {"input": end("Input", 1), "output": end("Output", 1)}
    return graph(nodes, [("input", "0"), ("0", "1"), ("1", "output")])


def rockpool_lif(*shape: int) -> Node:
    nodes = {"0_LinearTorch": linear(np.full((1, 1), 0.04)), "1_LIFNeuronTorch": lif(**ROCKPOOL_LIF)}
    nodes |= {"input": end("Input", *shape), "output": end("Output", 1, 1, 1)}
    edges = [("0_LinearTorch", "1_LIFNeuronTorch"), ("1_LIFNeuronTorch", "output"), ("input", "0_LinearTorch")]
    return graph(nodes, edges)


@pytest.mark.parametrize(
    ("content", "version", "node", "weight", "neuron"),
    [
        (norse_lif(), "0.1.1", "1", 1.0, PAPER_LIF),
        (rockpool_lif(1), "0.2.0", "1_LIFNeuronTorch", 0.04, ROCKPOOL_LIF),
        (rockpool_lif(1, 1, 1), "0.2.0", "1_LIFNeuronTorch", 0.04, ROCKPOOL_LIF),
        (norse_lif(), None, "1", 1.0, PAPER_LIF),
    ],
)
def test_the_single_neuron_of_the_paper_fires_when_its_equation_does(
    content: Node, version: str | None, node: str, weight: float, neuron: dict[str, float], tmp_path: Path
) -> None:
    frames = spikes(1000, 1)
    [(name, (expected, got))] = both(imported(written(tmp_path / "g.nir", content, version), frames)).items()
    assert name == node
    loop = lif_spikes(frames[:, 0] * np.float32(weight), **neuron)
    assert loop.sum() > 10
    assert np.array_equal(expected[0, :, 0], loop)
    assert (expected == got).mean() > 0.995


def test_two_neurons_of_which_the_first_fires_by_itself(tmp_path: Path) -> None:
    """As ``two_lif_neurons.nir``, in float64: a leak voltage above the threshold drives the first."""
    one, two = {"tau": 0.01, "r": 1.0, "leak": 1.2, "threshold": 1.0}, {"tau": 0.01, "r": 1.0, "leak": 0.0}
    nodes = {"in": end("Input", 1), "linear1": linear(np.ones((1, 1))), "lif1": lif(**one, dtype=float)}
    nodes |= {"linear2": linear(np.ones((1, 1))), "lif2": lif(**two, threshold=0.005, dtype=float)}
    nodes["out"] = end("Output", 1)
    frames = np.zeros((1500, 1), np.float32)
    path = written(tmp_path / "g.nir", graph(nodes, list(pairwise(nodes))))
    pairs = both(imported(path, frames))
    first = lif_spikes(frames[:, 0], **one)
    assert np.array_equal(pairs["lif1"][0][0, :, 0], first)
    assert np.array_equal(pairs["lif2"][0][0, :, 0], lif_spikes(first, **two, threshold=0.005))
    assert first.sum() == pairs["lif2"][0].sum() > 5
    assert pairs["lif1"][1].sum() == pytest.approx(first.sum(), abs=1)


def conv(weight: np.ndarray, stride: int, padding: Any, size: int | None) -> Node:
    more = {} if size is None else {"input_shape": (size, size)}
    pads = padding if isinstance(padding, str) else (padding, padding)
    window = {"stride": (stride, stride), "padding": pads, "dilation": (1, 1), "groups": 1}
    return {"type": "Conv2d", **more, "weight": weight, **window, "bias": np.zeros(len(weight), np.float32)}


def integrator(*shape: int) -> Node:
    """sinabs's IAF: one value for each neuron."""
    return {"type": "IF", "r": np.ones(shape, np.float32), "v_threshold": np.ones(shape, np.float32)}


def sum_pool() -> Node:
    return {"type": "SumPool2d", **{k: np.full(2, v) for k, v in (("kernel_size", 2), ("stride", 2), ("padding", 0))}}


def convolved(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    padded = np.pad(x, [(0, 0), (padding, padding), (padding, padding)])
    windows = sliding_window_view(padded, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("cyxij,ocij->oyx", windows, weight, optimize=True)


def dyadic(*shape: int, largest: int) -> np.ndarray:
    """Sixteenths, which 8 bits hold exactly: nothing has to be rounded, and all spikes have to be equal."""
    return np.random.default_rng(sum(shape)).integers(-largest, largest + 1, shape).astype(np.float32) / 16


CNN_WEIGHTS = {
    "0": dyadic(6, 2, 5, 5, largest=4),
    "2": dyadic(6, 6, 3, 3, largest=5),
    "5": dyadic(4, 6, 3, 3, largest=4),
    "9": dyadic(32, 64, largest=3),
    "11": dyadic(10, 32, largest=5),
}


def cnn_nodes(padding: Any, sized: bool, *batch: int) -> dict[str, Node]:
    """``cnn_sinabs.nir`` with fewer channels, for frames of two polarities."""
    weight = CNN_WEIGHTS

    def sizes(size: int) -> int | None:
        return size if sized else None

    return {
        "input": end("Input", *batch, 2, 34, 34),
        "0": conv(weight["0"], 2, 1, sizes(34)),
        "1": integrator(6, 16, 16),
        "2": conv(weight["2"], 1, padding, sizes(16)),
        "3": integrator(6, 16, 16),
        "4": sum_pool(),
        "5": conv(weight["5"], 1, 1, sizes(8)),
        "6": integrator(4, 8, 8),
        "7": sum_pool(),
        "8": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array([4, 4, 4])},
        "9": linear(weight["9"], np.zeros(32)),
        "10": integrator(32),
        "11": linear(weight["11"], np.zeros(10)),
        "12": integrator(10),
        "output": end("Output", *batch, 10),
    }


def cnn_spikes(frames: np.ndarray) -> dict[str, np.ndarray]:
    """The five populations of one sequence, by plain loops."""
    weight, states, found = CNN_WEIGHTS, {}, {name: [] for name in ("1", "3", "6", "10", "12")}

    def fire(name: str, x: np.ndarray) -> np.ndarray:
        v = states.get(name, np.zeros_like(x)) + x
        z = (v > 1).astype(float)
        states[name] = v * (1 - z)
        found[name].append(z.ravel())
        return z

    def pooled(x: np.ndarray) -> np.ndarray:
        return x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]

    for frame in frames.astype(float):
        x = fire("1", convolved(frame, weight["0"], 2, 1))
        x = fire("3", convolved(x, weight["2"], 1, 1))
        x = fire("6", convolved(pooled(x), weight["5"], 1, 1))
        x = fire("10", weight["9"] @ pooled(x).ravel())
        fire("12", weight["11"] @ x)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize(
    ("padding", "sized", "batch"),
    [(1, True, ()), (1, False, (1,)), ("same", True, (100,))],
    ids=["nir 1.0", "nir 0.2, batch of one", "padding in words, a hundred steps"],
)
def test_the_convolutional_network_of_the_paper_keeps_every_spike(
    padding: Any, sized: bool, batch: tuple[int, ...], tmp_path: Path
) -> None:
    nodes = cnn_nodes(padding, sized, *batch)
    path = written(tmp_path / "g.nir", graph(nodes, list(pairwise(nodes))[::-1]), "0.2.0")
    frames = spikes(8, 2, 34, 34, rate=0.1)
    pairs = both(imported(path, frames))
    for node, expected in cnn_spikes(frames).items():
        assert 0.01 < expected.mean() < 0.8, node
        assert np.array_equal(pairs[node][0][0], expected), node
        assert np.array_equal(pairs[node][1][0], expected), node
    assert "file-not-readable" not in {finding.rule.name for finding in lint(path)}


def test_neurons_that_feed_themselves_do_so_one_step_later(tmp_path: Path) -> None:
    """An edge from a population to itself, and one from a graph to itself, are a weight of 1."""
    one = integrator(3)
    inner = graph(
        {"input": end("Input", 3), "if": one, "output": end("Output", 3)}, [("input", "if"), ("if", "output")]
    )
    ends = {"input": end("Input", 3), "w": linear(np.eye(3) * 0.75), "output": end("Output", 3)}
    frames = spikes(40, 3)
    v, z, expected = np.zeros(3), np.zeros(3), []
    for x in frames:
        v = v + 0.75 * x + z
        z = (v > 1).astype(float)
        v = v * (1 - z)
        expected.append(z)
    for member in (one, inner):
        edges = [("input", "w"), ("w", "n"), ("n", "n"), ("n", "output")]
        path = written(tmp_path / f"{member['type']}.nir", graph({**ends, "n": member}, edges))
        [(reference, integers)] = both(imported(path, frames)).values()
        assert np.array_equal(reference[0], expected)
        assert np.array_equal(integers[0], expected)


def test_a_reset_that_the_file_does_not_state_is_named_with_what_the_other_one_would_change(tmp_path: Path) -> None:
    path = written(tmp_path / "g.nir", norse_lif())
    frames = np.full((400, 1), 0.35, np.float32)
    np.save(tmp_path / "x.npy", frames)
    arguments = ["import", str(path), "--calibrate", str(tmp_path / "x.npy"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    [layer] = (report := json.loads((tmp_path / "out" / "report.json").read_text()))["layers"]
    zero = lif_spikes(frames[:, 0], **PAPER_LIF)
    less = lif_spikes(frames[:, 0], **PAPER_LIF, falls=0.1)
    assert zero.sum() < less.sum()
    assert layer["subtracting_agreement"] == (zero == less).mean()
    [note] = [note for note in report["notes"] if note.startswith("v_reset is not in the file for 1:")]
    assert f"{(zero == less).mean():.1%} of n1" in note
    assert note in result.output


def test_memoryless_neurons_have_no_reset_to_state(tmp_path: Path) -> None:
    nodes = {"input": end("Input", 1), "w": linear(np.ones((1, 1))), "n": lif(DT, 1.0, 0.0, 0.5)}
    nodes["output"] = end("Output", 1)
    path = written(tmp_path / "g.nir", graph(nodes, list(pairwise(nodes))))
    assert imported(path, spikes(20, 1)).reset_assumed == ()
