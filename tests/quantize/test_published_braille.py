"""The recurrent network of the NIR paper, in the layouts it was published in, does what a plain loop does."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from graphs_to_import import DT
from published_layouts import Edges, Node, both, end, graph, imported, linear, spikes, written
from typer.testing import CliRunner

from netx.bundle import load
from netx.lint.run import lint
from pipeline.cli.app import app
from quantize.nir_import import Imported
from sim import engine

EDGES: Edges = [
    ("lif1.w_rec", "lif1.lif"),
    ("fc2", "lif2"),
    ("lif1.lif", "lif1.w_rec"),
    ("lif2", "output"),
    ("input", "fc1"),
    ("fc1", "lif1.lif"),
    ("lif1.lif", "fc2"),
]


def cuba(size: int, alpha: float, beta: float) -> Node:
    """snnTorch's Synaptic: ``i = alpha i + x``, ``v = beta v + i``, at steps of 1e-4 s."""
    syn, mem = DT / (1 - np.full(size, alpha)), DT / (1 - np.full(size, beta))
    rest = {"r": mem / DT, "v_leak": np.zeros(size), "v_threshold": np.ones(size), "w_in": syn / DT}
    return {"type": "CubaLIF", "tau_mem": mem, "tau_syn": syn, **rest}


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
