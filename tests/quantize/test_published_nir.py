"""Graphs as the NIR authors published them: written by versions of nir from 0.0.6 to 1.0.4, with what these left out.

The files of the NIR paper (neuromorphs/NIR, ``paper/01_lif``, ``02_cnn``, ``03_rnn``) say that nir 0.1.1 or 0.2.0 wrote
them. Their layouts are built here with h5py, node by node, as nir 0.0.6, 0.1.0, 0.2.0, 1.0.0 and 1.0.4 were seen to lay
out the same graphs; weights are our own. None of these versions writes ``v_reset`` or metadata. What a graph should do
is computed here by plain loops over time.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from typer.testing import CliRunner

from netx.bundle import load
from netx.lint.run import lint
from netx.nir_graph import read_graph
from pipeline.cli.app import app
from quantize.nir_import import Imported, import_graph, run_float
from sim import engine

DT = 1e-4
Node = dict[str, Any]
Edges = list[tuple[str, str]]


def store(group: h5py.Group, values: Node) -> None:
    """Datasets and groups as ``nir.write`` made them: text of variable length, everything else as it is."""
    for name, value in values.items():
        if isinstance(value, str):
            group.create_dataset(name, data=value, dtype=h5py.string_dtype())
        elif isinstance(value, dict):
            store(group.create_group(name), value)
        else:
            group.create_dataset(name, data=value)


def graph(nodes: dict[str, Node], edges: Any) -> Node:
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


def written(path: Path, content: Node, version: str | None = "0.1.1") -> Path:
    with h5py.File(path, "w") as file:
        if version is not None:
            file["version"] = version
        store(file.create_group("node"), content)
    return path


def end(kind: str, *shape: int) -> Node:
    return {"type": kind, "shape": np.array(shape)}


def linear(weight: np.ndarray, bias: np.ndarray | None = None) -> Node:
    both = {"weight": weight.astype(np.float32)}
    return {"type": "Linear", **both} if bias is None else {"type": "Affine", **both, "bias": bias.astype(np.float32)}


def lif(tau: float, r: float, leak: float, threshold: float, dtype: Any = np.float32) -> Node:
    values = {"tau": tau, "r": r, "v_leak": leak, "v_threshold": threshold}
    return {"type": "LIF", **{name: np.full(1, value, dtype) for name, value in values.items()}}


def cuba(size: int, alpha: float, beta: float) -> Node:
    """snnTorch's Synaptic: ``i = alpha i + x``, ``v = beta v + i``, at steps of 1e-4 s."""
    syn, mem = DT / (1 - np.full(size, alpha)), DT / (1 - np.full(size, beta))
    rest = {"r": mem / DT, "v_leak": np.zeros(size), "v_threshold": np.ones(size), "w_in": syn / DT}
    return {"type": "CubaLIF", "tau_mem": mem, "tau_syn": syn, **rest}


def spikes(*shape: int, rate: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(7).random(shape) < rate).astype(np.float32)


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


def imported(path: Path, frames: np.ndarray) -> Imported:
    return import_graph(read_graph(path), {"x": frames})


def both(result: Imported) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For every layer the spikes of the float reference and of the integers, (sequence, frame, neuron)."""
    nodes = tuple(layer.node for layer in result.layers)
    floats = run_float(result.graph, result.calibration.floats, result.dt, nodes).values
    runs = engine.run_batch(result.network, result.calibration.integers)
    pairs = {}
    for layer in result.layers:
        got = np.stack([run.spikes[layer.name] for run in runs]).astype(float)
        pairs[layer.node] = (floats[layer.node].reshape(*got.shape[:2], -1), got.reshape(*got.shape[:2], -1))
    return pairs


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


EDGES: Edges = [
    ("lif1.w_rec", "lif1.lif"),
    ("fc2", "lif2"),
    ("lif1.lif", "lif1.w_rec"),
    ("lif2", "output"),
    ("input", "fc1"),
    ("fc1", "lif1.lif"),
    ("lif1.lif", "fc2"),
]


class Braille:
    """The paper's recurrent network, 12 inputs, 38 or 40 hidden and 7 output neurons, with weights drawn here."""

    def __init__(self, hidden: int = 38, bias: bool = True) -> None:
        random = np.random.default_rng(hidden)
        self.hidden, self.bias = hidden, bias
        sizes = {"fc1": (hidden, 12, 0.3), "rec": (hidden, hidden, 0.03), "fc2": (7, hidden, 0.2)}
        self.weight = {
            key: (random.normal(size=(out, ins)) * by).astype(np.float32) for key, (out, ins, by) in sizes.items()
        }
        scale = 0.02 if bias else 0.0
        self.offset = {key: (random.normal(size=out) * scale).astype(np.float32) for key, (out, _, _) in sizes.items()}

    def matrix(self, key: str) -> Node:
        return linear(self.weight[key], self.offset[key] if self.bias else None)

    def nodes(self, *before: int) -> dict[str, Node]:
        return {
            "fc1": self.matrix("fc1"),
            "fc2": self.matrix("fc2"),
            "input": end("Input", *before, 12),
            "lif1.lif": cuba(self.hidden, 0.55, 0.9),
            "lif1.w_rec": self.matrix("rec"),
            "lif2": cuba(7, 0.5, 0.55),
            "output": end("Output", *before, 7),
        }

    def run(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden and output spikes of one sequence, by the equations of ``cuba``."""
        i1, v1, z1 = np.zeros((3, self.hidden))
        i2, v2 = np.zeros((2, 7))
        hidden, out = [], []
        weight, offset = self.weight, self.offset
        for x in frames:
            i1 = 0.55 * i1 + weight["fc1"] @ x + offset["fc1"] + weight["rec"] @ z1 + offset["rec"]
            v1 = 0.9 * v1 + i1
            z1 = (v1 > 1).astype(float)
            v1 *= 1 - z1
            i2 = 0.5 * i2 + weight["fc2"] @ z1 + offset["fc2"]
            v2 = 0.55 * v2 + i2
            z2 = (v2 > 1).astype(float)
            v2 *= 1 - z2
            hidden.append(z1)
            out.append(z2)
        return np.array(hidden), np.array(out)


FRAMES = spikes(2, 60, 12)


def check_braille(net: Braille, path: Path, hidden: str = "lif1.lif", last: str = "lif2") -> Imported:
    """The float reference does what the loop does, the integers nearly so, and lint finds it readable."""
    result = imported(path, FRAMES)
    pairs = both(result)
    for number, sequence in enumerate(FRAMES):
        for node, expected in zip((hidden, last), net.run(sequence), strict=True):
            assert 0.02 < expected.mean() < 0.7, node
            assert np.array_equal(pairs[node][0][number], expected), node
    for node, (expected, got) in pairs.items():
        assert (expected == got).mean() > 0.93, node
        assert got.mean() == pytest.approx(expected.mean(), abs=0.02), node
    assert "file-not-readable" not in {finding.rule.name for finding in lint(path)}
    return result


@pytest.mark.parametrize("bias", [True, False])
def test_the_recurrent_network_of_the_paper_with_dotted_names_and_edges_that_stand_twice(
    bias: bool, tmp_path: Path
) -> None:
    net = Braille(38 if bias else 40, bias)
    path = written(tmp_path / "g.nir", graph(net.nodes(), EDGES + EDGES[:3]), "0.2.0")
    result = check_braille(net, path)
    assert list(result.outputs.values()) == ["lif2"]
    assert "nir-edge-twice" in {finding.rule.name for finding in lint(path)}


def test_a_shape_with_the_steps_of_the_sample_in_front_is_that_of_one_frame(tmp_path: Path) -> None:
    net = Braille()
    path = written(tmp_path / "g.nir", graph(net.nodes(256), EDGES))
    result = check_braille(net, path)
    assert "input 'input' has the shape (256, 12) in the file; frames of (12,)" in " ".join(result.notes)


def test_an_inner_graph_whose_edges_name_its_neurons_wrongly_is_the_flat_graph(tmp_path: Path) -> None:
    """``braille_*_subgraph.nir``: inner edges name ``lif``, the node is ``lif1``; stock nir 1.0.8 refuses it."""
    net = Braille()
    flat = net.nodes()
    inner = {"input": end("Input", 38), "lif1": flat.pop("lif1.lif"), "lin": flat.pop("lif1.w_rec")}
    inner["output"] = end("Output", 38)
    flat["lif1"] = graph(inner, [("input", "lif"), ("lif", "lin"), ("lin", "lif"), ("lif", "output")])
    path = written(tmp_path / "g.nir", graph(flat, list(pairwise(["input", "fc1", "lif1", "fc2", "lif2", "output"]))))
    with pytest.raises(ValueError, match="does not exist"):
        nir.read(path)
    result = check_braille(net, path, hidden="lif1.lif1")
    assert "node/nodes/lif1: edges name a node 'lif', which is not there: taken for 'lif1'" in result.notes
    found = {finding.rule.name for finding in lint(path) if finding.rule.severity.value == "error"}
    assert "nir-edge-to-nowhere" in found
    assert "nir-loop-without-memory" not in found


def test_ends_of_an_inner_graph_that_stay_when_it_is_flattened_hand_on_what_they_get(tmp_path: Path) -> None:
    net = Braille()
    nodes = net.nodes() | {"lif1.input": end("Input", 38), "lif1.output": end("Output", 38)}
    edges = [edge for edge in EDGES if edge not in (("fc1", "lif1.lif"), ("lif1.lif", "fc2"))]
    edges += [("fc1", "lif1.input"), ("lif1.input", "lif1.lif"), ("lif1.lif", "lif1.output"), ("lif1.output", "fc2")]
    result = check_braille(net, written(tmp_path / "g.nir", graph(nodes, edges)))
    assert [source.name for source in result.network.inputs] == ["input"]


def test_a_second_output_gives_the_hidden_spikes(tmp_path: Path) -> None:
    net = Braille()
    nodes = net.nodes() | {"output_lif1": end("Output", 38)}
    path = written(tmp_path / "g.nir", graph(nodes, [*EDGES, ("lif1.lif", "output_lif1")]))
    assert set(check_braille(net, path).outputs.values()) == {"lif2", "lif1.lif"}


def test_edges_of_numbers_as_the_first_versions_wrote_them(tmp_path: Path) -> None:
    """nir 0.0.6 numbered the nodes, gave an output no shape, and knew no ``w_in``, which is then 1."""
    net = Braille()
    named = net.nodes()
    for name in ("lif1.lif", "lif2"):
        gain = named[name].pop("w_in")
        named[name]["r"] = named[name]["r"] * gain
    del named["output"]["shape"]
    names = list(named)
    numbers = [(names.index(source), names.index(target)) for source, target in EDGES]
    nodes = {str(number): node for number, node in enumerate(named.values())}
    path = written(tmp_path / "g.nir", graph(nodes, numbers), None)
    check_braille(net, path, hidden="3", last="5")
    assert "nir-edges-numbered" in {finding.rule.name for finding in lint(path)}


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


def test_a_published_layout_goes_through_the_commands_and_runs_on_the_engine(tmp_path: Path) -> None:
    net = Braille()
    path = written(tmp_path / "g.nir", graph(net.nodes(256), EDGES))
    np.save(tmp_path / "x.npy", FRAMES)
    np.save(tmp_path / "one.npy", FRAMES[0])
    runner = CliRunner()
    steps = [
        ["import", str(path), "--calibrate", str(tmp_path / "x.npy"), "--out", str(tmp_path / "out")],
        ["lint", str(path)],
        ["simulate", str(tmp_path / "out" / "network.nir"), "--input", str(tmp_path / "one.npy")],
    ]
    for step in steps:
        result = runner.invoke(app, step, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    network = load(tmp_path / "out" / "network.nir")
    got = engine.run(network, {"input": FRAMES[0][..., None, None]}).spikes["lif2"].reshape(60, 7)
    assert (got == net.run(FRAMES[0])[1]).mean() > 0.9
